"""The paid route as a whole: what it refuses for nothing, and the headers it listens to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.http_api.context import FaceLimits
from cobot_meter.http_api.http.exchange import BodyLimits
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, fake_model
from tests.http_api.face_rig import ASK, CHAT, MODEL, ask_of, challenge_of, open_face

MAX_OUT = PRICED_MODEL.max_completion_tokens


@pytest.mark.parametrize(
    ("document", "status", "param"),
    [
        (b"not JSON", 400, None),
        (b'{"model": "a", "model": "b"}', 400, "model"),
        ({}, 402, None),
        ({"messages": ASK["messages"]}, 400, "model"),
        ({"model": MODEL}, 400, "messages"),
        (ask_of("x", n=3), 400, "n"),
        (ask_of("x", max_tokens=0), 400, "max_tokens"),
        (ask_of("x", max_tokens=MAX_OUT + 1), 400, "max_tokens"),
        (ask_of("x", tools=[{"type": "function"}]), 400, "tools[0].function.name"),
        (ask_of("x", models=["nobody/knows-it"]), 404, "model"),
        (ask_of("x", model="nobody/knows-it"), 404, "model"),
        (ask_of("x", model="openrouter/auto"), 404, "model"),
    ],
)
async def test_a_wrong_ask_reserves_nothing(
    tmp_path: Path, document: dict[str, Any] | bytes, status: int, param: str | None
) -> None:
    """An OpenAI-shaped answer that says what to change, before any money is reserved or spent."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask(document)
        assert (reply.status, reply.error["param"]) == (status, param)
        assert reply.error["message"].endswith(".")
        assert rig.upstream.posts == len(rig.escrows) == 0


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_over_the_limit_is_refused_while_it_is_read(
    tmp_path: Path,
    told: bool,  # noqa: FBT001 - a case
) -> None:
    """413 as soon as it is known: from the length it names, or from the bytes that came."""
    limits = FaceLimits(body=BodyLimits(bytes_max=1_000))
    async with open_face(tmp_path, limits=limits) as rig:
        headers = {"Content-Length": "1001"} if told else {}
        chunks = [b"x"] if told else [b" " * 600, b" " * 600, b"never read"]
        reply = await rig.caller.send("POST", CHAT, body=chunks, headers=headers)
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
        assert (await rig.ask(b"x" * 1_001)).status == 413
        assert (await rig.ask(b" " * 1_000)).status == 402


async def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """A body that does not arrive in time is refused, and holds no place."""
    limits = FaceLimits(body=BodyLimits(timeout_s=0.01))
    async with open_face(tmp_path, limits=limits) as rig:
        reply = await rig.caller.send("POST", CHAT, body=b"{", stalls=True)
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert "did not arrive" in reply.error["message"]


async def test_who_hangs_up_while_sending_is_not_answered(tmp_path: Path) -> None:
    """A connection that is closed in the middle of its body leaves no trace."""
    async with open_face(tmp_path) as rig, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(rig.caller.send("POST", CHAT, body=b"{", stalls=True))
        await asyncio.sleep(0)
        rig.caller.hang_up()
        assert (await sending).status == 0
        assert rig.escrows == []


async def test_max_tokens_has_a_default_that_is_shown(tmp_path: Path) -> None:
    """1,024, or what the model has if that is less; 402 and completion both say it."""
    short = fake_model("small/short", price=PRICED_MODEL.price, max_out=200)
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, short)
        await rig.service.flows.catalogue.refresh()
        plain = {name: value for name, value in ASK.items() if name != "max_tokens"}
        asked = await rig.ask(plain)
        assert asked.json()["escrow"]["max_tokens"] == 1_024
        assert rig.upstream.runs[0].call.max_tokens == 1_024
        bought = await rig.ask(plain, token=await rig.pay(asked))
        assert bought.json()["cobot"]["max_tokens"] == 1_024
        rig.upstream.then(Completes(cost="0.0001"))
        shorter = await rig.ask({**plain, "model": "small/short"})
        assert shorter.json()["escrow"]["max_tokens"] == 200


async def test_only_known_fields_reach_the_upstream(tmp_path: Path) -> None:
    """What the caller may not choose is not in the body that runs."""
    async with open_face(tmp_path) as rig:
        await rig.ask(ask_of("x", temperature=0.2, user="ada", provider={"sort": "price"}, x=1))
        sent = orjson.loads(rig.upstream.runs[0].body)
        assert sent.keys() == {"model", "messages", "temperature", "provider"}
        assert rig.upstream.runs[0].call.caller_tag == rig.last.caller_id


async def test_an_idempotency_key_finds_its_escrow(tmp_path: Path) -> None:
    """The same key and body meet the same escrow, quoted or not; another key runs anew."""
    async with open_face(tmp_path) as rig:
        first = await rig.ask(headers={"Idempotency-Key": '"abc-1"'})
        again = await rig.ask(headers={"Idempotency-Key": "abc-1"})
        other = await rig.ask(headers={"Idempotency-Key": "abc-2"})
        assert challenge_of(first)[1] == challenge_of(again)[1] != challenge_of(other)[1]
        assert rig.upstream.posts == 2


async def test_an_idempotency_key_with_another_body_is_a_conflict(tmp_path: Path) -> None:
    """422, and nothing runs."""
    async with open_face(tmp_path) as rig:
        token = await rig.top_up(5)
        key = {"Idempotency-Key": "abc-1"}
        await rig.ask(token=token, headers=key)
        reply = await rig.ask(ask_of("Other"), token=token, headers=key)
        assert (reply.status, reply.error["code"]) == (422, "idempotency_key_reused")
        assert rig.upstream.posts == 1


