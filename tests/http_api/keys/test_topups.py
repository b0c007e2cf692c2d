"""POST /v1/topups: an invoice of the caller's own amount, and what its proof buys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.topup.states import TopupState
from cobot_meter.flows.credit.top_up import OPEN_MAX
from tests.http_api.face_rig import challenge_of, open_face

TOPUPS = "/v1/topups"
SAT_5000: dict[str, Any] = {"amount_sat": 5_000}


async def test_a_top_up_is_402_with_an_invoice_of_its_amount(tmp_path: Path) -> None:
    """Header, flat members and the document of the top-up all speak of the same invoice."""
    async with open_face(tmp_path) as rig:
        reply = await rig.send("POST", TOPUPS, SAT_5000)
        document = reply.json()
        assert (reply.status, document["price_sats"]) == (402, 5_000)
        macaroon, invoice = challenge_of(reply)
        assert (document["macaroon"], document["invoice"]) == (macaroon, invoice)
        assert document["topup"]["invoice"] == invoice
        assert document["topup"]["amount_msat"] == 5_000_000
        assert document["topup"]["state"] == "invoiced"
        assert document["topup"]["status_url"].endswith(document["topup"]["id"])
        assert reply.header("x-should-retry") == "false"


async def test_the_same_request_with_the_proof_says_what_was_bought(tmp_path: Path) -> None:
    """L402 clients repeat what they were asked to pay for: that is 200, and no other invoice."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.send("POST", TOPUPS, SAT_5000))
        for _ in range(2):
            credited = await rig.send("POST", TOPUPS, SAT_5000, token=token)
            assert credited.status == 200
            assert credited.json()["topup"]["state"] == "credited"
            assert credited.json()["available_msat"] == 5_000_000
            assert credited.json()["key"] is None
        assert len(rig.books.rows.topups) == 1


async def test_a_strangers_idempotency_key_is_that_of_what_it_began(tmp_path: Path) -> None:
    """Sent once more with the proof it is answered; strangers of one key are not one another."""
    async with open_face(tmp_path) as rig:
        named = {"Idempotency-Key": "mine"}
        asked, other = [await rig.send("POST", TOPUPS, SAT_5000, headers=named) for _ in range(2)]
        assert challenge_of(asked) != challenge_of(other)
        token = await rig.pay(asked)
        for _ in range(2):
            bought = await rig.send("POST", TOPUPS, SAT_5000, token=token, headers=named)
            assert (bought.status, bought.json()["available_msat"]) == (200, 5_000_000)
        more = {"Idempotency-Key": "another"}
        assert (await rig.send("POST", TOPUPS, SAT_5000, token=token, headers=more)).status == 402


async def test_a_proof_begins_another_top_up_under_an_idempotency_key(tmp_path: Path) -> None:
    """Also of the same amount: the same invoice until it is paid, and that one's answer then."""
    async with open_face(tmp_path) as rig:
        token = await rig.credited(5_000)
        more = {"Idempotency-Key": "second"}
        asked = [
            await rig.send("POST", TOPUPS, SAT_5000, token=token, headers=more) for _ in range(2)
        ]
        assert [one.status for one in asked] == [402, 402]
        assert challenge_of(asked[0]) == challenge_of(asked[1])
        second = await rig.pay(asked[0])
        for proof in (second, token):
            again = await rig.send("POST", TOPUPS, SAT_5000, token=proof, headers=more)
            assert (again.status, again.json()["available_msat"]) in {
                (200, 10_000_000),
                (200, 5_000_000),
            }
        assert len(rig.books.rows.topups) == 2


async def test_an_idempotency_key_of_another_amount_is_refused(tmp_path: Path) -> None:
    """422, with what to do."""
    async with open_face(tmp_path) as rig:
        token, named = await rig.credited(5_000), {"Idempotency-Key": "one"}
        await rig.send("POST", TOPUPS, {"amount_sat": 70}, token=token, headers=named)
        reply = await rig.send("POST", TOPUPS, {"amount_sat": 71}, token=token, headers=named)
        assert (reply.status, reply.error["code"]) == (422, "idempotency_key_reused")


async def test_another_amount_is_another_top_up_of_the_same_caller(tmp_path: Path) -> None:
    """Both are credit of whoever the token names."""
    async with open_face(tmp_path) as rig:
        token = await rig.credited(5_000)
        await rig.credited(700, token=token)
        credit = (await rig.get("/v1/credits", token=token)).json()["cobot"]
        assert credit["available_msat"] == 5_700_000


