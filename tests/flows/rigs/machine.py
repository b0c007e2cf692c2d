"""The rules of a shop that anything may happen to: a hypothesis state machine over the flows.

After every rule the watch looks at the books; at the end everything is let run out and audited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cobot_meter.adapters.lightning.dev_node.signing import change_faults
from cobot_meter.domain.api_key.record import ApiKey, KeyLimits, KeyWish
from cobot_meter.domain.escrow.states import Progress
from tests.fakes.books import Crash, Moment
from tests.fakes.upstream_outcomes import (
    FREE_MODEL,
    NEVER,
    OTHER_MODEL,
    Completes,
    Failed,
    Outcome,
    Refused,
    Unknown,
    Unreachable,
)
from tests.flows.rigs.growing import asked_by, long_answer
from tests.flows.rigs.shop import Shop, Tally, picked
from tests.flows.rigs.stories import DAY_S, HOUR_S, LAPSE_S, ask_of

Asker = tuple[str | None, str]
ASKERS: tuple[Asker, ...] = (
    (None, "203.0.113.7"),
    (None, "2001:db8::"),
    ("c_alice", "203.0.113.7"),
    ("c_bob", "198.51.100.2"),
)
BODIES = (b'{"messages":["one"]}', b'{"messages":["two"]}', b'{"messages":["three"]}')
MIDDLING = "0.0000700"
COSTS = ("0.0000100", MIDDLING, "0.0001400", "0.0003000")  # the last is above the ceiling
# A request of these is reserved at some 9,000 msat.
LIMITS = (
    KeyLimits(),
    KeyLimits(limit_msat=25_000),
    KeyLimits(day_limit_msat=20_000),
    KeyLimits(limit_msat=1_000_000, day_limit_msat=30_000),
)
KEY_WORDS = ("revoke", "change", "rotate")
KEYS_MAX = 4
JUMPS_S = (1, 61, LAPSE_S, HOUR_S, DAY_S, 25 * HOUR_S, 31 * DAY_S, -HOUR_S)

# How many pieces of an answer are read before its reader hangs up; the last is more than any has.
reads = st.sampled_from((1, 2, 3, 4, 5, 6, 99, 99))
long_reads = st.sampled_from((1, 50, 150, 300, 9_999))
questions = st.sampled_from(("?", "!"))
picks = st.integers(min_value=0, max_value=23)
askers = st.sampled_from(ASKERS)
bodies = st.sampled_from(BODIES)
costs = st.sampled_from(COSTS)
lags = st.sampled_from((0, 0, 1, NEVER))
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Completes, cost=costs, lookups_before_record=lags),
    st.builds(Completes, cost=costs, lookups_before_record=lags, inline_cost=st.just(MIDDLING)),
    st.builds(Completes, cost=costs, lookups_before_record=lags, says_cost=st.just(False)),
    st.builds(Failed, cost=costs, says_cost=st.booleans(), lookups_before_record=lags),
    st.builds(Unknown, cost=costs, announced=st.booleans(), lookups_before_record=lags),
    st.just(Refused()),
    st.just(Unreachable()),
)


def _node(**faults: int | bool) -> Callable[[Shop, int], None]:
    def disturb(shop: Shop, pick: int) -> None:
        shop.node.set_faults(change_faults(shop.node.faults, faults))

    return disturb


def _upstream(*, reachable: bool) -> Callable[[Shop, int], None]:
    def disturb(shop: Shop, pick: int) -> None:
        shop.lasting.upstream.reachable = reachable

    return disturb


def _records_appear(shop: Shop, pick: int) -> None:
    for run in shop.lasting.upstream.runs:
        shop.lasting.upstream.record_appears(run.generation_id)


def _a_seal_breaks(shop: Shop, pick: int) -> None:
    if kept := list(shop.books.rows.bodies):
        shop.break_a_seal(picked(kept, pick))


def _killed(shop: Shop, pick: int) -> None:
    shop.restart()


def _outage(shop: Shop, pick: int) -> None:
    shop.outage_s = picked((61, HOUR_S, 2 * DAY_S), pick)


def _parked(shop: Shop, pick: int) -> None:
    if escrows := list(shop.books.rows.escrows):
        shop.park(picked(escrows, pick))


def _let_go_on(shop: Shop, pick: int) -> None:
    shop.operator_lets_go(pick)


def _written_off(shop: Shop, pick: int) -> None:
    shop.operator_lets_go(pick, write_off=True)


def _clock_set(seconds: int) -> Callable[[Shop, int], None]:
    def disturb(shop: Shop, pick: int) -> None:
        shop.lasting.clock.step(seconds)

    return disturb


def _operator(cap_msat: int | None) -> Callable[[Shop, int], None]:
    return lambda shop, pick: shop.operator_says(picked(("c_alice", "c_bob"), pick), cap_msat)


DISTURBANCES: Mapping[str, Callable[[Shop, int], None]] = {
    "the node is down": _node(down=True),
    "the node is up": _node(down=False, refuses_adds=False, holds_expiry=False),
    "the node loses a reply": _node(lost_add_replies=1),
    "the node refuses invoices": _node(refuses_adds=True),
    "the node keeps expired invoices open": _node(holds_expiry=True),
    "the upstream is down": _upstream(reachable=False),
    "the upstream is up": _upstream(reachable=True),
    "every cost can be looked up at last": _records_appear,
    "a stored completion cannot be read": _a_seal_breaks,
    "the operator sets a cap": _operator(150_000),
    "the operator closes a caller": _operator(0),
    "the operator returns to the formula": _operator(None),
    "an escrow cannot be booked": _parked,
    "the operator lets what is parked go on": _let_go_on,
    "the operator writes what is parked off": _written_off,
    "the clock is set a day forward": _clock_set(DAY_S),
    "the clock is set an hour back": _clock_set(-HOUR_S),
    "the process is killed between two commits": _killed,
    "the next restart takes longer": _outage,
}


class ShopMachine(RuleBasedStateMachine):
    """Plays one shop."""

    def __init__(self, tally: Tally, shop: type[Shop] = Shop) -> None:
        """`tally` outlives the machine; `shop` may write to other books."""
        super().__init__()
        self.shop = shop(tally)

    @rule(asker=askers, body=bodies, outcome=outcomes)
    def ask(self, asker: Asker, body: bytes, outcome: Outcome) -> None:
        """Somebody asks, perhaps the same as before."""
        caller_id, address = asker
        self.shop.ask(ask_of(caller_id=caller_id, body=body, address=address), outcome)

    @rule(asker=askers, body=bodies, extra_msat=st.sampled_from((0, 1, 5_000)), cost=costs)
    def buy(self, asker: Asker, body: bytes, extra_msat: int, cost: str) -> None:
        """Somebody asks, pays at once and claims, as most do."""
        self.ask(asker, body, Completes(cost=cost))
        if self.shop.tokens:
            self.pay(-1, extra_msat, heard=extra_msat != 1)
            self.shop.claim(-1)

    @rule(asked=st.lists(st.tuples(askers, bodies), min_size=2, max_size=6), outcome=outcomes)
    def ask_at_once(self, asked: list[tuple[Asker, bytes]], outcome: Outcome) -> None:
        """Some ask in the same moment, some of them the same."""
        asks = [
            ask_of(caller_id=caller_id, body=body, address=address)
            for (caller_id, address), body in asked
        ]
        self.shop.ask_at_once(asks, outcome)

    @rule()
    def everybody_at_once(self) -> None:
        """Stream, sweep and timers tell the same facts in the same moment."""
        process = self.shop.process
        settled = self.shop.settlements()
        self.shop.do_at_once(
            process.hear(*settled),
            process.recover.open_invoices(),
            process.tick(),
            process.hear(*reversed(settled)),
            process.compare_costs.compare(),
        )

    @rule(asker=askers, body=bodies, cost=costs, key=st.sampled_from(("one", "two")))
    def ask_with_a_key(self, asker: Asker, body: bytes, cost: str, key: str) -> None:
        """An Idempotency-Key comes with the ask, perhaps with another body than before."""
        caller_id, address = asker
        plain = ask_of(caller_id=caller_id, body=body, address=address)
        self.shop.ask(replace(plain, idempotency_key=key), Completes(cost=cost))

    @rule(
        asker=askers,
        body=bodies,
        outcomes=st.tuples(outcomes, outcomes),
        key=st.sampled_from((None, "one")),
    )
    def ask_in_a_chain(
        self, asker: Asker, body: bytes, outcomes: tuple[Outcome, Outcome], key: str | None
    ) -> None:
        """Should the first model fail, another may be asked, and then a free one."""
        caller_id, address = asker
        plain = ask_of(caller_id=caller_id, body=body, address=address)
        chain = (OTHER_MODEL.model_id, FREE_MODEL.model_id)
        request = replace(plain.request, fallback_models=chain)
        self.shop.lasting.upstream.by_model = {OTHER_MODEL.model_id: outcomes[1]}
        self.shop.ask(replace(plain, request=request, idempotency_key=key), outcomes[0])

    @precondition(lambda self: self.shop.tokens)
    @rule(pick=picks, body=bodies, outcome=outcomes)
    def ask_with_an_old_token(self, pick: int, body: bytes, outcome: Outcome) -> None:
        """Somebody whom we know asks anew."""
        caller_id, _, earlier = picked(self.shop.tokens, pick)
        self.shop.ask(ask_of(caller_id=caller_id, body=body, address=earlier.address), outcome)

    @precondition(lambda self: self.shop.tokens)
    @rule(pick=picks)
    def claim(self, pick: int) -> None:
        """Whoever has paid shows macaroon and preimage."""
        self.shop.claim(pick)

    @precondition(lambda self: self.shop.tokens)
    @rule(pick=picks, extra_msat=st.sampled_from((0, 0, 1, 5_000)), heard=st.booleans())
    def pay(self, pick: int, extra_msat: int, *, heard: bool) -> None:
        """A wallet pays an invoice that was handed out; the node's stream tells of it or not."""
        escrow = self.shop.books.rows.escrows[picked(self.shop.tokens, pick)[1]]
        if escrow.invoice is not None:
            amount_msat = escrow.invoice.amount_msat + extra_msat
            self.shop.pay(escrow.invoice.payment_request, amount_msat)
        if heard and (settled := self.shop.settlements()):
            self.shop.do(self.shop.process.hear(*settled))

    @rule(name=st.sampled_from(("one", "two", "three")), sat=st.sampled_from((30, 400)))
    def open_task(self, name: str, sat: int) -> None:
        """A seller opens a task for a few runs, or for many."""
        self.shop.open_task(name, sat * 1_000)

    @rule(
        pick=picks,
        word=st.sampled_from(("run", "run", "run", "answer", "answer", "close", "give up")),
        outcomes=st.lists(outcomes, min_size=1, max_size=2),
    )
    def on_task(self, pick: int, word: str, outcomes: list[Outcome]) -> None:
        """Its seller runs, answers, closes it or gives it up."""
        self.shop.on_task(pick, word, outcomes)

    @rule(cost=costs, pick=picks)
    def sell_a_task(self, cost: str, pick: int) -> None:
        """A whole task, as most are."""
        self.shop.open_task(f"whole {pick % 4}", 400_000)
        for word in ("run", "run", "answer", "close"):
            self.shop.on_task(-1, word, (Completes(cost=cost),))
        if self.shop.tokens:
            self.pay(-1, 0, heard=pick % 2 == 0)
            self.shop.claim(-1)

    @rule(caller_id=st.sampled_from(("c_alice", "c_bob", None)), paid=st.booleans())
    def top_up(self, caller_id: str | None, *, paid: bool) -> None:
        """An empty ask is offered a top-up, and perhaps pays it."""
        self.shop.top_up(caller_id, paid=paid)

    @rule(caller_id=st.sampled_from(("c_alice", "c_bob")), limits=st.sampled_from(LIMITS))
    def make_key(self, caller_id: str, limits: KeyLimits) -> None:
        """The owner of some credit makes a key, of which there are a few."""
        if len(self.shop.keys) < KEYS_MAX:
            self.shop.make_key(caller_id, limits)

    @rule(asked=st.lists(st.tuples(picks, bodies), min_size=1, max_size=6), outcome=outcomes)
    def ask_by_keys(self, asked: list[tuple[int, bytes]], outcome: Outcome) -> None:
        """Agents with keys ask in the same moment, some of them the same."""
        keys = self._keys()
        if not keys:
            return  # killed before one was made
        asks = [self.shop.of_key(picked(keys, pick), body) for pick, body in asked]
        self.shop.ask_at_once(asks, outcome)

    @rule(
        asked=st.lists(st.tuples(picks, bodies, reads), min_size=1, max_size=4),
        outcome=outcomes,
        again=st.booleans(),
    )
    def ask_live_by_keys(
        self, asked: list[tuple[int, bytes, int]], outcome: Outcome, *, again: bool
    ) -> None:
        """Agents read as it comes and hang up anywhere; perhaps all send the same again at once."""
        keys = self._keys()
        if not keys:
            return  # killed before one was made
        asks = [self.shop.of_key(picked(keys, pick), body) for pick, body, _ in asked]
        read = [most for _, _, most in asked]
        self.shop.ask_live(asks, outcome, read)
        if again:
            self.shop.ask_live(asks, outcome, list(reversed(read)))

    @rule(
        asked=st.lists(st.tuples(picks, questions, long_reads), min_size=1, max_size=3),
        cut_cost=st.sampled_from((None, "0.001", "0.02")),
        live=st.booleans(),
    )
    def ask_at_length(
        self, asked: list[tuple[int, str, int]], cut_cost: str | None, *, live: bool
    ) -> None:
        """Agents ask for more than is reserved at first, and perhaps for more than they have."""
        keys = self._keys()
        if not keys:
            return  # killed before one was made
        asks = [asked_by(picked(keys, pick), question) for pick, question, _ in asked]
        outcome = long_answer(cut_cost=cut_cost)
        if live:
            self.shop.ask_live(asks, outcome, [most for _, _, most in asked])
        else:
            self.shop.ask_at_once(asks, outcome)

    def _keys(self) -> list[ApiKey]:
        """Those there are, and one where there are none."""
        if not self.shop.keys:
            self.shop.make_key("c_alice", KeyLimits())
        return self.shop.keys

    @precondition(lambda self: self.shop.keys)
    @rule(pick=picks, limits=st.sampled_from(LIMITS), word=st.sampled_from(KEY_WORDS))
    def owner_speaks(self, pick: int, limits: KeyLimits, word: str) -> None:
        """A key gets other limits or another text, or is ended."""
        keys, key = self.shop.process.flows.manage_keys, picked(self.shop.keys, pick)
        own = (key.caller_id, key.key_id)
        match word:
            case "change":
                self.shop.do(keys.change(*own, lambda _: KeyWish(limits=limits)))
            case "rotate":
                self.shop.do(keys.rotate(*own))
            case _:
                self.shop.do(keys.revoke(*own))

    @rule(pick=picks, times=st.integers(min_value=1, max_value=2))
    def stream(self, pick: int, times: int) -> None:
        """The node's stream tells one settlement, new or old, perhaps twice."""
        if settled := self.shop.settlements():
            self.shop.do(self.shop.process.hear(*[picked(settled, pick)] * times))

    @rule(pick=picks, extra_msat=st.sampled_from((0, 3_000)))
    def settle_late(self, pick: int, extra_msat: int) -> None:
        """A canceled invoice turns out paid."""
        rows = self.shop.books.rows.escrows.values()
        if lapsed := [one for one in rows if one.progress is Progress.EXPIRED]:
            self.shop.settle_late(picked(lapsed, pick), extra_msat)

    @rule(free=st.booleans())
    def turns_change(self, *, free: bool) -> None:
        """Runs are all busy from here on, so that asks wait their turn; or they are not."""
        self.shop.lasting.turns_free = free

    @rule()
    def compare(self) -> None:
        """Our costs against the upstream's usage."""
        self.shop.compare()

    @rule(jump_s=st.sampled_from(JUMPS_S), ticks=st.booleans())
    def time_passes(self, jump_s: int, *, ticks: bool) -> None:
        """The clock jumps, backwards too, and the background notices or does not."""
        self.shop.lasting.clock.advance(jump_s)
        if ticks:
            self.shop.tick()

    @rule()
    def tick(self) -> None:
        """A turn of the background."""
        self.shop.tick()

    @rule(moment=st.sampled_from(Moment), commits=st.integers(min_value=0, max_value=8))
    def arm(self, moment: Moment, commits: int) -> None:
        """The process will die at one of its next commits."""
        self.shop.arm(Crash(moment=moment, commits=commits))

    @rule(pick=picks, disturbance=st.sampled_from(tuple(DISTURBANCES)))
    def disturb(self, pick: int, disturbance: str) -> None:
        """Something around us changes, for a while or for good."""
        DISTURBANCES[disturbance](self.shop, pick)

    @invariant()
    def holds(self) -> None:
        """The books are sound after every rule."""
        self.shop.check()

    def teardown(self) -> None:
        """Everything comes to its end, and the end is audited."""
        try:
            self.shop.run_out()
        finally:
            self.shop.close()
