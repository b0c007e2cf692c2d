"""The LND wallet tells paid, failed and unknown apart, whatever its node says or leaves unsaid."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from cobot_meter.adapters.lightning.lnd.stubs import lnrpc
from cobot_pay import Payment, PaymentFailed, PaymentUnknown
from cobot_pay.lnd_stubs import CIPHERS, lnd_stubs
from cobot_pay.lnd_wallet import LndWallet
from tests.client.fake_router import (
    CUT,
    MACAROON,
    NEVER_HEARD,
    NOTHING,
    SILENCE,
    FakeRouter,
    Fault,
    wallet_of,
)
from tests.client.seller import invoice_text

PREIMAGE = "44" * 32
HASH = sha256(bytes.fromhex(PREIMAGE)).hexdigest()
INVOICE = invoice_text(HASH, 42_000)
PAID = lnrpc.Payment(
    status=lnrpc.Payment.SUCCEEDED,
    payment_hash=HASH,
    payment_preimage=PREIMAGE,
    value_msat=42_000,
    fee_msat=1_001,
)
UNDER_WAY = lnrpc.Payment(status=lnrpc.Payment.IN_FLIGHT, payment_hash=HASH)
FAILED = lnrpc.Payment(
    status=lnrpc.Payment.FAILED, failure_reason=lnrpc.FAILURE_REASON_NO_ROUTE, payment_hash=HASH
)
THE_PAYMENT = Payment(preimage=PREIMAGE, amount_msat=42_000, fee_msat=1_001)
ALREADY = Fault(grpc.StatusCode.ALREADY_EXISTS, "invoice is already paid")
STARTING = Fault(grpc.StatusCode.UNKNOWN, "waiting to start, RPC services not available")
EXPIRED = Fault(grpc.StatusCode.UNKNOWN, "invoice expired. Valid until 2025-11-22")
DENIED = Fault(grpc.StatusCode.UNKNOWN, "permission denied")

Rig = Callable[..., AbstractAsyncContextManager[LndWallet]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes a moment here."""
    monkeypatch.setattr("cobot_pay.lnd_wallet._ASK_AGAIN_S", 0.001)
    monkeypatch.setattr("cobot_pay.lnd_wallet._REACH_S", 0.5)


async def paid_by(folder: Path, *, send: list[Any], track: list[Any]) -> tuple[Payment, FakeRouter]:
    """What a wallet makes of a node that answers so, and the node."""
    router = FakeRouter(send=send, track=track)
    async with wallet_of(router, folder) as wallet:
        return await wallet.pay(INVOICE, max_fee_msat=5_000), router


async def test_it_pays_within_the_fee_limit(tmp_path: Path) -> None:
    """One payment, with the limits that were given and the macaroon; preimage and fee come back."""
    payment, router = await paid_by(tmp_path, send=[PAID], track=[NEVER_HEARD])
    assert payment == THE_PAYMENT
    (sent,) = router.sent
    assert (sent.payment_request, sent.fee_limit_msat) == (INVOICE, 5_000)
    assert (sent.timeout_seconds, sent.fee_limit_sat, sent.max_parts) == (30, 0, 16)
    assert router.macaroons == {MACAROON.hex()}


async def test_what_was_paid_before_is_not_paid_again(tmp_path: Path) -> None:
    """The node knows the hash: its preimage is looked up, and nothing is sent."""
    payment, router = await paid_by(tmp_path, send=[ALREADY], track=[PAID])
    assert (payment, router.sent) == (THE_PAYMENT, [])


async def test_what_is_under_way_is_waited_for(tmp_path: Path) -> None:
    """A payment that another process began is followed to its end, and not sent again."""
    payment, router = await paid_by(tmp_path, send=[ALREADY], track=[UNDER_WAY, PAID])
    assert (payment, router.sent) == (THE_PAYMENT, [])


async def test_a_race_for_the_same_invoice_ends_with_its_preimage(tmp_path: Path) -> None:
    """The node says that it is paid already only when asked to pay: that is no failure."""
    payment, router = await paid_by(tmp_path, send=[ALREADY], track=[NEVER_HEARD, PAID])
    assert (payment, len(router.sent)) == (THE_PAYMENT, 1)


@pytest.mark.parametrize(
    "after",
    [[PAID], [STARTING, CUT, PAID], [NOTHING, PAID]],
    ids=["at once", "through a restart", "after silence"],
)
async def test_a_lost_stream_is_asked_after(tmp_path: Path, after: list[Any]) -> None:
    """The connection broke while it was being paid: it was, and it is not sent a second time."""
    payment, router = await paid_by(tmp_path, send=[CUT], track=[NEVER_HEARD, *after])
    assert (payment, len(router.sent)) == (THE_PAYMENT, 1)


async def test_what_never_arrived_is_sent_again(tmp_path: Path) -> None:
    """The node has never heard of it, and pays a hash once: sending again is safe."""
    payment, router = await paid_by(tmp_path, send=[CUT, PAID], track=[NEVER_HEARD])
    assert (payment, len(router.sent)) == (THE_PAYMENT, 2)


