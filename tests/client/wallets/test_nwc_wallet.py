"""The wallet over Nostr tells paid, failed and unknown apart, whatever service and relay say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from cobot_pay import Payment, PaymentFailed, PaymentUnknown
from cobot_pay.nostr.ciphers import NIP04, NIP44
from cobot_pay.nwc_wallet import NwcWallet
from tests.client.seller import invoice_text
from tests.client.wallets.nwc_service import NwcService, serving_wallet

PREIMAGE = "44" * 32
HASH = sha256(bytes.fromhex(PREIMAGE)).hexdigest()
INVOICE = invoice_text(HASH, 42_000)
THE_PAYMENT = Payment(preimage=PREIMAGE, amount_msat=42_000, fee_msat=1_001)


@pytest.fixture
async def service() -> AsyncIterator[NwcService]:
    """A wallet service that could pay the invoice."""
    async with serving_wallet() as serving:
        serving.preimages[HASH] = PREIMAGE
        yield serving


async def test_it_pays_in_nip44_and_names_when_the_request_ends(service: NwcService) -> None:
    """The newer cipher where the service knows both; a late service must not pay an old request."""
    assert await service.wallet().pay(INVOICE, max_fee_msat=5_000) == THE_PAYMENT
    assert [one["method"] for one in service.seen] == ["pay_invoice"]
    assert service.ciphers_seen == [NIP44]
    assert service.expirations == [3]


@pytest.mark.parametrize("announced", [NIP04, ""])
async def test_it_writes_nip04_where_the_service_knows_no_more(
    service: NwcService, announced: str
) -> None:
    """Also where it names no cipher at all: it was written before there was a choice."""
    service.ciphers = announced
    await service.announce()
    assert await service.wallet().pay(INVOICE, max_fee_msat=5_000) == THE_PAYMENT
    assert service.ciphers_seen == [NIP04]


async def test_a_service_with_a_cipher_of_its_own_is_not_asked(service: NwcService) -> None:
    """Certainly unpaid: nothing was sent."""
    service.ciphers = "rot13"
    await service.announce()
    with pytest.raises(PaymentFailed, match="wants to be written in rot13"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)
    assert service.seen == []


async def test_a_connection_that_may_not_pay_is_not_asked(service: NwcService) -> None:
    """The service says which methods it takes."""
    service.methods = "get_balance"
    await service.announce()
    with pytest.raises(PaymentFailed, match="does not allow paying"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


async def test_a_service_that_left_no_word_is_not_asked() -> None:
    """Without an info event nobody knows how to write to it."""
    async with serving_wallet(announced=False) as service:
        with pytest.raises(PaymentFailed, match="left no word"):
            await service.wallet().pay(INVOICE, max_fee_msat=0)


@pytest.mark.parametrize("code", ["INSUFFICIENT_BALANCE", "QUOTA_EXCEEDED", "RATE_LIMITED"])
async def test_a_refusal_before_paying_is_a_failure(service: NwcService, code: str) -> None:
    """These are said before anything is tried."""
    service.error = (code, "not today")
    with pytest.raises(PaymentFailed, match="not today"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


async def test_a_failed_payment_that_it_knows_nothing_of_is_a_failure(service: NwcService) -> None:
    """Its own PAYMENT_FAILED, and then its look-up agrees."""
    service.error = ("PAYMENT_FAILED", "no route")
    with pytest.raises(PaymentFailed, match="could not pay"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)
    assert [one["method"] for one in service.seen] == ["pay_invoice", "lookup_invoice"]


async def test_a_failed_payment_that_went_through_is_a_payment(service: NwcService) -> None:
    """A service that gave up too early calls it failed, and has it settled: the preimage counts."""
    service.pays_and_says = {"error": {"code": "PAYMENT_FAILED", "message": "timeout"}}
    assert await service.wallet().pay(INVOICE, max_fee_msat=0) == THE_PAYMENT


async def test_a_failed_payment_still_under_way_is_unknown(service: NwcService) -> None:
    """Pending is not failed."""
    service.error = ("PAYMENT_FAILED", "timeout")
    service.paid[HASH] = {"payment_hash": HASH, "state": "pending", "amount": 42_000}
    with pytest.raises(PaymentUnknown):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


async def test_without_a_look_up_its_word_for_a_failure_is_not_enough(service: NwcService) -> None:
    """NIP-47 calls a timeout PAYMENT_FAILED too."""
    service.methods = "pay_invoice"
    await service.announce()
    service.error = ("PAYMENT_FAILED", "timeout")
    with pytest.raises(PaymentUnknown, match="cannot be asked what became"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


@pytest.mark.parametrize("methods", ["lookup_invoice", "list_transactions"])
async def test_a_lost_answer_is_looked_up(service: NwcService, methods: str) -> None:
    """It paid and its answer never came: the look-up, or its list, brings the preimage."""
    service.methods = f"pay_invoice {methods}"
    await service.announce()
    service.silent = True
    assert await service.wallet(payment_s=0.2).pay(INVOICE, max_fee_msat=0) == THE_PAYMENT


async def test_a_service_asleep_leaves_it_unknown(service: NwcService) -> None:
    """A timeout is never a failure: the request may still be read."""
    service.asleep = True
    with pytest.raises(PaymentUnknown) as unknown:
        await service.wallet(payment_s=0.2, reach_s=0.3).pay(INVOICE, max_fee_msat=0)
    assert unknown.value.payment_hash == HASH


async def test_a_relay_that_hangs_up_while_it_is_paid_does_not_matter(service: NwcService) -> None:
    """The payment goes on without us and is looked up over a new connection."""
    service.relay.hangs_up_at = 23_194
    with pytest.raises(PaymentUnknown):
        await service.wallet().pay(INVOICE, max_fee_msat=0)
    service.relay.hangs_up_at = None
    found = await service.wallet().outcome(HASH)
    assert found == THE_PAYMENT


async def test_a_relay_that_refuses_is_not_believed(service: NwcService) -> None:
    """It may have passed the request on all the same: unknown, with its words."""
    service.relay.refuses = "blocked: not on the list"
    with pytest.raises(PaymentUnknown, match="not on the list"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


@pytest.mark.parametrize(
    "alters", [{"content": "forged"}, {"sig": "00" * 64}, {"pubkey": "11" * 32}, {"tags": []}]
)
async def test_an_answer_that_the_service_has_not_signed_is_passed_over(
    service: NwcService, alters: dict[str, object]
) -> None:
    """A relay that changes anything is found out, and what it changed does not count."""
    service.relay.alters = alters
    with pytest.raises(PaymentUnknown):
        await service.wallet(payment_s=0.2).pay(INVOICE, max_fee_msat=0)


@pytest.mark.parametrize("preimage", ["55" * 32, "no hex", "", None])
async def test_a_preimage_of_something_else_proves_nothing(
    service: NwcService, preimage: object
) -> None:
    """It is held against the payment hash: unknown, and never a proof."""
    service.pays_and_says = {"error": None, "result": {"preimage": preimage}}
    with pytest.raises(PaymentUnknown, match="no preimage"):
        await service.wallet().pay(INVOICE, max_fee_msat=0)


async def test_a_fee_that_is_not_told_counts_as_the_most_that_was_allowed(
    service: NwcService,
) -> None:
    """Nothing says less, and a budget must not count too little."""
    service.pays_and_says = {"error": None, "result": {"preimage": PREIMAGE.upper()}}
    assert (await service.wallet().pay(INVOICE, max_fee_msat=77)).fee_msat == 77


async def test_what_it_says_of_a_payment_later(service: NwcService) -> None:
    """Settled is a payment, failed is none, pending and never heard of are unknown."""
    wallet = service.wallet()
    with pytest.raises(PaymentUnknown, match="has not heard of it"):
        await wallet.outcome(HASH)
    service.paid[HASH] = {"payment_hash": HASH, "state": "pending"}
    with pytest.raises(PaymentUnknown):
        await wallet.outcome(HASH)
    service.paid[HASH] = {"payment_hash": HASH, "state": "failed"}
    assert await wallet.outcome(HASH) is None
    settled = {"preimage": PREIMAGE, "settled_at": 1, "fees_paid": 1_001}
    service.paid[HASH] = {"payment_hash": HASH, **settled}
    with pytest.raises(PaymentUnknown, match="no amount"):
        await wallet.outcome(HASH)
    service.paid[HASH]["amount"] = 42_000
    assert await wallet.outcome(HASH) == THE_PAYMENT


async def test_it_tells_its_balance(service: NwcService) -> None:
    """In msat."""
    assert await service.wallet().balance_msat() == 123_000


async def test_a_balance_that_is_not_told_is_a_failure(service: NwcService) -> None:
    """Nothing was paid for asking."""
    service.asleep = True
    with pytest.raises(PaymentFailed, match="does not tell its balance"):
        await service.wallet(reach_s=0.3).balance_msat()


async def test_the_second_relay_is_tried(service: NwcService) -> None:
    """Where the first of a connection does not answer."""
    away = "ws%3A%2F%2F127.0.0.1%3A9"
    uri = service.uri.replace("?relay=", f"?relay={away}&relay=")
    assert await NwcWallet(uri).pay(INVOICE, max_fee_msat=0) == THE_PAYMENT


async def test_without_any_relay_nothing_is_paid(service: NwcService) -> None:
    """Nobody was reached: a failure."""
    uri = f"nostr+walletconnect://{service.key.public}?relay=ws://127.0.0.1:9&secret={'11' * 32}"
    with pytest.raises(PaymentFailed, match="no relay answers"):
        await NwcWallet(uri).pay(INVOICE, max_fee_msat=0)


async def test_what_is_no_invoice_is_a_failure(service: NwcService) -> None:
    """It is read before anybody is asked."""
    with pytest.raises(PaymentFailed, match="BOLT11"):
        await service.wallet().pay("lightning:nonsense", max_fee_msat=0)


@pytest.mark.parametrize(
    ("uri", "lacks"),
    [
        ("https://example.org", "begins with"),
        ("nostr+walletconnect://abc?relay=wss://r&secret=" + "11" * 32, "public key"),
        (f"nostr+walletconnect://{'ab' * 32}?relay=wss://r", "secret"),
        (f"nostr+walletconnect://{'ab' * 32}?relay=https://r&secret={'11' * 32}", "relay"),
        (f"nostr+walletconnect://{'ab' * 32}?relay=wss://r&secret={'00' * 32}", "[Ss]ecret"),
    ],
)
def test_a_bad_connection_says_what_it_lacks(uri: str, lacks: str) -> None:
    """And does not repeat the secret."""
    with pytest.raises(ValueError, match=lacks) as refused:
        NwcWallet(uri)
    assert "11" * 32 not in str(refused.value)
