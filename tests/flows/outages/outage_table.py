"""Every outage that the house knows: what it does to a service, and that it is over.

A new row is tried in every state. Must not know: in which state it begins, or what is proved.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.topup.record import Topup
from tests.flows.outages.outage_parts import NodeTrouble, Trouble, UpstreamTrouble
from tests.flows.outages.outage_rig import OutageRig

FAIL_OVER_S = 120
HOUR_S = 3_600
MONTH_S = 30 * 24 * HOUR_S

Begin = Callable[[OutageRig], Awaitable[None]]


async def _nothing(_world: OutageRig) -> None:
    """It ends when all that is wrong outside is put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """`end` is what puts right more than the outside."""

    begin: Begin
    end: Begin = _nothing


def _trouble(change: Callable[[Trouble, int], None]) -> Begin:
    """Something is wrong outside, until a moment two minutes from now or until the end."""

    async def begin(rig: OutageRig) -> None:
        change(rig.trouble, rig.clock.monotonic_ms() + FAIL_OVER_S * 1_000)

    return begin


def _books_away(trouble: Trouble, until_ms: int) -> None:
    trouble.reads_until_ms = trouble.writes_until_ms = until_ms


def _books_away_a_moment(trouble: Trouble, _until_ms: int) -> None:
    trouble.reads_lost = trouble.writes_lost = 2


def _disk_full(trouble: Trouble, until_ms: int) -> None:
    trouble.writes_until_ms = until_ms


def _disk_full_a_moment(trouble: Trouble, _until_ms: int) -> None:
    trouble.writes_lost = 2


def _unreadable(trouble: Trouble, until_ms: int) -> None:
    trouble.reads_until_ms = until_ms


def _answers_lost(trouble: Trouble, until_ms: int) -> None:
    trouble.answers_until_ms = until_ms


def _one_answer_lost(trouble: Trouble, _until_ms: int) -> None:
    trouble.answers_lost = 1


def _node(what: NodeTrouble) -> Outage:
    async def begin(rig: OutageRig) -> None:
        rows = rig.rows.rows
        subjects: tuple[Escrow | Topup, ...] = (*rows.escrows.values(), *rows.topups.values())
        rig.trouble.node = what
        rig.trouble.forgotten = {one.payment_hash for one in subjects if one.payment_hash}

    return Outage(begin=begin)


def _upstream(what: UpstreamTrouble) -> Outage:
    async def begin(rig: OutageRig) -> None:
        rig.trouble.upstream = what

    return Outage(begin=begin)


async def _no_rate(rig: OutageRig) -> None:
    rig.trouble.rates_away = True


async def _all_away(rig: OutageRig) -> None:
    _books_away(rig.trouble, rig.clock.monotonic_ms() + FAIL_OVER_S * 1_000)
    rig.trouble.node = NodeTrouble.AWAY
    rig.trouble.upstream = UpstreamTrouble.AWAY
    rig.trouble.rates_away = True


def _clock(seconds: int, *, put_right: bool) -> Outage:
    async def begin(rig: OutageRig) -> None:
        rig.clock.step(seconds)

    async def end(rig: OutageRig) -> None:
        rig.clock.step(-seconds)

    return Outage(begin=begin, end=end if put_right else _nothing)


async def _killed(rig: OutageRig) -> None:
    """At once, before whoever made the commit hears of it."""
    rig.stage.process.mortal.dead = True
    rig.stage.process.replicas.die()


async def _second(rig: OutageRig) -> None:
    """Another process comes, and is asked from now on; both drive all there is."""
    other = rig.new_process()
    await rig.start(other)
    rig.stage.process = other.process


async def _first_cut_off(rig: OutageRig) -> None:
    """The one that was asked loses the books, and with them its lock; another is asked now."""
    first = rig.living[0]
    first.books.cut_until_ms = rig.clock.monotonic_ms() + FAIL_OVER_S * 1_000
    first.process.replicas.die()
    await _second(rig)


async def _first_back(rig: OutageRig) -> None:
    for living in rig.living:
        living.books.cut_until_ms = 0
        rig.crowd.living.add(living.process.replicas.own_id)


async def _first_killed(rig: OutageRig) -> None:
    first = rig.living[0].process
    await _second(rig)
    first.mortal.dead = True
    first.replicas.die()


OUTAGES: Mapping[str, Outage] = {
    "the database is away for two minutes": Outage(begin=_trouble(_books_away)),
    "the database is away for a moment": Outage(begin=_trouble(_books_away_a_moment)),
    "the database takes no reads": Outage(begin=_trouble(_unreadable)),
    "the database writes, and nobody hears": Outage(begin=_trouble(_answers_lost)),
    "one answer of the database is lost": Outage(begin=_trouble(_one_answer_lost)),
    "the disk is full, or the file read-only": Outage(begin=_trouble(_disk_full)),
    "the disk is full for a moment": Outage(begin=_trouble(_disk_full_a_moment)),
    "the node is away": _node(NodeTrouble.AWAY),
    "the node is slow": _node(NodeTrouble.SLOW),
    "the node answers UNKNOWN": _node(NodeTrouble.UNKNOWING),
    "the node has forgotten its invoices": _node(NodeTrouble.FORGETFUL),
    "the node refuses invoices": _node(NodeTrouble.REFUSING),
    "the upstream is away": _upstream(UpstreamTrouble.AWAY),
    "the upstream answers 503": _upstream(UpstreamTrouble.FAILING),
    "the upstream is slow": _upstream(UpstreamTrouble.SLOW),
    "the upstream cuts its answers": _upstream(UpstreamTrouble.CUT),
    "no rate source answers": Outage(begin=_no_rate),
    "everything is away": Outage(begin=_all_away),
    "the clock is an hour back": _clock(-HOUR_S, put_right=True),
    "the clock is a month forward": _clock(MONTH_S, put_right=True),
    "the clock goes an hour back for good": _clock(-HOUR_S, put_right=False),
    "the clock goes a month forward for good": _clock(MONTH_S, put_right=False),
    "the process is killed": Outage(begin=_killed),
    "a second replica comes": Outage(begin=_second),
    "a second replica comes, the first is killed": Outage(begin=_first_killed),
    "a second replica comes, the first loses the books": Outage(
        begin=_first_cut_off, end=_first_back
    ),
}
