"""Askers of one body, what becomes of their escrows, and what the table says the next one gets.

The table is written here a second time, from the rows alone: `due` names every answer that an ask
may get.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from cobot_meter.flows.sale.follow_run import Waits
from tests.fakes.upstream_outcomes import Completes, Failed
from tests.flows.rigs.process import RETENTION, Process
from tests.flows.rigs.shop import Shop
from tests.flows.rigs.stories import ask_of
from tests.flows.rigs.watch import Watch

S = Progress
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
LOOSE = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**9, max_msat=10**9),
    newcomer_until_msat=10**9,
    address_day_pusd=10**15,
    newcomers_day_pusd=10**15,
    proven_day_pusd=10**15,
)
DAY_S, MINUTE_S, LAPSE_S = 86_400, 60, 602
RUN = Completes()
NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Somebody who asks: from where, as whom, with which key, showing the pair of which escrow."""

    address: str = HERE
    caller_id: str | None = None
    key: str | None = None
    proven: str | None = None

    def ask(self) -> Ask:
        """The one body there is."""
        asked = ask_of(caller_id=self.caller_id, address=self.address, proven_escrow_id=self.proven)
        return replace(asked, idempotency_key=self.key)


NAMELESS = Asker()
ASKERS: Mapping[str, Asker] = {
    "nameless": NAMELESS,
    "nameless keyed": Asker(key="k"),
    "poor": Asker(caller_id="c_poor"),
    "poor keyed": Asker(caller_id="c_poor", key="k"),
    "rich": Asker(caller_id="c_rich"),
    "elsewhere": Asker(address=ELSEWHERE),
}


class Scene:
    """One shop and the escrows of one body in it; `first_of` is who first met each escrow."""

    def __init__(self, shop: Shop) -> None:
        """Everybody may owe much, and one caller has much credit."""
        self.shop = shop
        shop.process = Process(
            shop.lasting, exposure=LOOSE, waits=Waits(first_s=30, identical_s=0.001)
        )
        shop.watch = Watch(shop.books, shop.lasting.upstream, LOOSE)
        shop.wait(shop.process.start())
        shop.lasting.upstream.usually = RUN
        offer = shop.wait(shop.process.top_up.offer(address_key="rich", caller_id="c_rich"))
        shop.wait(shop.node.pay(offer.payment_request, amount_msat=10**8))
        shop.do(shop.process.settle_invoice.ask_node(offer.payment_hash))
        self.gate: asyncio.Event | None = None
        self.met_by: dict[str, Asker] = {}
        self.tokens: dict[str, str] = {}

    @property
    def rows(self) -> list[Escrow]:
        """Every escrow, the newest first."""
        return list(self.shop.books.rows.escrows.values())[::-1]

    def got(self, asker: Asker, *, later: bool = False) -> str:
        """What it is answered: `402 <escrow>`, `200 <escrow>`, or the code of a fault."""
        ask = replace(asker.ask(), respond_async=later)
        try:
            answer = self.shop.wait(self.shop.process.ask_completion.answer(ask))
        except CobotMeterError as fault:
            return f"{fault.code} {getattr(fault, 'escrow_id', '')}".strip()
        finally:
            if self.gate is None:
                self.shop.wait(self.shop.process.runs.finish())
            for row in self.rows:
                self.met_by.setdefault(row.escrow_id, asker)
        if answer.kind is AnswerKind.CHALLENGE:
            self.tokens.setdefault(answer.escrow.escrow_id, answer.caller_id)
        status = {"challenge": 402, "completion": 200, "accepted": 202}[answer.kind]
        return f"{status} {answer.escrow.escrow_id}"

    def owner_of(self, escrow_id: str, *, key: str | None = None) -> Asker | None:
        """Whoever paid it and shows its pair; None when nobody could."""
        caller_id = self.tokens.get(escrow_id)
        if caller_id is None or not self._settled(escrow_id):
            return None
        return Asker(caller_id=caller_id, key=key, proven=escrow_id)

    def _settled(self, escrow_id: str) -> bool:
        known = self.shop.known(self.shop.books.rows.escrows[escrow_id])
        return known is not None and known.state is InvoiceState.SETTLED

    # --- what becomes of an escrow ---

    def pay(self, escrow_id: str) -> None:
        """A wallet pays; nobody has heard of it yet."""
        escrow = self.shop.books.rows.escrows[escrow_id]
        if escrow.invoice is not None and escrow.progress is S.INVOICED:
            self.shop.pay(escrow.invoice.payment_request, escrow.invoice.amount_msat)

    def hear(self, escrow_id: str) -> None:
        """The node says so."""
        escrow = self.shop.books.rows.escrows[escrow_id]
        if escrow.payment_hash is not None:
            self.let_run()
            self.shop.do(self.shop.process.settle_invoice.ask_node(escrow.payment_hash))

    def claim(self, escrow_id: str) -> None:
        """Its payer reads it."""
        owner = self.owner_of(escrow_id)
        if owner is not None:
            self.got(owner)

    def pass_(self, seconds: int) -> None:
        """Time passes, and timers with it; what was running has long come to its end."""
        self.let_run()
        self.shop.lasting.clock.advance(seconds)
        self.shop.tick()
        self.shop.tick()

    def let_run(self) -> None:
        """Whatever is still running ends well."""
        if self.gate is not None:
            self.gate.set()
        self.gate = None
        self.shop.wait(self.shop.process.runs.finish())

    def end(self) -> None:
        """All runs end, and the books are sound."""
        self.let_run()
        self.shop.watch.check()
        assert self.shop.process.release_gate.closed_by is None


def _asked(scene: Scene, asker: Asker) -> str:
    """The escrow that this ask is about, or an empty text."""
    return scene.got(asker).partition(" ")[2]


