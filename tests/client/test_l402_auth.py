"""Buying through httpx: what is paid, what is shown, and when it stops."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from cobot_meter.domain import errors
from cobot_meter.http_api.http.error_table import error_response
from cobot_meter.http_api.http.exchange import PlainAnswer, json_answer
from cobot_pay import BudgetExceeded, ChallengeRefused, PaymentFailed, ProofRefused, PurchaseTerms
from tests.client.seller import cost_pending
from tests.client.shop import URL, Shop, body, said


def test_a_completion_is_bought(shop: Shop) -> None:
    """One 402, one payment, one repeat with the proof, and the budget knows the amount."""
    shop.wallet.fee_msat = 13
    response = shop.ask()
    assert said(response) == "You said: hello"
    assert [one.status_code for one in response.history] == [402]
    assert len(shop.wallet.paid) == 1
    assert shop.asks == 2
    assert (shop.budget.spent_msat, shop.budget.reserved_msat) == (7_013, 0)


async def test_a_completion_is_bought_by_an_async_client(shop: Shop) -> None:
    """The same from asyncio, with a body that comes as a stream."""

    async def parts() -> AsyncIterator[bytes]:
        for part in (b'{"model":"m","messages":[{"role":"user",', b'"content":"hello"}]}'):
            yield part

    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        response = await http.post(URL, content=parts())
    assert said(response) == "You said: hello"
    assert (len(shop.wallet.paid), shop.budget.spent_msat) == (1, 7_000)


async def test_a_synchronous_client_buys_inside_a_running_loop(shop: Shop) -> None:
    """The wallet gets a loop of its own, so a notebook's running one is not in the way."""
    assert said(shop.ask()) == "You said: hello"


def test_the_newest_proof_says_who_we_are(shop: Shop) -> None:
    """Another body is asked with the old token: the seller knows the caller, who pays again."""
    shop.ask("one")
    shop.ask("two")
    assert shop.seller.callers == [None, "c_1", "c_1", "c_1"]
    assert len(shop.wallet.paid) == 2


def test_the_same_body_again_is_the_stored_answer(shop: Shop) -> None:
    """Asking the same again shows the proof at once and pays nothing."""
    assert said(shop.ask()) == said(shop.ask())
    assert (len(shop.wallet.paid), shop.asks) == (1, 3)


def test_a_token_is_shown_to_its_origin_only(shop: Shop) -> None:
    """Another host or port never sees a proof that was bought elsewhere."""
    shop.ask()
    with shop.http() as http:
        http.post("https://c.example/v1/chat/completions", json=body("other"))
    assert shop.seller.authorizations[2] == []


def test_a_proof_cannot_be_lured_to_another_origin(shop: Shop) -> None:
    """A seller that repeats another's invoice, or names its payment in a 409, gets no proof."""
    shop.ask()
    (sale,) = shop.seller.sales.values()
    challenge = shop.seller.challenges.for_escrow(sale, caller_id="c_x")
    named = json_answer(409, {"payment_hash": sale.payment_hash})
    with shop.http() as http:
        shop.seller.answers = [challenge]
        with pytest.raises(ChallengeRefused, match="another origin"):
            http.post("https://evil.example/", json=body())
        shop.seller.answers = [named]
        assert http.post("https://evil.example/", json=body()).status_code == 409
    assert shop.seller.authorizations[2:] == [[], []]


def test_the_sdks_own_header_is_kept_until_a_token_is_there(shop: Shop) -> None:
    """A Bearer goes out on the first ask and makes room for the proof."""
    with shop.http(Authorization="Bearer none") as http:
        http.post(URL, json=body())
    first, second = shop.seller.authorizations
    assert first == ["Bearer none"]
    assert second[0].startswith("L402 ")


def test_nothing_is_paid_beyond_the_budget() -> None:
    """A price above what is left raises, and neither money nor reservation is gone."""
    shop = Shop(total_msat=6_999)
    with pytest.raises(BudgetExceeded) as refused:
        shop.ask()
    assert refused.value.asked_msat == 7_000
    assert (shop.wallet.paid, shop.budget.reserved_msat) == ([], 0)


def test_fees_are_part_of_the_budget() -> None:
    """The highest fee allowed is reserved with the amount."""
    shop = Shop(total_msat=7_010, terms=PurchaseTerms(max_fee_msat=11))
    with pytest.raises(BudgetExceeded):
        shop.ask()


def test_a_payment_that_failed_can_be_tried_again(shop: Shop) -> None:
    """Certainly unpaid: the reservation is released, and the next ask pays the same invoice."""
    shop.wallet.refuses = True
    with pytest.raises(PaymentFailed, match="no route"):
        shop.ask()
    assert shop.budget.reserved_msat == 0
    shop.wallet.refuses = False
    assert said(shop.ask()) == "You said: hello"


