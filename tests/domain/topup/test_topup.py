"""Top-ups: every event in every state, what each changes, and B1 once for every payment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import get_args

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.topup import events as on
from cobot_meter.domain.topup.machine import TOPUP_TRANSITIONS, advance, topup_changes
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.topups import (
    TOPUP_KINDS,
    open_topup,
    topup_event_of,
    topup_transition,
)
from tests.domain.escrow.walks import lines
from tests.domain.samples import NODE, PUBKEY
from tests.domain.topup.stages import (
    EVENTS,
    INVOICED,
    LAPSED,
    LIFTED,
    LOST,
    PARKED,
    STAGES,
    TOPUP,
    WRITTEN_OFF,
    paid,
    parked,
    told,
)

S = TopupState
# As drawn in the design, told once more; what the operator says is added below.
DRAWN: Mapping[TopupState, Mapping[type[on.TopupEvent], TopupState]] = {
    S.OPENED: {
        on.TopupInvoiced: S.INVOICED,
        on.TopupInvoiceLost: S.OPENED,
        on.TopupCredited: S.CREDITED,
        on.TopupLapsed: S.LAPSED,
    },
    S.INVOICED: {on.TopupCredited: S.CREDITED, on.TopupLapsed: S.LAPSED},
    S.LAPSED: {on.TopupCredited: S.CREDITED},
    S.CREDITED: {},
}
# The fields that each event sets, beside the version and a state that is another one.
SETS: Mapping[type[on.TopupEvent], Mapping[str, object]] = {
    on.TopupInvoiced: {"payment_request": "lnbcrt1", "expires_at_s": 1},
    on.TopupInvoiceLost: {"attempt": 1, "payment_hash": "h1"},
    on.TopupLapsed: {},
    on.TopupCredited: {"paid_msat": 1_500, "settle_index": 3},
    on.TopupQuarantined: {"quarantine": "topup_credited: it is too large"},
    on.TopupLifted: {"quarantine": None},
    on.TopupWrittenOff: {"quarantine": None},
}


def _hash(digest: str, payment_hash: str = "h0") -> str:
    """Facts that are no more than a hash and the row's digest."""
    return f'{{"payment_hash": "{payment_hash}", "row_sha256": "1:{digest}"}}'


