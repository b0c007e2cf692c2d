"""Entries of top-ups, operators, the node and the upstream: whole, field by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow, Fallback
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.ledger.transfers import Transfer, TransferKind
from cobot_meter.domain.money import AMOUNT_MAX
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.bookings import unattributed
from cobot_meter.domain.topup import events as of_topup
from cobot_meter.domain.topup.bookings import topup_credited
from cobot_meter.domain.topup.machine import advance
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.domain.transitions.event_facts import facts_of
from cobot_meter.domain.transitions.node import (
    node_adopted,
    node_swept,
    payment_found,
    payment_set_aside,
)
from cobot_meter.domain.transitions.operator import caller_transition, releases_transition
from cobot_meter.domain.transitions.row_digests import (
    ROW,
    opened_digest,
    sealed_facts,
    topup_digest,
)
from cobot_meter.domain.transitions.topups import open_topup, topup_transition
from cobot_meter.domain.transitions.transition import (
    CallerChange,
    SettleCursor,
    StoredBodies,
    Transition,
)
from cobot_meter.domain.transitions.upstream import (
    upstream_baseline,
    upstream_key_named,
    usage_compared,
    usage_fell,
    usage_rebased,
)
from tests.domain.escrow.stages import STAGES, parked
from tests.domain.escrow.walks import lines
from tests.domain.samples import (
    BODIES,
    CALLER,
    FAILURE,
    NODE,
    NOW_MS,
    PUBKEY,
    RETENTION,
    UPSTREAM,
    opened,
    opening_of,
    settled,
    used,
)
from tests.domain.topup.stages import LIFTED, LOST, PARKED, TOPUP, WRITTEN_OFF, paid

AT_MS = NOW_MS + 7
PAID = on.InvoiceSettled(
    payment_hash="h0", paid_msat=1_500, settle_index=3, node_alias=NODE, node_pubkey=PUBKEY
)
PAID_FACTS: dict[str, str | int | None] = {
    "payment_hash": "h0",
    "paid_msat": 1_500,
    "settle_index": 3,
    "node_alias": NODE,
    "node_pubkey": PUBKEY,
}


def told(kind: str, subject_id: str, key: str, facts: dict[str, str | int | None]) -> Transition:
    """An entry that moves no money."""
    return Transition(
        key=key, kind=kind, subject_id=subject_id, caller_id=None, at_ms=AT_MS, facts=facts
    )


def test_a_topup_opens_with_its_callers_accounts() -> None:
    """They are there before anything can be booked on them; later entries find them."""
    opened_later = replace(TOPUP, opened_at_ms=AT_MS)
    assert open_topup(opened_later) == Transition(
        key="top_1/topup_opened/0",
        kind="topup_opened",
        subject_id="top_1",
        caller_id=CALLER,
        at_ms=AT_MS,
        topup=opened_later,
        accounts=caller_accounts(CALLER),
        facts={"payment_hash": "h0", ROW: topup_digest(opened_later)},
    )


def test_a_paid_topup_is_credit_and_moves_the_cursor() -> None:
    """All that was paid, once for its hash, with the node's own figures in the journal."""
    credited = advance(TOPUP, paid(TOPUP, 1_500))
    assert topup_transition(TOPUP, paid(TOPUP, 1_500), at_ms=AT_MS) == Transition(
        key="ln/h0",
        kind="topup_credited",
        subject_id="top_1",
        caller_id=CALLER,
        at_ms=AT_MS,
        topup=credited,
        topup_changed=("state", "version", "paid_msat", "settle_index"),
        transfers=topup_credited(caller_id=CALLER, node_alias=NODE, paid_msat=1_500),
        cursor=SettleCursor(node_pubkey=PUBKEY, settle_index=3),
        facts={**PAID_FACTS, ROW: topup_digest(credited)},
    )


def test_a_topups_entries_are_numbered_by_attempt() -> None:
    """The same attempt is one entry, the next one another."""
    once, again = (topup_transition(TOPUP, LOST, at_ms=AT_MS) for _ in range(2))
    assert once == again
    assert once.key == "top_1/topup_invoice_lost/1"
    assert once.facts == {"payment_hash": "h1", ROW: topup_digest(advance(TOPUP, LOST))}


