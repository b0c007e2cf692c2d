"""Finds what was named on the command line: callers, escrows and top-ups, by id or by its end.

Must not know: what is done with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.cli.terminal import CommandFailed
from service.cli.wording import names
from service.domain.callers import CallerStanding
from service.domain.escrow_record import Escrow
from service.domain.topups import Topup
from service.ports.ledger_reports import LedgerReports

PAGE = 500


async def every_caller(reports: LedgerReports) -> AsyncIterator[CallerStanding]:
    """Page by page, in id order."""
    after = ""
    while page := await reports.callers(after=after, limit=PAGE):
        for standing in page:
            yield standing
        after = page[-1].caller_id


async def find_caller(reports: LedgerReports, given: str) -> CallerStanding:
    """The one caller that is meant. Raises CommandFailed."""
    found = [one async for one in every_caller(reports) if names(given, one.caller_id)]
    if len(found) != 1:
        message = f"{given}: {_problem(len(found))} caller"
        raise CommandFailed(message)
    return found[0]


async def find_invoice(reports: LedgerReports, given: str) -> Escrow | Topup:
    """The escrow or top-up of this id or payment hash. Raises CommandFailed."""
    found: list[Escrow | Topup] = [
        one
        async for one in reports.escrows()
        if names(given, one.escrow_id) or (one.payment_hash and names(given, one.payment_hash))
    ]
    found += [
        one
        async for one in reports.topups()
        if names(given, one.topup_id) or names(given, one.payment_hash)
    ]
    if len(found) != 1:
        message = f"{given}: {_problem(len(found))} escrow, top-up or payment hash"
        raise CommandFailed(message)
    return found[0]


def _problem(count: int) -> str:
    return "there is no such" if count == 0 else f"{count} of them end so, give more of the"