async def test_a_caller_gets_the_same_open_invoice_and_a_stranger_never(tmp_path: Path) -> None:
    """A stranger's macaroon is half of what names its caller: nobody else is told it."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up()
        body = {"amount_sat": 300}
        named = [await rig.send("POST", TOPUPS, body, token=token) for _ in range(3)]
        assert len({challenge_of(one) for one in named}) == 1
        strangers = [await rig.send("POST", TOPUPS, body) for _ in range(3)]
        assert len({challenge_of(one) for one in strangers}) == 3


async def test_so_many_unpaid_top_ups_and_no_more(tmp_path: Path) -> None:
    """429 with when the first of them ends, for a caller as for an address."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up()
        for number in range(OPEN_MAX):
            body = {"amount_sat": 100 + number}
            assert (await rig.send("POST", TOPUPS, body, token=token)).status == 402
        full = await rig.send("POST", TOPUPS, {"amount_sat": 99}, token=token)
        assert (full.status, full.error["code"]) == (429, "topups_open")
        assert "this caller" in full.error["message"]
        assert (await rig.send("POST", TOPUPS, {"amount_sat": 100}, token=token)).status == 402


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        (0, "above zero"),
        (-5, "above zero"),
        (1.5, "must be whole"),
        ("100", "written as a number"),
        (True, "written as a number"),
        ([100], "written as a number"),
        (10**18, "more than there is"),
        (10**13 + 1, "more than there is"),
        (5, "at least 10 sat"),
        (1_000_001, "at most 1000000 sat"),
        (None, "Say how much"),
    ],
)
async def test_an_amount_that_is_none_gets_a_sentence(
    tmp_path: Path, amount: object, says: str
) -> None:
    """400 names the field and says what fits; nothing is written."""
    async with open_face(tmp_path) as rig:
        reply = await rig.send("POST", TOPUPS, {"amount_sat": amount})
        assert (reply.status, reply.error["param"]) == (400, "amount_sat")
        assert says in reply.error["message"]
        assert not rig.books.rows.topups


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"amount": 5}', "no field 'amount'"),
        (b"", "Say how much"),
        (b'{"amount_sat": 100, "key": 5}', "A key must be a JSON object"),
        (b'{"amount_sat": 100, "key": {"limit": 5}}', "A key has no field 'limit'"),
    ],
)
async def test_a_body_that_is_none_gets_a_sentence(tmp_path: Path, body: bytes, says: str) -> None:
    """400, and nothing is written."""
    async with open_face(tmp_path) as rig:
        reply = await rig.send("POST", TOPUPS, body)
        assert reply.status == 400
        assert says in reply.error["message"]
        assert not rig.books.rows.topups


async def test_the_bounds_are_settings(tmp_path: Path) -> None:
    """The operator says how much of other people's money it keeps."""
    async with open_face(tmp_path, TOPUP_LEAST_SAT="50", TOPUP_MOST_SAT="60") as rig:
        refused = [await rig.send("POST", TOPUPS, {"amount_sat": sat}) for sat in (49, 61)]
        assert [one.status for one in refused] == [400, 400]
        assert (await rig.send("POST", TOPUPS, {"amount_sat": 50})).status == 402


async def test_its_state_is_read_by_its_id(tmp_path: Path) -> None:
    """State and invoice, and no macaroon: the id is no proof of anything."""
    async with open_face(tmp_path) as rig:
        asked = await rig.send("POST", TOPUPS, SAT_5000)
        path = f"{TOPUPS}/{asked.json()['topup']['id']}"
        status = await rig.get(path)
        assert status.json()["topup"] == asked.json()["topup"]
        assert asked.json()["macaroon"].encode() not in status.body
        await rig.send("POST", TOPUPS, SAT_5000, token=await rig.pay(asked))
        credited = (await rig.get(f"{path}?wait=5")).json()["topup"]
        assert (credited["state"], credited["paid_msat"]) == ("credited", 5_000_000)
        for unknown in (f"{TOPUPS}/top_nobody", f"{TOPUPS}/%00", f"{TOPUPS}/a/b"):
            assert (await rig.get(unknown)).status == 404


async def test_waiting_ends_when_the_time_is_up(tmp_path: Path) -> None:
    """200 with the state as it is."""
    async with open_face(tmp_path) as rig:
        asked = await rig.send("POST", TOPUPS, SAT_5000)
        path = f"{TOPUPS}/{asked.json()['topup']['id']}"
        assert (await rig.get(f"{path}?wait=1")).json()["topup"]["state"] == TopupState.INVOICED
        assert (await rig.get(f"{path}?wait=61")).status == 400


async def test_a_blocked_caller_is_not_sold_credit(tmp_path: Path) -> None:
    """It could not spend it."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up()
        caller_id = (await rig.get("/v1/credits", token=token)).json()["cobot"]["caller_id"]
        await rig.service.flows.operating.set_caller.block(caller_id, blocked=True)
        reply = await rig.send("POST", TOPUPS, SAT_5000, token=token)
        assert (reply.status, reply.error["code"]) == (403, "caller_blocked")


async def test_nothing_new_is_begun_while_draining(tmp_path: Path) -> None:
    """503, as an ask gets it; what was paid is told still."""
    async with open_face(tmp_path) as rig:
        token = await rig.credited(5_000)
        rig.draining.set()
        assert (await rig.send("POST", TOPUPS, SAT_5000)).status == 503
        assert (await rig.send("POST", TOPUPS, SAT_5000, token=token)).status == 200