@pytest.mark.parametrize(
    ("kind", "event", "reason"),
    [
        ("topup_quarantined", PARKED, "topup_credited: it is too large"),
        ("topup_lifted", LIFTED, None),
        ("topup_written_off", WRITTEN_OFF, "looked at"),
    ],
)
def test_a_topup_may_be_parked_more_than_once(
    kind: str, event: of_topup.TopupEvent, reason: str | None
) -> None:
    """Each time is another entry, by version, and says why."""
    before = (replace(TOPUP, version=4), replace(TOPUP, version=6))
    entries = [topup_transition(one, event, at_ms=AT_MS) for one in before]
    assert [entry.kind for entry in entries] == [kind, kind]
    assert [entry.key for entry in entries] == [f"top_1/{kind}/5", f"top_1/{kind}/7"]
    assert entries[0].facts.get("reason") == reason
    assert ("reason" in entries[0].facts) is (reason is not None)
    assert (entries[0].accounts, entries[0].transfers) == ((), ())
    assert entries[0].cursor is None


@pytest.mark.parametrize("stopped", [True, False])
def test_a_word_on_releases_is_numbered(*, stopped: bool) -> None:
    """Stopped or opened, and why."""
    kind = "releases_stopped" if stopped else "releases_opened"
    entry = releases_transition(sequence=3, stopped=stopped, reason="the audit", at_ms=AT_MS)
    assert entry == told(kind, "releases", "releases/3", {"reason": "the audit"})


def test_an_operators_word_on_a_caller() -> None:
    """Under the caller's own name, with its accounts."""
    change = CallerChange(blocked=True, cap_msat=9)
    assert caller_transition(CALLER, change, sequence=2, at_ms=AT_MS) == Transition(
        key=f"{CALLER}/caller_changed/2",
        kind="caller_changed",
        subject_id="operator",
        caller_id=CALLER,
        at_ms=AT_MS,
        accounts=caller_accounts(CALLER),
        caller=change,
        facts={"blocked": 1, "cap_msat": 9},
    )


def test_what_is_said_of_the_node() -> None:
    """That it was adopted, how far it was swept, and what was set aside."""
    adopted = AdoptedNode(number=2, pubkey=PUBKEY, network="regtest", alias=NODE)
    facts: dict[str, str | int | None]
    facts = {"pubkey": PUBKEY, "network": "regtest", "alias": NODE}
    entry = told("node_adopted", "node", "node/node_adopted/2", facts)
    assert node_adopted(adopted, at_ms=AT_MS) == replace(entry, node=adopted)
    facts = {"pubkey": PUBKEY, "through_s": 60, "seen": 4}
    swept = node_swept(number=5, pubkey=PUBKEY, through_s=60, counted={"seen": 4}, at_ms=AT_MS)
    assert swept == told("node_swept", "node", "node/node_swept/5", facts)
    facts = {"payment_hash": "h0", "paid_msat": 8, "reason": "a gift"}
    aside = payment_set_aside("h0", paid_msat=8, reason="a gift", at_ms=AT_MS)
    assert aside == told("payment_set_aside", "node", "node/payment_set_aside/h0", facts)


def test_a_found_payment_is_its_payers_credit() -> None:
    """Keyed as any settlement of its hash."""
    assert payment_found(CALLER, PAID, at_ms=AT_MS) == Transition(
        key="ln/h0",
        kind="payment_found",
        subject_id="node",
        caller_id=CALLER,
        at_ms=AT_MS,
        accounts=caller_accounts(CALLER),
        transfers=topup_credited(caller_id=CALLER, node_alias=NODE, paid_msat=1_500),
        cursor=SettleCursor(node_pubkey=PUBKEY, settle_index=3),
        facts=PAID_FACTS,
    )


def test_what_is_said_of_the_upstreams_usage() -> None:
    """Compared, counted from, named, fallen and rebased: each under its own key."""
    compared = usage_compared(used(70, "k"), sequence=4, cost_pusd=5, baseline=1, at_ms=AT_MS)
    facts: dict[str, str | int | None] = {
        "usage_usd": "0.00000000007",
        "unattributed_usd": "0.000000000005",
        "baseline": 1,
        "upstream": UPSTREAM,
        "usage_pusd": 70,
        "upstream_key": "k",
    }
    entry = told("usage_compared", "upstream", "upstream/usage_compared/4", facts)
    assert compared == replace(entry, transfers=unattributed(5, upstream=UPSTREAM))
    assert upstream_baseline(used(7, "k"), at_ms=AT_MS) == told(
        "upstream_baseline",
        "upstream",
        "upstream/baseline",
        {"upstream": UPSTREAM, "usage_pusd": 7, "upstream_key": "k"},
    )
    assert upstream_key_named("k", at_ms=AT_MS) == told(
        "upstream_key_named", "upstream", "upstream/key_named", {"upstream_key": "k"}
    )
    assert usage_fell(baseline=2, usage_pusd=1, highest_pusd=9, at_ms=AT_MS) == told(
        "usage_fell", "upstream", "upstream/usage_fell/2", {"usage_pusd": 1, "highest_pusd": 9}
    )
    rebased = usage_rebased(used(1, "k"), number=3, booked_pusd=9, reason="new key", at_ms=AT_MS)
    facts = {
        "upstream": UPSTREAM,
        "usage_pusd": 1,
        "upstream_key": "k",
        "booked_pusd": 9,
        "reason": "new key",
    }
    assert rebased == told("usage_rebased", "upstream", "upstream/usage_rebased/3", facts)


