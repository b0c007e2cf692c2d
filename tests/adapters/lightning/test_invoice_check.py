"""No invoice that differs from its order gets past the check."""

from __future__ import annotations

from dataclasses import replace

import coincurve
import pytest

from cobot_meter.adapters.lightning.dev_node.signing import NETWORK, BadInvoice, sign_order, spoil
from cobot_meter.adapters.lightning.invoice_check import check_invoice
from cobot_meter.domain.errors import InvoiceRefused
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, InvoiceState, NodeIdentity
from tests.contracts.lightning_node_rig import new_order

KEY = coincurve.PrivateKey(b"\x01" * 32)
IDENTITY = NodeIdentity(pubkey=KEY.public_key.format().hex(), network=NETWORK, alias="dev")
CREATED_AT_S = 1_700_000_000


def _answer(order: InvoiceOrder) -> Invoice:
    return Invoice(
        payment_hash=order.payment_hash,
        payment_request=sign_order(KEY, order, CREATED_AT_S),
        amount_msat=order.amount_msat,
        state=InvoiceState.OPEN,
        created_at_s=CREATED_AT_S,
        expires_at_s=CREATED_AT_S + order.expiry_s,
    )


def test_a_true_answer_passes() -> None:
    """The invoice that was ordered is accepted, in capitals too."""
    order = new_order()
    answer = _answer(order)
    check_invoice(order, answer, IDENTITY)
    check_invoice(order, replace(answer, payment_request=answer.payment_request.upper()), IDENTITY)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (BadInvoice.AMOUNT, "amount"),
        (BadInvoice.HASH, "payment hash"),
        (BadInvoice.NETWORK, "network"),
        (BadInvoice.PAYEE, "payee"),
        (BadInvoice.EXPIRY, "expiry"),
        (BadInvoice.CHECKSUM, "checksum"),
    ],
)
def test_a_wrong_text_is_refused(wrong: BadInvoice, named: str) -> None:
    """A signed text that differs in one respect is refused, and the refusal names it."""
    order = new_order()
    with pytest.raises(InvoiceRefused, match=named):
        check_invoice(order, spoil(KEY, order, _answer(order), wrong), IDENTITY)


@pytest.mark.parametrize(
    "changed",
    [
        {"payment_hash": "00" * 32},
        {"amount_msat": 1},
        {"created_at_s": CREATED_AT_S - 1},
        {"expires_at_s": CREATED_AT_S + 601},
        {"created_at_s": CREATED_AT_S + 5, "expires_at_s": CREATED_AT_S + 605},
    ],
    ids=str,
)
def test_fields_that_belie_the_text_are_refused(changed: dict[str, object]) -> None:
    """What we would store must be what the payer reads."""
    order = new_order()
    with pytest.raises(InvoiceRefused):
        check_invoice(order, replace(_answer(order), **changed), IDENTITY)  # type: ignore[arg-type]


def test_a_network_without_a_prefix_is_refused() -> None:
    """A node on a network we cannot name makes no invoices for us."""
    order = new_order()
    with pytest.raises(InvoiceRefused, match="network"):
        check_invoice(order, _answer(order), replace(IDENTITY, network="simnet"))


def test_mainnet_text_from_a_play_node_is_refused() -> None:
    """A regtest node cannot pass off an invoice that asks for real money, nor the reverse."""
    order = new_order()
    with pytest.raises(InvoiceRefused, match="network"):
        check_invoice(order, _answer(order), replace(IDENTITY, network="mainnet"))