async def test_nobody_can_take_the_key_of_an_ask_without_a_name(tmp_path: Path) -> None:
    """Behind one address, another body under the same key is another ask and no conflict."""
    key = {"Idempotency-Key": "1"}
    async with open_face(tmp_path) as rig:
        stranger = await rig.ask(ask_of("A stranger's"), headers=key)
        mine, again = await rig.ask(headers=key), await rig.ask(headers=key)
        assert stranger.status == mine.status == again.status == 402
        assert mine.header("x-escrow-id") == again.header("x-escrow-id")
        assert mine.header("x-escrow-id") != stranger.header("x-escrow-id")
        assert rig.upstream.posts == 2


@pytest.mark.parametrize("key", ["", '""', "with blank", "x" * 256, "\xe9", '"'])
async def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    """Empty, too long, or not visible ASCII: 400 with the header's name."""
    async with open_face(tmp_path) as rig:
        reply = await rig.ask(headers={"Idempotency-Key": key})
        assert (reply.status, reply.error["param"]) == (400, "Idempotency-Key")
        assert rig.upstream.posts == 0


async def test_two_keys_are_none(tmp_path: Path) -> None:
    """Which of them would count is not for us to guess."""
    async with open_face(tmp_path) as rig:
        lines = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        reply = await rig.caller.send("POST", CHAT, body=orjson.dumps(ASK), headers=lines)
        assert (reply.status, reply.error["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async", "respond-async;x"])
async def test_prefer_respond_async_answers_at_once(tmp_path: Path, prefer: str) -> None:
    """202 with where to look, while the run goes on; the same request then has its 402."""
    async with open_face(tmp_path) as rig:
        gate = asyncio.Event()
        rig.upstream.then(Completes(gate=gate))
        reply = await rig.ask(headers={"Prefer": prefer})
        location = str(reply.header("location"))
        assert reply.status == 202
        assert reply.header("preference-applied") == "respond-async"
        assert reply.header("cache-control") == "no-store"
        assert reply.json()["id"] == rig.last.escrow_id
        again = await rig.ask(headers={"Prefer": prefer})
        assert (again.status, again.header("location")) == (202, location)
        gate.set()
        await rig.until(Progress.INVOICED)
        assert (await rig.get(location)).json()["state"] == "invoiced"
        token = await rig.pay(await rig.ask(headers={"Prefer": prefer}))
        assert (await rig.get(f"{location}/completion", token=token)).status == 200
        assert rig.upstream.posts == 1


async def test_draining_turns_new_asks_away_and_not_claims(tmp_path: Path) -> None:
    """503 draining before anything is reserved; who has paid still reads what was bought."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        rig.draining.set()
        turned = await rig.ask(ask_of("New"))
        assert (turned.status, turned.error["code"]) == (503, "draining")
        assert turned.header("retry-after") == "5"
        assert len(rig.escrows) == 1
        assert (await rig.ask(token=token)).status == 200


async def test_over_the_cap_it_says_how_much_is_open_and_what_to_pay(tmp_path: Path) -> None:
    """429 with the amounts and the caller's own open invoices, at most five of them."""
    async with open_face(tmp_path, NEWCOMER_CAP_SAT="10", UNPAID_DAY_USD="1000") as rig:
        _, token = await rig.buy()
        replies = [await rig.ask(ask_of(f"Ask {number}"), token=token) for number in range(40)]
        refused = replies[-1]
        assert (refused.status, refused.error["code"]) == (429, "exposure_exceeded")
        assert refused.header("x-should-retry") == "false"
        told = refused.error["metadata"]
        assert told["guard"] == "caller"
        assert told["open_msat"] + told["asked_msat"] == told["limit_msat"] + told["over_msat"]
        assert 0 < len(told["to_pay"]) <= 5
        await rig.node.pay(told["to_pay"][0]["invoice"])
        await rig.settle(rig.escrow(told["to_pay"][0]["escrow_id"]))
        assert (await rig.ask(ask_of("One more"), token=token)).status != 429


async def test_strangers_are_capped_by_their_address(tmp_path: Path) -> None:
    """Without a credential there is nothing of its own to pay, and the guard is the address's."""
    async with open_face(tmp_path, UNPAID_DAY_USD="0.04") as rig:
        replies = [await rig.ask(ask_of(f"Ask {number}")) for number in range(6)]
        refused = replies[-1]
        assert refused.status == 429
        assert refused.error["metadata"]["guard"] == "address"
        assert refused.error["metadata"]["to_pay"] == []
        assert (await rig.ask(ask_of("From elsewhere"), peer="198.51.100.9")).status == 402


async def test_the_address_is_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    """A forwarded header decides behind a trusted proxy, and is passed over otherwise."""
    forwarded = {"X-Forwarded-For": "198.51.100.77"}
    async with open_face(tmp_path, trusted_proxies=("10.0.0.0/8",)) as rig:
        await rig.ask(headers=forwarded, peer="10.1.2.3")
        assert rig.last.ask.address == "198.51.100.77"
        await rig.ask(headers=forwarded)
        assert rig.last.ask.address == "203.0.113.7"


async def test_asks_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    """One counter with few labels: kinds of answers and codes of errors."""
    async with open_face(tmp_path) as rig:
        await rig.buy()
        await rig.ask(b"nonsense")
        text = (await rig.get("/metrics")).body.decode()
        for outcome in ("challenge", "completion", "invalid_request"):
            assert f'cobot_meter_asks_total{{outcome="{outcome}"}} 1.0' in text