def test_an_opening_says_all_that_its_price_will_be_made_of() -> None:
    """The whole snapshot, its digest, and the digests of what was sealed."""
    escrow = opened()
    entry = opening_of(escrow)
    quote = escrow.quote
    assert (entry.key, entry.kind, entry.subject_id) == ("esc_1/opened", "opened", "esc_1")
    assert (entry.caller_id, entry.at_ms, entry.escrow) == (CALLER, NOW_MS, escrow)
    assert entry.bodies is BODIES
    assert entry.facts == {
        "model": quote.model,
        "upstream": UPSTREAM,
        "ceiling_usd": "0.00000001",
        "ceiling_msat": 10_000,
        "rate_usd_micro_per_btc": 100_000,
        "rate_source": "par",
        "rate_at_ms": NOW_MS,
        "credit_fee_bps": 0,
        "markup_bps": 0,
        "request_sha256": "5e" * 32,
        "least_usd": "0",
        ROW: opened_digest(escrow),
        **sealed_facts(BODIES),
    }


def test_an_opening_says_who_sends_it_and_what_it_stands_in_for() -> None:
    """Only where it is sent at once, and only where another model was asked for."""
    fallback = Fallback(asked_model="asked", reason="circuit_open", continues="esc_0")
    run = replace(opened().run, requested_by="replica-1")
    escrow = replace(opened(), run=run, fallback=fallback)
    old = replace(escrow, quote=replace(escrow.quote, least_pusd=None))
    facts = opening_of(old).facts
    assert facts["requested_by"] == "replica-1"
    assert "least_usd" not in facts
    said = {name: part for name, part in facts.items() if name.startswith("fallback.")}
    assert said == {
        "fallback.asked_model": "asked",
        "fallback.reason": "circuit_open",
        "fallback.continues": "esc_0",
    }


def test_what_was_sealed_with_an_event_is_in_its_entry() -> None:
    """As digests, beside what the event itself says."""
    escrow = STAGES[Progress.OPENED]().escrow
    bodies = StoredBodies(completion=b"sealed", drop_request=True)
    event = ran.RunFailed(failure=FAILURE, charged=False)
    entry = escrow_transition(
        escrow, ran.Abandoned(), at_ms=AT_MS, retention=RETENTION, bodies=bodies
    )
    assert entry.bodies is bodies
    assert entry.facts == sealed_facts(bodies)
    assert len(entry.facts) == 2
    assert facts_of(event) == {
        "failure.code": "upstream_failed",
        "failure.message": "It failed.",
        "failure.status": 0,
        "charged": False,
        "cost": None,
        "continued_as": None,
    }


@pytest.mark.parametrize("amount", [AMOUNT_MAX, AMOUNT_MAX + 1])
def test_no_entry_books_more_than_the_one_bound(amount: int) -> None:
    """One row beyond it would spoil the sums of everybody's accounts; the bound itself may be."""
    escrow = STAGES[Progress.INVOICED]().escrow

    def book(_before: Escrow, _event: object, _after: Escrow) -> tuple[Transfer, ...]:
        small = Transfer(
            kind=TransferKind.POSTED,
            debit=caller_accounts(CALLER)[0],
            credit=caller_accounts(CALLER)[1],
            amount=1,
        )
        return (small, replace(small, amount=amount))

    def booked() -> Transition:
        paid = settled(escrow)
        return escrow_transition(escrow, paid, at_ms=AT_MS, retention=RETENTION, book=book)

    if amount > AMOUNT_MAX:
        with pytest.raises(LedgerUnbalanced, match="invoice_settled books more than"):
            booked()
    else:
        assert len(lines(booked())) == 2


@pytest.mark.parametrize("paid_msat", [0, 1])
def test_a_written_off_payment_moves_the_cursor(paid_msat: int) -> None:
    """Where the node was paid its index is known by now; where it was not there is none."""
    escrow = parked(Progress.INVOICED).escrow
    event = on.WrittenOff(
        reason="looked at",
        payment_hash="h0",
        paid_msat=paid_msat,
        settle_index=6,
        node_alias=NODE,
        node_pubkey=PUBKEY,
    )
    entry = escrow_transition(escrow, event, at_ms=AT_MS, retention=RETENTION)
    cursor = SettleCursor(node_pubkey=PUBKEY, settle_index=6) if paid_msat else None
    assert entry.cursor == cursor