def expected(state: TopupState, event: type[on.TopupEvent]) -> TopupState | None:
    """Where the design leads, None where it leads nowhere."""
    if event in {on.TopupQuarantined, on.TopupLifted}:
        return state
    if event is on.TopupWrittenOff:
        return S.CREDITED if state is S.CREDITED else S.LAPSED
    return DRAWN[state].get(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("waiting", [False, True], ids=["going on", "in quarantine"])
def test_every_event_in_every_state(
    *, state: TopupState, event: type[on.TopupEvent], waiting: bool
) -> None:
    """What the design draws leads there and sets that; anything else raises and changes nothing."""
    topup = parked(state) if waiting else STAGES[state]
    untouched, target = replace(topup), expected(state, event)
    word = EVENTS[event](topup)
    if target is None:
        with pytest.raises(IllegalTransition, match=f"cannot happen to a top-up that is {state}"):
            advance(topup, word)
    else:
        moved = {} if target is state else {"state": target}
        assert topup_changes(topup, word) == {
            "version": topup.version + 1,
            **moved,
            **SETS[event],
        }
        assert advance(topup, word).state is target
    assert topup == untouched


def test_every_event_type_is_tested() -> None:
    """A new event cannot be forgotten here, nor an old one in the table."""
    every = set(get_args(on.TopupEvent))
    assert set(EVENTS) == set(SETS) == every
    assert {event for _, event in TOPUP_TRANSITIONS} == every
    assert set(STAGES) == set(DRAWN) == set(S)


def test_a_payment_of_another_invoice_is_refused() -> None:
    """The node spoke of somebody else's."""
    other = replace(paid(TOPUP), payment_hash="h9")
    with pytest.raises(IllegalTransition, match="another invoice"):
        advance(TOPUP, other)


def test_only_what_an_event_sets_is_written() -> None:
    """A transition names the fields that may differ from the row before."""
    for event in (INVOICED, LOST, LAPSED, paid(TOPUP), PARKED, LIFTED, WRITTEN_OFF):
        transition = topup_transition(TOPUP, event, at_ms=1)
        after = transition.topup
        assert after is not None
        differ = {
            field.name
            for field in fields(Topup)
            if getattr(after, field.name) != getattr(TOPUP, field.name)
        }
        assert differ <= set(transition.topup_changed)
        assert transition.topup_changed == tuple(topup_changes(TOPUP, event))
    assert open_topup(TOPUP).topup_changed == ()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_an_entry_is_read_as_the_event_that_was_told(event: type[on.TopupEvent]) -> None:
    """From its facts, and of an invoice from the row: the journal does not repeat its text."""
    word = EVENTS[event](TOPUP)
    entry = topup_transition(TOPUP, word, at_ms=1)
    assert entry.topup is not None
    assert topup_event_of(entry.kind, entry.facts, entry.topup) == word


def test_an_entry_that_no_event_fits_is_not_read() -> None:
    """Neither another kind, nor a payment without an amount; an opening is no event."""
    facts = topup_transition(TOPUP, paid(TOPUP), at_ms=1).facts
    without = {name: fact for name, fact in facts.items() if name != "paid_msat"}
    with pytest.raises(ValueError, match="lacks the fact 'paid_msat'"):
        topup_event_of("topup_credited", without, TOPUP)
    for kind in ("topup_opened", "invoice_settled"):
        with pytest.raises(ValueError, match="no event of a top-up is called"):
            topup_event_of(kind, facts, TOPUP)


def test_the_journals_words_for_it_are_those_of_the_first_books() -> None:
    """Entries of every version have these kinds: a renamed event would be another word."""
    assert {
        "topup_opened",
        "topup_invoiced",
        "topup_invoice_lost",
        "topup_lapsed",
        "topup_credited",
        "topup_quarantined",
        "topup_lifted",
        "topup_written_off",
    } == TOPUP_KINDS


# What the version before events wrote of the same: key, facts in their order, and postings.
ENTRIES: Mapping[str, tuple[str, str, list[str]]] = {
    "topup_opened": ("top_1/topup_opened/0", _hash("4614be8ba63ea68cace28c552df5f36d"), []),
    "topup_invoiced": ("top_1/topup_invoiced/0", _hash("586ed6a146b40c14b038e0dcf4131da3"), []),
    "topup_invoice_lost": (
        "top_1/topup_invoice_lost/1",
        _hash("f71ba1e7e81674bc1b6895a39e2dc182", "h1"),
        [],
    ),
    "topup_lapsed": ("top_1/topup_lapsed/0", _hash("0fa569b50fe53e31ed77c0cb4f37368f"), []),
    "topup_credited": (
        "ln/h0",
        (
            '{"payment_hash": "h0", "paid_msat": 1500, "settle_index": 3, "node_alias": "dev", '
            f'"node_pubkey": "{PUBKEY}", "row_sha256": "1:83340ed81edc44d20e4b011506eba787"}}'
        ),
        ["posted node / available 1500"],
    ),
    "topup_quarantined": (
        "top_1/topup_quarantined/3",
        (
            '{"payment_hash": "h0", "reason": "topup_credited: it is too large", '
            '"row_sha256": "1:3c9e429fb94621f4b0ca181354eb47b9"}'
        ),
        [],
    ),
    "topup_lifted": ("top_1/topup_lifted/4", _hash("ef74b92cee68149703e4169ec16edb13"), []),
    "topup_written_off": (
        "top_1/topup_written_off/4",
        (
            '{"payment_hash": "h0", "reason": "looked at", '
            '"row_sha256": "1:cf14f07f464626dbf79bf578f96e7b64"}'
        ),
        [],
    ),
}


def test_entries_are_what_they_were_to_the_byte() -> None:
    """Older versions read them, and digests of older books stay true."""
    issued = told(TOPUP, INVOICED)
    waiting = told(issued, PARKED)
    before: Mapping[on.TopupEvent, Topup] = {
        INVOICED: TOPUP,
        LOST: TOPUP,
        LAPSED: issued,
        paid(TOPUP): issued,
        PARKED: issued,
        LIFTED: waiting,
        WRITTEN_OFF: waiting,
    }
    entries = [
        open_topup(TOPUP),
        *(topup_transition(row, event, at_ms=1) for event, row in before.items()),
    ]
    assert {
        entry.kind: (entry.key, json.dumps(dict(entry.facts)), lines(entry)) for entry in entries
    } == ENTRIES


def test_b1_is_keyed_by_its_payment() -> None:
    """However often and by whomever a settlement is told, it is one journal row."""
    first = topup_transition(TOPUP, paid(TOPUP), at_ms=1)
    late = topup_transition(told(TOPUP, LAPSED), paid(TOPUP), at_ms=2)
    assert first.key == late.key == "ln/h0"
    assert lines(first) == lines(late) == ["posted node / available 1500"]
    assert first.cursor is not None
    assert (first.cursor.node_pubkey, first.cursor.settle_index) == (PUBKEY, 3)
    assert first.transfers[0].debit.code == f"ln/node/{NODE}"


def test_what_is_unpaid_moves_no_money() -> None:
    """Opening opens the caller's accounts, and books nothing; so does all but the payment."""
    opening = open_topup(TOPUP)
    assert (len(opening.accounts), opening.transfers, opening.cursor) == (4, (), None)
    keys = {opening.key}
    for event in (INVOICED, LOST, LAPSED, PARKED, LIFTED, WRITTEN_OFF):
        entry = topup_transition(TOPUP, event, at_ms=1)
        assert (entry.accounts, entry.transfers, entry.cursor) == ((), (), None)
        keys.add(entry.key)
    assert len(keys) == 7
