"""The sale as a value: what was asked, at which prices, what was paid, what is due, and its run.

The quote is a snapshot taken when the escrow opens; nothing priced later uses anything newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cobot_meter.domain.consensus.panel import read_panel
from cobot_meter.domain.escrow.states import SELLS_SEVERAL, STATES, EscrowState, Mode, Progress
from cobot_meter.domain.escrow.tasks import ASKS_NOBODY, OPEN_TASK, TaskClosing, TaskTerms
from cobot_meter.domain.money import ExchangeRate, pusd_from_msat
from cobot_meter.domain.pricing.prices import (
    BELIEVED_CEILINGS,
    ModelPrice,
    Price,
    PriceTerms,
    kept_when_lapsed_msat,
    price_for,
)
from cobot_meter.domain.run.days import Days, counted_pusd
from cobot_meter.domain.run.opened_runs import opened_runs
from cobot_meter.domain.run.record import Failure, Run, run_id_of, run_number


@dataclass(frozen=True, slots=True, kw_only=True)
class AskKey:
    """What makes two asks the same one. Keys are SHA-256 hex digests.

    `request_key` covers caller, method, path, body and idempotency key; `address_key` has the
    address in the caller's place; `idempotency_key` covers caller, path and key, None without one.
    Where an API key asks, the three cover that key too.
    A `nameless` ask is given a caller of its own, and is found under it once that caller is proven.
    """

    request_key: str
    address_key: str
    address: str
    request_sha256: str
    nameless: bool
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The snapshot: ceiling, credit reserved, and everything the price is computed from.

    `model` and `prices` are what its first run asks, and the unit prices that the upstream may not
    exceed then; the ceiling holds for whichever run answers. `day` is the UTC day (`2026-11-22`)
    whose budget the escrow counts against. `least_pusd` is what the ask counts at least on
    that day while nobody has paid for it, so that asks which cost nothing are bounded too; None in
    escrows from before there was such a bound, which keep their old reservations to their end.

    With `first_tokens` not the ceiling is reserved of credit but a first part of it, which has room
    for so many tokens of the answer and is extended while that comes; `overrun_pusd` is what this
    may cost us beyond it, reserved of the operator's day. None: the whole ceiling at once.
    """

    model: str
    max_tokens: int
    ceiling_pusd: int
    ceiling_msat: int
    credit_reserved_msat: int
    newcomer: bool
    day: str
    rate: ExchangeRate
    terms: PriceTerms
    prices: ModelPrice
    least_pusd: int | None = None
    first_tokens: int | None = None
    overrun_pusd: int = 0

    @property
    def grows(self) -> bool:
        """Whether its reservation is extended while the answer comes."""
        return self.first_tokens is not None

    @property
    def covered(self) -> bool:
        """Whether credit pays for all of it, whatever it comes to."""
        return self.grows or self.credit_reserved_msat == self.ceiling_msat

    @property
    def opening_pusd(self) -> int:
        """What the day has to have room for when the ask opens: nothing where credit covers it."""
        return self.opening_of(self.ceiling_pusd)

    def opening_of(self, most_pusd: int) -> int:
        """The same of one run of it that may cost so much."""
        paid_for = self.covered and (self.ceiling_msat > 0 or self.least_pusd is None)
        return 0 if paid_for else counted_pusd(most_pusd, self.least_pusd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Why another model than the one that was asked for is run: `reason` is an error's code.

    `continues` is of books from before revision 0014: the sale of the attempt before this one.
    """

    asked_model: str
    reason: str
    continues: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is fixed when a sale opens: by whom, for which ask, on which terms.

    Each field is one of the sale's, by the same name. An entry of the journal has their digest, so
    one that comes later needs a default, and is not in the digest while it stands at that.
    `key_id` is the API key that asked, None for an ask by a proof of payment or by nobody. `route`
    is the decision that named its models where the caller left that to us (`routing/stored.py`),
    of a panel who is on it (`consensus/panel.py`).
    `budgets` are the codes of the budgets' accounts that count it, one blank between them.
    `privacy` is who may read it, and at whose word (`privacy/tiers.py`).
    """

    escrow_id: str
    caller_id: str
    opened_at_ms: int
    stream: bool
    ask: AskKey
    quote: Quote
    mode: Mode = Mode.ESCROW
    fallback: Fallback | None = None
    key_id: str | None = None
    task: TaskTerms | None = None
    route: str | None = None
    budgets: str = ""
    privacy: str = ""

    @classmethod
    def of(cls, escrow: Escrow) -> Opening:
        """What the sale was opened with, whatever has become of it since."""
        return cls(**{name: getattr(escrow, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedInvoice:
    """The invoice as the node made it."""

    payment_request: str
    amount_msat: int
    expires_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """One sale with a run of it. Amounts in msat, times in Unix milliseconds.

    `run_id` names the run that the sale lives by, and `run` is that one, or an earlier one where
    the sale is looked at from there. `others` are all its other runs where they were read along,
    which only what concerns them all does; two values that differ in them alone are equal.
    `version` counts the events that changed the sale's own row. `price_msat` is fixed when the cost
    is known, from `priced_pusd`; `credit_used_msat` is the part of it paid from credit.
    `payment_hash` is stored before the invoice is asked for. `paid_msat` is what the node received.
    `keep_until_ms` is when the bodies' key is dropped, None when no key is kept. `fallback` says
    why the first run does not ask the model that was asked for. `continued_as` is of books from
    before revision 0014: the sale in which this one, having failed, went on. `quarantine` says what
    could not be booked of it: while it is there no timer runs, whatever the state, and the operator
    has to look. `key_id` is the API key that asked: its limits count this sale, and credit pays all
    of it. `extensions` counts how often what is reserved of credit was extended, `extended_msat` by
    how much in all. Of a `task` the runs so far are summed up in `priced_pusd`, `answer_sha256` is
    the digest of what its seller has sealed, and `closing` how it was closed. `route` is
    as in `Opening`, and so is `privacy`. `budgets` are the codes of the accounts that its budgets
    are, chosen when it opened.
    """

    escrow_id: str
    caller_id: str
    ask: AskKey
    quote: Quote
    stream: bool
    opened_at_ms: int
    changed_at_ms: int
    state: EscrowState
    version: int
    run_id: str
    run: Run
    others: tuple[Run, ...] = field(default=(), compare=False)
    mode: Mode = Mode.ESCROW
    priced_pusd: int = 0
    price_msat: int = 0
    credit_used_msat: int = 0
    attempt: int = 0
    payment_hash: str | None = None
    invoice: IssuedInvoice | None = None
    paid_msat: int = 0
    settle_index: int = 0
    settled_at_ms: int | None = None
    failure: Failure | None = None
    keep_until_ms: int | None = None
    fallback: Fallback | None = None
    continued_as: str | None = None
    quarantine: str | None = None
    key_id: str | None = None
    extensions: int = 0
    extended_msat: int = 0
    task: TaskTerms | None = None
    answer_sha256: str | None = None
    closing: TaskClosing | None = None
    route: str | None = None
    budgets: str = ""
    privacy: str = ""

    @classmethod
    def opened(cls, opening: Opening, *, upstream: str, requested_by: str | None = None) -> Escrow:
        """The row as it opens, its run sent to `upstream`: requested with `requested_by`."""
        at_ms = opening.opened_at_ms
        *others, run = opened_runs(
            opening.escrow_id,
            at_ms=at_ms,
            upstream=ASKS_NOBODY if opening.task else upstream,
            requested_by=requested_by,
            held_pusd=None if opening.task else opening.quote.opening_pusd,
            panel=read_panel(opening.route).opened(opening.quote.opening_of)
            if opening.mode is Mode.PANEL
            else (),
        )
        return cls(
            **{name: getattr(opening, name) for name in Opening.__dataclass_fields__},
            changed_at_ms=at_ms,
            state=EscrowState.RUNNING,
            version=1,
            run_id=run.run_id,
            run=run,
            others=tuple(others),
        )

    @property
    def progress(self) -> Progress:
        """How far it is, as callers read it: as its run while running or priced, else as itself.

        A task is open until it is closed, and a panel requested until there is a report.
        """
        running = self.state in {EscrowState.RUNNING, EscrowState.PRICED}
        if running and self.sells_several:
            reported = Progress.GENERATED if self.answer_sha256 else Progress.REQUESTED
            return Progress.COSTED if self.closing else Progress.OPENED if self.task else reported
        return Progress(self.run.state.value if running else self.state.value)

    @property
    def task_state(self) -> str:
        """How far a task is, in its seller's and the operator's word: `open` until it is closed."""
        return OPEN_TASK if self.state is EscrowState.RUNNING else self.progress.value

    @property
    def versions(self) -> tuple[int, int]:
        """How many events changed the sale, and its run; an equal pair: nothing came between."""
        return (self.version, self.run.version)

    @property
    def looks_back(self) -> bool:
        """Whether it is looked at from a run that it no longer lives by."""
        return self.run.run_id != self.run_id

    @property
    def runs(self) -> tuple[Run, ...]:
        """Its runs that are at hand, by their numbers."""
        if not self.others:
            return (self.run,)
        return tuple(sorted((self.run, *self.others), key=lambda run: run.number))

    @property
    def runs_made(self) -> int:
        """How many runs it has had, at hand or not."""
        return run_number(self.run_id, self.escrow_id)

    @property
    def next_run_id(self) -> str:
        """What the next run of it would be called."""
        return run_id_of(self.escrow_id, self.runs_made + 1)

    def with_runs(self, runs: Iterable[Run]) -> Escrow:
        """This sale with all its `runs` at hand: those that are not its `run` are its `others`."""
        own_id = self.run.run_id
        return replace(self, others=tuple(run for run in runs if run.run_id != own_id))

    def with_run_of(self, other: Escrow) -> Escrow:
        """This sale, with its runs as they stand in another value of it."""
        return replace(self, run_id=other.run_id, run=other.run, others=other.others)

    def seen_from(self, run_id: str) -> Escrow:
        """This sale with another of its runs at hand as its `run`; unchanged where that is not."""
        if run_id == self.run.run_id:
            return self
        runs = {run.run_id: run for run in self.runs}
        run = runs.pop(run_id, None)
        return self if run is None else replace(self, run=run, others=tuple(runs.values()))

    @property
    def model(self) -> str:
        """The model that its run asks."""
        return self.run.instead.model if self.run.instead else self.quote.model

    @property
    def prices(self) -> ModelPrice:
        """The unit prices that the upstream of its run may not exceed."""
        return self.run.instead.prices if self.run.instead else self.quote.prices

    @property
    def days(self) -> Days:
        """The accounts by UTC day on which its cost counts while nobody has paid."""
        quote = self.quote
        return Days(
            day=quote.day,
            newcomer=quote.newcomer,
            address=self.ask.address,
            least_pusd=quote.least_pusd,
            opening_pusd=quote.opening_pusd,
        )

    @property
    def asked_model(self) -> str:
        """The model that the caller asked for."""
        return self.fallback.asked_model if self.fallback else self.quote.model

    @property
    def fallback_now(self) -> Fallback | None:
        """Why its run does not ask the model that was asked for; None where it does."""
        instead = self.run.instead
        if instead is None or self.sells_several:
            return self.fallback
        return Fallback(asked_model=self.asked_model, reason=instead.because)

    @property
    def at_risk_id(self) -> str:
        """Whose cap bounds what may stay unpaid of it: a task's seller, else its caller."""
        return self.task.seller_id if self.task else self.caller_id

    @property
    def sells_several(self) -> bool:
        """Whether its price is that of several runs, of which one that fails is no end of it."""
        return self.mode in SELLS_SEVERAL

    @property
    def sold_runs(self) -> tuple[Run, ...]:
        """The runs whose cost its price is to pay: of several all that have answered."""
        if not self.sells_several:
            return (self.run,)
        return tuple(run for run in self.runs if run.has_answered)

    @property
    def fee_msat(self) -> int:
        """What of its price is the seller's own."""
        return self.closing.fee_msat if self.closing else 0

    @property
    def left_pusd(self) -> int:
        """What a task's next run may cost at most."""
        return max(self.quote.ceiling_pusd - self.priced_pusd, 0)

    @property
    def payable_since_ms(self) -> int:
        """When what its invoice asks for can have been known at the earliest, in Unix ms."""
        return self.changed_at_ms if self.task else self.opened_at_ms

    @property
    def due_msat(self) -> int:
        """What is left to pay over Lightning after credit."""
        return self.price_msat - self.credit_used_msat

    @property
    def cost_pusd(self) -> int:
        """The cost booked so far; 0 while unknown."""
        return self.run.cost_pusd

    @property
    def bought_late(self) -> bool:
        """Whether credit bought it after its invoice had lapsed."""
        return self.invoice is not None and self.settled_at_ms is not None and not self.due_msat

    @property
    def occupies_ask(self) -> bool:
        """Whether an identical ask must find this escrow instead of opening another.

        Not once it was bought late: the same ask may have been opened anew in between.
        """
        return STATES[self.state].occupies_ask and not self.bought_late

    @property
    def paid_by_invoice(self) -> bool:
        """Whether reading it takes its own macaroon and preimage."""
        return self.invoice is not None

    @property
    def reserved_msat(self) -> int:
        """What is reserved of the caller's credit, as long as it is."""
        return self.quote.credit_reserved_msat + self.extended_msat

    @property
    def most_msat(self) -> int:
        """The most that can be charged: what is reserved where that grows, else the ceiling."""
        return self.reserved_msat if self.quote.grows else self.quote.ceiling_msat

    def price_of(self, cost_pusd: int) -> Price:
        """What its run at this cost is sold for, never above `most_msat`."""
        quote = self.quote
        return price_for(cost_pusd, ceiling_msat=self.most_msat, rate=quote.rate, terms=quote.terms)

    def price_of_run(self, cost_pusd: int) -> Price:
        """What its run alone comes to at this cost, within that run's own ceiling."""
        return self.price_of(self.run.billed_pusd(cost_pusd))

    @property
    def run_ceiling_pusd(self) -> int:
        """What its run alone may cost at most."""
        most_pusd = self.run.most_pusd
        return self.quote.ceiling_pusd if most_pusd is None else most_pusd

    def believes(self, cost_pusd: int) -> bool:
        """Whether its run can have cost so much: beyond ten ceilings somebody is mistaken."""
        return cost_pusd <= BELIEVED_CEILINGS * self.run_ceiling_pusd

    @property
    def kept_if_unclaimed_msat(self) -> int:
        """What stays ours if it is paid for and never claimed: what it cost us (A12).

        The fee of a seller whose answer nobody fetched goes back to the buyer with the rest.
        """
        return kept_when_lapsed_msat(
            self.priced_pusd if self.sells_several else self.cost_pusd,
            price_msat=self.price_msat - self.fee_msat,
            rate=self.quote.rate,
            terms=self.quote.terms,
        )

    def overrun_of(self, cost_pusd: int) -> int:
        """What of a cost goes beyond a reservation that grows, in pico-USD at our price for it."""
        if not self.quote.grows:
            return 0
        return pusd_from_msat(self.price_of(cost_pusd).overrun_msat, self.quote.rate)

    @property
    def price(self) -> Price:
        """The price and its parts, computed again from `priced_pusd` on the quote's terms."""
        return self.price_of(self.priced_pusd)