def test_a_paid_invoice_is_never_paid_again(shop: Shop) -> None:
    """The seller's node is late twice: the same 402 is answered with the proof, not with money."""
    shop.seller.unseen_payments = 2
    assert said(shop.ask()) == "You said: hello"
    assert (len(shop.wallet.paid), shop.asks) == (1, 4)


def test_a_proof_that_is_never_honoured_ends(shop: Shop) -> None:
    """After a bounded number of showings the purchase stops with the payment hash to complain."""
    shop.seller.unseen_payments = 100
    with pytest.raises(ProofRefused) as refused:
        shop.ask()
    assert len(refused.value.payment_hash) == 64
    assert (len(shop.wallet.paid), shop.asks) == (1, 4)
    shop.seller.unseen_payments = 0
    assert said(shop.ask()) == "You said: hello"
    assert len(shop.wallet.paid) == 1


def test_one_request_pays_one_invoice(shop: Shop) -> None:
    """A seller that answers a proof with another invoice is not paid a second time."""
    first = shop.seller.answer([], b"other body")
    shop.seller.answers = [first]
    with pytest.raises(ProofRefused, match="asks to be paid again"):
        shop.ask()
    assert (len(shop.wallet.paid), shop.budget.spent_msat) == (1, 7_000)


@pytest.mark.parametrize("status", [409, 429])
def test_a_refusal_is_handed_on(shop: Shop, status: int) -> None:
    """409 of somebody else's payment and 429 are the caller's answer, after one request."""
    shop.seller.answers = [
        json_answer(status, {"error": {"code": "any"}, "payment_hash": "ab" * 32})
    ]
    assert shop.ask().status_code == status
    assert (shop.asks, shop.wallet.paid) == (1, [])


@pytest.mark.parametrize("content", [b"no JSON", b"[" * 100_000, b"[]", b'{"payment_hash": 1}'])
def test_a_409_that_names_no_payment_is_handed_on(shop: Shop, content: bytes) -> None:
    """Whatever a seller's 409 holds, there is no error of ours and nothing more is sent."""
    shop.seller.answers = [PlainAnswer(409, [], content)]
    assert shop.ask().status_code == 409
    assert shop.asks == 1


def test_a_409_that_the_proof_does_not_help_ends(shop: Shop) -> None:
    """A seller that answers 409 to the very proof is not shown it for ever."""
    shop.ask()
    (sale,) = shop.seller.sales.values()
    shop.seller.answers = [json_answer(409, {"payment_hash": sale.payment_hash})]
    assert shop.ask().status_code == 409


def test_already_paid_by_us_shows_the_proof(shop: Shop) -> None:
    """A newer token hides the proof of an older purchase: 409 names it, and it is shown."""
    shop.ask("one")
    shop.ask("two")
    assert said(shop.ask("one")) == "You said: one"
    assert len(shop.wallet.paid) == 2


def test_a_pending_cost_is_followed(shop: Shop) -> None:
    """503 cost_pending is asked again with the same body until the 402 is there."""
    shop.seller.answers = [cost_pending(), cost_pending()]
    assert said(shop.ask()) == "You said: hello"
    assert (shop.asks, len(shop.wallet.paid)) == (4, 1)


def test_patience_has_an_end() -> None:
    """A cost that does not come within the time allowed is the caller's answer."""
    shop = Shop(terms=PurchaseTerms(patience_s=1.0))
    shop.seller.answers = [cost_pending(retry_after_s=5)]
    assert shop.ask().status_code == 503
    assert shop.asks == 1


def test_other_trouble_is_handed_on_until_something_is_paid(shop: Shop) -> None:
    """A node that is down is the caller's answer before paying, and worth a repeat after it."""
    down = error_response(errors.NodeUnavailable("Later.", retry_after_s=0))
    shop.seller.answers = [down]
    assert shop.ask().status_code == 503
    challenge = shop.seller.answer([], httpx.Request("POST", URL, json=body()).content)
    shop.seller.answers = [challenge, down, down]
    assert said(shop.ask()) == "You said: hello"


def test_what_is_gone_is_asked_anew(shop: Shop) -> None:
    """410 for an old token: the ask goes out without it, or with the one before it."""
    gone = error_response(errors.CompletionGone("No longer kept."))
    shop.ask("one")
    shop.ask("two")
    older = shop.seller.authorizations[1]
    shop.seller.answers = [gone, gone]
    with shop.http(Authorization="Bearer none") as http:
        http.post(URL, json=body("three"))
    _newest, second, third, _paid = shop.seller.authorizations[-4:]
    assert second == older
    assert third == ["Bearer none"]


def test_what_is_gone_without_a_token_is_handed_on(shop: Shop) -> None:
    """410 for what we never had, or have just paid, is the caller's answer."""
    gone = error_response(errors.CompletionGone("No longer kept."))
    shop.seller.answers = [gone]
    assert shop.ask().status_code == 410
    challenge = shop.seller.answer([], httpx.Request("POST", URL, json=body()).content)
    shop.seller.answers = [challenge, gone]
    assert shop.ask().status_code == 410
    assert len(shop.wallet.paid) == 1
