"""What the journal says of an event is enough to tell it again."""

from __future__ import annotations

import json

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import IssuedInvoice
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import Summary
from cobot_meter.domain.transitions.event_facts import (
    event_kind,
    event_kinds,
    event_name,
    event_of,
    facts_of,
)
from tests.domain.samples import FAILURE, cost_of, fell_back, opened

RUN = Summary(
    completed_at_ms=5,
    inline_cost="1e-7",
    finish_reason="stop",
    prompt_tokens=3,
    completion_tokens=4,
)
EVENTS: tuple[on.EscrowEvent, ...] = (
    ran.UpstreamRequested(),
    ran.GenerationStarted(generation_id="gen-1"),
    ran.CompletionReceived(generation_id="gen-1", summary=RUN),
    ran.RunFailed(failure=FAILURE, charged=False),
    ran.RunFailed(failure=FAILURE, charged=True, cost=cost_of(9)),
    fell_back(opened()),
    fell_back(opened(), charged=True, cost=cost_of(9)),
    ran.CostKnown(
        cost=cost_of(9, confirmed=False),
        price_msat=10,
        credit_used_msat=1,
        payment_hash="ab" * 32,
        lookup_at_ms=None,
    ),
    on.InvoiceIssued(
        invoice=IssuedInvoice(payment_request="lnbcrt1", amount_msat=1_000, expires_at_s=7)
    ),
    on.InvoiceSettled(
        payment_hash="ab" * 32, paid_msat=1, settle_index=2, node_alias="dev", node_pubkey="02"
    ),
    on.ClaimLapsed(kept_msat=0),
    on.QuarantineBegun(event="invoice_settled", reason="it is too large"),
    on.QuarantineLifted(),
    on.WrittenOff(reason="looked at", paid_msat=1, settle_index=2, node_alias="dev"),
)


@pytest.mark.parametrize("event", EVENTS, ids=event_name)
def test_an_event_is_told_again_from_its_facts(event: on.EscrowEvent) -> None:
    """Kind and facts, through JSON as storage keeps them, give back the very same event."""
    facts = json.loads(json.dumps(facts_of(event)))
    assert event_of(event_name(event), facts) == event


def test_every_event_has_a_kind_of_its_own() -> None:
    """No two events of the escrow are recorded under one name."""
    assert len(event_kinds()) == len(on.EscrowEvent.__args__)
    assert event_kind(on.InvoiceSettled) == "invoice_settled"


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("invoice_eaten", {}),
        ("generation_started", {}),
        ("claim_lapsed", {"kept": 1}),
        ("invoice_refused", {"failure.code": "x"}),
    ],
)
def test_what_no_event_says_is_refused(kind: str, facts: dict[str, object]) -> None:
    """An unknown kind and missing facts raise ValueError instead of making something up."""
    with pytest.raises(ValueError, match=kind):
        event_of(kind, facts)
