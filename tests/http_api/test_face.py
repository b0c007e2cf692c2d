"""The face as one application: unknown paths, HEAD, faults nobody foresaw, and its description."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cobot_meter.domain.escrow.states import Progress
from cobot_meter.http_api.app import HotRoutes
from cobot_meter.http_api.http.edge import Edge
from cobot_meter.http_api.http.exchange import (
    BodyLimits,
    HttpRequest,
    Message,
    PlainAnswer,
    Receive,
    Scope,
    Send,
)
from tests.http_api.asgi_caller import AsgiCaller
from tests.http_api.face_rig import CHAT, FaceRig, open_face

CANARY = "canary-in-a-prompt"
GETS = (
    "/v1/models",
    "/v1/models/count",
    "/v1/models/some",
    "/v1/models/openai/some",
    "/v1/model/openai/some",
    "/v1/models/openai/some/endpoints",
    "/v1/key",
    "/v1/credits",
    "/v1/ledger",
    "/v1/generation",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/llms.txt",
    "/v1/escrows/esc_1",
    "/v1/escrows/esc_1/completion",
)


BUDGETS = "/v1/budgets"
OF_TASKS = (
    "/v1/tasks",
    *(f"/v1/tasks/esc_1{rest}" for rest in ("", "/answer", "/close", "/delivered")),
)
OF_KEYS = (
    "/v1/topups",
    "/v1/topups/top_1",
    "/v1/keys",
    "/v1/keys/key_1",
    "/v1/keys/key_1/rotate",
)


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/nope", "/v1/models/", "/docs", CHAT + "/"])
async def test_an_unknown_path_is_404_in_openais_shape(tmp_path: Path, target: str) -> None:
    """Never a redirect, never a page of a framework."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get(target)
        assert (reply.status, reply.error["code"]) == (404, "unknown_url")
        assert reply.error["type"] == "invalid_request_error"
        assert reply.header("content-type") == "application/json"


WRONG = {
    "/chat/completions": CHAT,
    "/api/v1/chat/completions": CHAT,
    "/v1/v1/chat/completions": CHAT,
    "/v1/chat/completions/": CHAT,
    "//v1//chat/completions": CHAT,
    "/openai/v1/chat/completions": CHAT,
    "/V1/Chat/Completions": CHAT,
    "/v2/chat/completions": CHAT,
    "/api/v1/models": "/v1/models",
    "/models": "/v1/models",
    "/api/v1/models/openai/gpt-5/endpoints": "/v1/models/openai/gpt-5/endpoints",
    "/v1/healthz": "/healthz",
    "/api/v1/key/": "/v1/key",
    "/quotes": "/v1/quotes",
}


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("target", WRONG)
async def test_a_wrong_base_path_is_told_the_right_one(
    tmp_path: Path, target: str, method: str
) -> None:
    """404 in OpenAI's shape, whose sentence names the path that was meant."""
    async with open_face(tmp_path) as rig:
        reply = await rig.caller.send(method, target, body=b"{}")
        assert reply.status == 404
        if method != "HEAD":
            assert f"It is {WRONG[target]} here" in reply.error["message"]


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/nope", "/favicon.ico", "/a" * 500, "/v1/%s"])
async def test_a_path_that_means_nothing_is_told_where_the_routes_are(
    tmp_path: Path, target: str
) -> None:
    """No path is guessed at."""
    async with open_face(tmp_path) as rig:
        assert "GET /openapi.json" in (await rig.get(target)).error["message"]


async def test_metrics_are_not_for_callers(tmp_path: Path) -> None:
    """404 whatever the method, and the sentence says where the operator reads them."""
    async with open_face(tmp_path) as rig:
        for method in ("GET", "HEAD", "POST"):
            reply = await rig.caller.send(method, "/metrics")
            assert reply.status == 404
        got = await rig.caller.send("GET", "/metrics")
        assert "COBOT_METER_METRICS_LISTEN" in got.error["message"]
        assert (await rig.get("/metrics")).status == 200
        assert (await rig.operator.send("GET", "/")).status == 404
        assert (await rig.operator.send("POST", "/metrics")).status == 405