async def test_what_failed_before_may_be_tried_again(tmp_path: Path) -> None:
    """An earlier attempt that the node calls failed is none."""
    payment, router = await paid_by(tmp_path, send=[PAID], track=[FAILED])
    assert (payment, len(router.sent)) == (THE_PAYMENT, 1)


@pytest.mark.parametrize(
    ("send", "track", "why"),
    [
        ([FAILED], [NEVER_HEARD], "could not pay: no_route"),
        ([CUT], [NEVER_HEARD, FAILED], "could not pay: no_route"),
        ([EXPIRED], [NEVER_HEARD], "refuses to pay: invoice expired"),
        ([PAID], [DENIED], "permission denied"),
        ([PAID], [STARTING], "waiting to start"),
        ([PAID], [SILENCE], "does not answer"),
    ],
    ids=["said", "said on asking", "expired", "denied", "starting", "silent"],
)
async def test_failed_is_only_what_is_certain(
    tmp_path: Path, send: list[Any], track: list[Any], why: str
) -> None:
    """The node says so, or refused before anything was sent; and then nothing is sent again."""
    router = FakeRouter(send=send, track=track)
    async with wallet_of(router, tmp_path) as wallet:
        with pytest.raises(PaymentFailed, match=why):
            await wallet.pay(INVOICE, max_fee_msat=0)
    assert len(router.sent) == (send != [PAID])


@pytest.mark.parametrize(
    ("send", "after"),
    [([SILENCE], PAID), ([CUT], STARTING), ([CUT], SILENCE), ([CUT], UNDER_WAY)],
    ids=["silent", "starting", "silent on asking", "under way"],
)
async def test_unknown_is_never_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: list[Any], after: object
) -> None:
    """It was sent and the node does not say in time what became of it: the hash is named."""
    monkeypatch.setattr("cobot_pay.lnd_wallet._MARGIN_S", -0.6)
    router = FakeRouter(send=send, track=[NEVER_HEARD, after])
    async with wallet_of(router, tmp_path, search_s=1) as wallet:
        with pytest.raises(PaymentUnknown) as unknown:
            await wallet.pay(INVOICE, max_fee_msat=0)
    assert unknown.value.payment_hash == HASH
    assert len(router.sent) == 1


@pytest.mark.parametrize(
    ("said", "outcome"), [(PAID, THE_PAYMENT), (FAILED, None), (NEVER_HEARD, None)]
)
async def test_an_unknown_payment_can_be_looked_up(
    tmp_path: Path, said: object, outcome: Payment | None
) -> None:
    """Later the node says what became of it, for `L402Auth.resolve`."""
    async with wallet_of(FakeRouter(send=[PAID], track=[said]), tmp_path) as wallet:
        assert await wallet.outcome(HASH) == outcome


async def test_a_look_up_without_an_answer_stays_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a node that is away nor a file that is gone is taken as *not paid*."""
    monkeypatch.setattr("cobot_pay.lnd_wallet._MARGIN_S", -0.8)
    async with wallet_of(FakeRouter(send=[PAID], track=[CUT]), tmp_path, search_s=1) as wallet:
        with pytest.raises(PaymentUnknown):
            await wallet.outcome(HASH)
        (tmp_path / "pay.macaroon").unlink()
        with pytest.raises(PaymentUnknown):
            await wallet.outcome(HASH)


@pytest.mark.parametrize("text", [invoice_text(HASH, None), "lnbc1", ""])
async def test_what_is_no_payable_invoice_is_not_sent(tmp_path: Path, text: str) -> None:
    """An invoice that leaves the amount open, or is none, is certainly unpaid."""
    router = FakeRouter(send=[PAID], track=[NEVER_HEARD])
    async with wallet_of(router, tmp_path) as wallet:
        with pytest.raises(PaymentFailed):
            await wallet.pay(text, max_fee_msat=0)
    assert router.tracked == []


async def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Without a certificate nothing is sent, and the file is named."""
    wallet = LndWallet(
        address="127.0.0.1:1", tls_cert_path=tmp_path / "no.cert", macaroon_path=tmp_path / "no"
    )
    with pytest.raises(PaymentFailed, match=r"no\.cert: No such file"):
        await wallet.pay(INVOICE, max_fee_msat=0)


async def test_nobody_there_is_certainly_unpaid(tmp_path: Path) -> None:
    """A node that was never reached has paid nothing."""
    async with wallet_of(FakeRouter(send=[PAID], track=[PAID]), tmp_path) as wallet:
        pass
    with pytest.raises(PaymentFailed, match="refuses"):
        await wallet.pay(INVOICE, max_fee_msat=0)


def test_the_import_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the stubs' package sets for the process is as it was."""
    monkeypatch.setenv(CIPHERS, "ours")
    lnd_stubs("lightning_pb2")
    assert os.environ[CIPHERS] == "ours"
    monkeypatch.delenv(CIPHERS)
    lnd_stubs("lightning_pb2")
    assert CIPHERS not in os.environ
