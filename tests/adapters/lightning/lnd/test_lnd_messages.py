"""What a node says is a value that can be booked, or the node is not to be relied on."""

from __future__ import annotations

import pytest

from cobot_meter.adapters.lightning.lnd.messages import identity_of, invoice_of
from cobot_meter.adapters.lightning.lnd.stubs import lnrpc
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.money import AMOUNT_MAX


@pytest.mark.parametrize(
    "said",
    [
        {"value_msat": -1},
        {"value_msat": AMOUNT_MAX + 1},
        {"amt_paid_msat": -1},
        {"amt_paid_msat": 2**63 - 1},
        {"settle_index": 2**64 - 1},
        {"creation_date": -5},
        {"creation_date": 2**62},
        {"expiry": -1},
        {"state": 9},
    ],
)
def test_a_number_that_cannot_be_is_no_word_of_the_node(said: dict[str, int]) -> None:
    """Nothing of such an invoice is believed, and nothing but NodeUnavailable is raised."""
    invoice = lnrpc.Invoice(**{"state": lnrpc.Invoice.SETTLED, **said})
    with pytest.raises(NodeUnavailable):
        invoice_of(invoice)


def test_an_honest_invoice_is_read() -> None:
    """The largest amount that is let in, and its expiry from its creation."""
    said = lnrpc.Invoice(
        value_msat=AMOUNT_MAX,
        amt_paid_msat=AMOUNT_MAX,
        settle_index=7,
        state=lnrpc.Invoice.SETTLED,
        creation_date=100,
        expiry=600,
    )
    invoice = invoice_of(said)
    assert (invoice.amount_paid_msat, invoice.expires_at_s) == (AMOUNT_MAX, 700)


def test_a_nodes_name_can_be_kept() -> None:
    """NUL and great lengths are mended; an account is named after it."""
    identity = identity_of(lnrpc.GetInfoResponse(alias="a\0b" + "x" * 500, identity_pubkey="02"))
    assert identity.alias.startswith("a\ufffdb")
    assert len(identity.alias) == 200