def _running(scene: Scene, asker: Asker) -> None:
    if scene.gate is None:
        scene.gate = asyncio.Event()
    scene.shop.lasting.upstream.usually = Completes(gate=scene.gate)
    scene.got(asker, later=True)
    scene.shop.wait(asyncio.sleep(0.001))
    scene.shop.lasting.upstream.usually = RUN


def _failed(scene: Scene, asker: Asker) -> None:
    scene.shop.lasting.upstream.usually = Failed()
    scene.got(asker)
    scene.shop.lasting.upstream.usually = RUN


def _failed_long_ago(scene: Scene, asker: Asker) -> None:
    _failed(scene, asker)
    scene.pass_(MINUTE_S + 1)


def _paid(scene: Scene, asker: Asker) -> str:
    escrow_id = _asked(scene, asker)
    if escrow_id:
        scene.pay(escrow_id)
    return escrow_id


def _settled(scene: Scene, asker: Asker) -> str:
    escrow_id = _paid(scene, asker)
    if escrow_id:
        scene.hear(escrow_id)
    return escrow_id


def _released(scene: Scene, asker: Asker) -> None:
    escrow_id = _settled(scene, asker)
    if escrow_id:
        scene.claim(escrow_id)


def _gone(scene: Scene, asker: Asker) -> None:
    _released(scene, asker)
    scene.pass_(DAY_S + 1)


def _expired(scene: Scene, asker: Asker) -> str:
    escrow_id = _asked(scene, asker)
    scene.pass_(LAPSE_S)
    return escrow_id


def _paid_late(scene: Scene, asker: Asker) -> None:
    escrow_id = _expired(scene, asker)
    if escrow_id and scene.shop.books.rows.escrows[escrow_id].progress is S.EXPIRED:
        scene.shop.settle_late(scene.shop.books.rows.escrows[escrow_id], 0)


def _refunded(scene: Scene, asker: Asker) -> None:
    _settled(scene, asker)
    scene.pass_(31 * DAY_S)


FATES: Mapping[str, Callable[[Scene, Asker], object]] = {
    "pending": _asked,
    "failed": _failed,
    "failed long ago": _failed_long_ago,
    "paid": _paid,
    "settled": _settled,
    "released": _released,
    "gone": _gone,
    "expired": _expired,
    "paid late": _paid_late,
    "refunded": _refunded,
    "running": _running,
}


# --- the table ---


def due(scene: Scene, asker: Asker) -> set[str]:
    """Every answer that this ask may get now."""
    rows = scene.rows
    own = next((row for row in rows if row.escrow_id == asker.proven), None)
    if own is not None:
        read = _by_pair(scene, own, asker)
        if read:
            return read
    if asker.caller_id is None:
        return _without_name(scene, rows, asker)
    mine = [row for row in rows if row.caller_id == asker.caller_id]
    return _first(scene, [row for row in mine if _key_of(scene, row) == asker.key], asker) or {NEW}


def _by_pair(scene: Scene, own: Escrow, asker: Asker) -> set[str]:
    fresh = asker.key is not None and asker.key != _key_of(scene, own)
    readable = own.progress in {S.SETTLED, S.INVOICED} or (
        own.progress is S.RELEASED and own.keep_until_ms is not None and not fresh
    )
    if readable or (own.progress is S.EXPIRED and own.keep_until_ms is not None):
        return {f"200 {own.escrow_id}"}
    age_ms = scene.shop.lasting.clock.now_ms() - own.changed_at_ms
    recent = own.progress in {S.REFUNDED, S.EXPIRED} and age_ms <= RETENTION.released_ms
    gone = asker.key is not None or recent
    return {"completion_gone"} if gone and not fresh else set()


def _without_name(scene: Scene, rows: list[Escrow], asker: Asker) -> set[str]:
    same = [
        row for row in rows if row.ask.address == asker.address and _key_of(scene, row) == asker.key
    ]
    nameless = _first(scene, [row for row in same if row.ask.nameless], asker)
    if nameless:
        return nameless
    others = [_told(scene, row, replace(asker, key=None)) for row in same if not row.ask.nameless]
    return set().union(*others) or {NEW}


def _first(scene: Scene, rows: list[Escrow], asker: Asker) -> set[str]:
    """What the newest of them gives; nothing when it is over."""
    return _told(scene, rows[0], asker) if rows else set()


def _told(scene: Scene, row: Escrow, asker: Asker) -> set[str]:
    own_credit = not row.invoice and asker.caller_id == row.caller_id
    keyed = asker.key is not None
    kept = row.progress is S.SETTLED or (
        row.progress is S.RELEASED and row.keep_until_ms is not None
    )
    told = {"completion_gone"} if keyed else set()
    match row.progress:
        case _ if row.run.in_flight:
            told = {"cost_pending", f"202 {row.escrow_id}"}
        case S.INVOICED:
            told = {f"402 {row.escrow_id}"}
        case S.SETTLED | S.RELEASED if row.invoice and (keyed or row.progress is S.SETTLED):
            told = {f"already_paid {row.escrow_id}"}
        case S.SETTLED | S.RELEASED if own_credit and kept:
            told = {f"200 {row.escrow_id}"}
        case S.FAILED:
            age_ms = scene.shop.lasting.clock.now_ms() - row.changed_at_ms
            repeated = keyed or age_ms <= RETENTION.failure_repeated_ms
            told = {"upstream_failed"} if repeated else set()
    return told


def _key_of(scene: Scene, row: Escrow) -> str | None:
    """The key that it was opened with."""
    return scene.met_by[row.escrow_id].key if row.escrow_id in scene.met_by else None
