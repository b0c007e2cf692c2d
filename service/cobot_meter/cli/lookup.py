"""Finds what was named on the command line: callers, escrows and top-ups, by id or by its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cobot_meter.cli.terminal import CommandFailed, Misused
from cobot_meter.cli.wording import NAME_GIVEN_MIN, name_parts, names
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.topup.record import Topup
from cobot_meter.ports.ledger_reports import LedgerReports

PAGE = 500
CANDIDATES = 5
INVOICED = "escrow, top-up or payment hash"


async def every_caller(reports: LedgerReports) -> AsyncIterator[CallerStanding]:
    """Page by page, in id order."""
    after = ""
    while page := await reports.callers(after=after, limit=PAGE):
        for standing in page:
            yield standing
        after = page[-1].caller_id


async def find_caller(reports: LedgerReports, given: str) -> CallerStanding:
    """The one caller that is meant. Raises CommandFailed."""
    refuse_short(given)
    found = [one async for one in every_caller(reports) if names(given, one.caller_id)]
    refuse_unless_one(given, [one.caller_id for one in found], what="caller")
    return found[0]


async def find_invoice(reports: LedgerReports, given: str) -> Escrow | Topup:
    """The escrow or top-up of this id or payment hash. Raises CommandFailed, Misused."""
    refuse_short(given)
    found = await reports.subject(given)
    if found is not None:
        return found
    alike = await reports.subjects_like(*name_parts(given), limit=CANDIDATES + 1)
    subjects = [one for one in alike if any(names(given, said) for said in _names_of(one))]
    refuse_unless_one(given, [_names_of(one)[0] for one in subjects], what=INVOICED)
    return subjects[0]


def _names_of(subject: Escrow | Topup) -> tuple[str, ...]:
    name = subject.escrow_id if isinstance(subject, Escrow) else subject.topup_id
    return (name, subject.payment_hash) if subject.payment_hash else (name,)


def refuse_short(given: str) -> None:
    """Raises Misused for an end that could be anybody's."""
    if len(name_parts(given)[1]) < NAME_GIVEN_MIN:
        message = f"{given}: give the whole id, or at least {NAME_GIVEN_MIN} characters of its end"
        raise Misused(message)


def refuse_unless_one(given: str, found: list[str], *, what: str) -> None:
    """Raises CommandFailed when there is none, and Misused, with the candidates, for several."""
    if not found:
        message = f"{given}: there is no such {what}"
        raise CommandFailed(message)
    if len(found) > 1:
        more = " and more" if len(found) > CANDIDATES else ""
        candidates = ", ".join(found[:CANDIDATES])
        message = f"{given}: several of them end so: {candidates}{more}; give more of it"
        raise Misused(message)