@pytest.mark.parametrize("target", [*GETS, CHAT, "/v1/quotes", "*"])
async def test_a_page_of_another_origin_may_ask_and_read(tmp_path: Path, target: str) -> None:
    """The preflight is 204 for every public route, with the headers that the page wants to send."""
    wanted = "authorization,content-type,x-stainless-lang"
    async with open_face(tmp_path) as rig:
        asked = {
            "Origin": "https://wallet.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": wanted,
        }
        reply = await rig.caller.send("OPTIONS", target, headers=asked)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.header("access-control-allow-origin") == "*"
        assert reply.header("access-control-allow-headers") == wanted
        method = "POST" if target in {CHAT, "/v1/quotes"} else "GET"
        assert method in str(reply.header("access-control-allow-methods")).split(", ")
        assert reply.header("access-control-allow-credentials") is None


async def test_every_answer_can_be_read_by_a_page(tmp_path: Path) -> None:
    """Challenges, completions and refusals: open to any origin, with our headers exposed."""
    async with open_face(tmp_path) as rig:
        challenge = await rig.ask()
        bought, token = await rig.buy()
        replies = [
            challenge,
            bought,
            await rig.get("/v1/credits", token=token),
            await rig.get("/v1/credits"),
            await rig.get("/nope"),
            await rig.ask(b"no JSON"),
            await rig.ask(headers={"Origin": "null"}),
        ]
        for reply in replies:
            assert reply.header("access-control-allow-origin") == "*"
            exposed = str(reply.header("access-control-expose-headers")).lower().split(", ")
            ours = {name.decode() for name, _ in reply.headers if name.startswith(b"x-")}
            assert {"www-authenticate", "location", "retry-after", *ours} <= set(exposed)
            assert reply.header("access-control-allow-credentials") is None


@pytest.mark.parametrize("asked", ["", "a\r\nb: c", "é", "x" * 3_000])
async def test_a_preflight_echoes_nothing_that_is_no_list_of_names(
    tmp_path: Path, asked: str
) -> None:
    """Anything else gets the headers that clients usually send."""
    async with open_face(tmp_path) as rig:
        headers = {"Access-Control-Request-Headers": asked}
        reply = await rig.caller.send("OPTIONS", CHAT, headers=headers)
        assert str(reply.header("access-control-allow-headers")).startswith("Authorization, ")


async def test_head_of_a_completion_hands_nothing_over(tmp_path: Path) -> None:
    """The row stays settled: it is released when somebody reads it."""
    async with open_face(tmp_path) as rig:
        token = await rig.pay(await rig.ask())
        settled = await rig.settle(rig.last)
        states = [settled.progress]
        target = f"/v1/escrows/{settled.escrow_id}/completion"
        head = await rig.caller.send("HEAD", target, headers={"Authorization": token})
        assert (head.status, head.body) == (200, b"")
        states.append(rig.last.progress)
        assert (await rig.get(target, token=token)).status == 200
        states.append(rig.last.progress)
        assert states == [Progress.SETTLED, Progress.SETTLED, Progress.RELEASED]


async def test_a_nonsensical_host_is_not_our_fault(tmp_path: Path) -> None:
    """What a caller writes into its headers cannot break the answer."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get("/nope", headers={"Host": "[", "Content-Type": ";;"})
        assert reply.status == 404


@pytest.mark.parametrize("target", GETS)
async def test_a_wrong_method_is_405_and_says_which_is_right(tmp_path: Path, target: str) -> None:
    """In OpenAI's shape, with `Allow`."""
    async with open_face(tmp_path) as rig:
        for method, allowed in (("POST", "GET"), ("DELETE", "GET")):
            reply = await rig.caller.send(method, target, body=b"{}")
            assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
            assert reply.header("allow") == allowed
        reply = await rig.get(CHAT)
        assert (reply.status, reply.header("allow")) == (405, "POST")


@pytest.mark.parametrize("target", GETS)
async def test_head_is_get_without_its_body(tmp_path: Path, target: str) -> None:
    """The same status and length, and no bytes."""
    async with open_face(tmp_path) as rig:
        get, head = await rig.get(target), await rig.caller.send("HEAD", target)
        assert (head.status, head.body) == (get.status, b"")
        assert head.header("content-length") == get.header("content-length")


async def test_the_description_lists_every_route(tmp_path: Path) -> None:
    """OpenAPI 3.1 with the 402 and the offer of what is paid for, cacheable."""
    async with open_face(tmp_path) as rig:
        reply = await rig.get("/openapi.json")
        document = reply.json()
        assert document["openapi"].startswith("3.1")
        assert reply.header("cache-control") == "public, max-age=300"
        chat = document["paths"][CHAT]["post"]
        assert chat["x-payment-info"]["offers"][0]["method"] == "lightning"
        assert "WWW-Authenticate" in chat["responses"]["402"]["headers"]
        assert chat["requestBody"]["content"]["application/json"]["schema"]["required"]
        filled = {"escrow_id": "esc_1", "author": "openai", "slug": "some", "model": "some"}
        filled |= {"topup_id": "top_1", "key_id": "key_1", "task_id": "esc_1"}
        described = {path.format(**filled) for path in document["paths"]}
        assert described == {*GETS, CHAT, "/v1/quotes", BUDGETS, *OF_KEYS, *OF_TASKS} - {
            "/openapi.json"
        }
        operations = [
            op["operationId"] for path in document["paths"].values() for op in path.values()
        ]
        assert len(operations) == len(set(operations))


async def _lifespan(rig: FaceRig) -> list[str]:
    sent: list[str] = []
    messages = ["lifespan.startup", "lifespan.shutdown"]

    async def receive() -> Message:
        return {"type": messages.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await rig.app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return sent


async def test_servers_that_ask_for_a_lifespan_get_one(tmp_path: Path) -> None:
    """The face has nothing to start or stop, and says so."""
    async with open_face(tmp_path) as rig:
        assert await _lifespan(rig) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


Route = Callable[[HttpRequest], Awaitable[PlainAnswer]]


async def _fails(request: HttpRequest) -> PlainAnswer:
    raise KeyError(request.body.take().decode())


async def _app_that_fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise KeyError(CANARY)


async def _app_that_fails_late(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise KeyError(CANARY)


async def test_what_nobody_foresaw_is_a_500_that_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the caller nor the log reads what was in the request; the log has type and place."""
    hot = HotRoutes(
        exact={("POST", CHAT): _fails},
        below=(),
        limits=BodyLimits(),
        rest=_app_that_fails,
    )
    caller = AsgiCaller(Edge(hot))
    with caplog.at_level(logging.ERROR):
        for reply in (
            await caller.send("POST", CHAT, body=CANARY.encode()),
            await caller.send("GET", "/elsewhere"),
        ):
            assert (reply.status, reply.error["code"]) == (500, "internal_error")
            assert reply.header("x-should-retry") == "false"
            assert CANARY.encode() not in reply.body
    assert [record.getMessage().split("\n")[0] for record in caplog.records] == [
        "unforeseen KeyError",
        "unforeseen KeyError",
    ]
    assert CANARY not in caplog.text
    assert "_fails" in caplog.text


async def test_a_fault_after_the_answer_has_begun_begins_no_second_one() -> None:
    """The connection ends; two answers on one would be read as somebody else's."""
    reply = await AsgiCaller(Edge(_app_that_fails_late)).send("GET", "/")
    assert (reply.status, reply.body) == (200, b"")
