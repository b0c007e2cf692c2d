"""`cobot/auto`: listed, quoted, asked, paid for and explained as any other model."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.routing.decide import decide
from cobot_meter.domain.routing.stored import read_stored
from cobot_meter.domain.routing.virtual import AUTO_NAMES, declared_task
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.flows.offer.route_request import candidates, facts_of
from cobot_meter.http_api.chat.request import parse_chat_request
from cobot_meter.wiring.opening.routing_table import routing_table
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import Refused, Unknown, fake_model
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import FaceRig, ask_of, challenge_of, open_face
from tests.http_api.tasks.task_face import TASKS, task_face

TABLE = routing_table(None)
CHEAP = "mistralai/mistral-small-3.2-24b-instruct"
CODER = "deepseek/deepseek-chat"
BEST = "anthropic/claude-opus-5.5"
FACTUAL = "What is the capital of Peru?"
CODE = "Write a Python function that reverses a linked list."
HARD = "Prove that the square root of 2 is irrational."


def offered() -> tuple[Model, ...]:
    """Every model of the shipped table, at its list price."""
    return tuple(
        fake_model(name, price=model.price, context_length=model.context_length)
        for name, model in TABLE.listed.items()
    )


@contextlib.asynccontextmanager
async def open_router(folder: Path) -> AsyncIterator[FaceRig]:
    """A face whose upstream has the models of the table."""
    upstream = FakeUpstream()
    upstream.offered = offered()
    async with open_face(folder, upstream=upstream) as rig:
        yield rig


def auto(text: str = FACTUAL, *, model: str = "cobot/auto", **fields: object) -> dict[str, Any]:
    """An ask that leaves the choice to the service."""
    return {**ask_of(text), "model": model, **fields}


def routed(reply: Reply) -> Mapping[str, Any]:
    """The members of a 402 or an answer that say who was asked."""
    members: Mapping[str, Any] = reply.json()["cobot"]
    return members


async def audit_codes(rig: FaceRig) -> list[str]:
    """What an audit finds in the books."""
    audit = AuditLedger(
        reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
    )
    return [finding.code for finding in (await audit.audit()).findings]


@pytest.mark.parametrize(
    ("text", "task", "model"),
    [(FACTUAL, "factual", CHEAP), (CODE, "code", CODER), (HARD, "maths", "openai/gpt-5-mini")],
)
async def test_the_turn_decides_who_is_asked(
    tmp_path: Path, text: str, task: str, model: str
) -> None:
    """The 402 and the answer name the model, why, from which table, and what the best would be."""
    async with open_router(tmp_path) as rig:
        asked = await rig.ask(auto(text))
        assert asked.status == 402, asked.body
        route = routed(asked)["route"]
        assert (route["task"], route["task_source"], route["model"]) == (task, "rules", model)
        assert route["table"] == TABLE.successes.version
        assert route["reasons"]
        assert rig.last.quote.model == rig.last.model == model
        token = await rig.pay(asked)
        bought = (await rig.ask(auto(text), token=token)).json()
        assert bought["model"] == model
        assert bought["cobot"]["route"] == route
        baseline = bought["cobot"]["baseline"]
        assert baseline["model"] == BEST
        assert baseline["kind"] == "estimate"
        assert await audit_codes(rig) == []


async def test_a_declared_task_is_believed(tmp_path: Path) -> None:
    """Behind the name or as a hint; two that contradict each other are refused, unspent."""
    async with open_router(tmp_path) as rig:
        named = routed(await rig.ask(auto(model="cobot/auto:code")))["route"]
        hinted = routed(await rig.ask(auto(), headers={"X-Cobot-Task": "code"}))["route"]
        assert named["task_source"] == hinted["task_source"] == "declared"
        assert named["model"] == hinted["model"] == CODER
        posts = rig.upstream.posts
        both = await rig.ask(auto(model="cobot/auto:code"), headers={"X-Cobot-Task": "factual"})
        assert (both.status, both.error["param"]) == (400, "model")
        unknown = await rig.ask(auto(model="cobot/auto:cod"))
        assert unknown.status == 404
        nested = await rig.ask({**ask_of("hello"), "models": ["cobot/auto"]})
        assert (nested.status, nested.error["param"]) == (400, "models")
        assert rig.upstream.posts == posts


async def test_the_names_are_listed_at_a_ceiling_price(tmp_path: Path) -> None:
    """As rows of the list, and one by one; nobody who may answer costs more a token."""
    async with open_router(tmp_path) as rig:
        rows = {row["id"]: row for row in (await rig.get("/v1/models")).json()["data"]}
        assert set(AUTO_NAMES) <= rows.keys()
        for price in ("prompt", "completion"):
            most = max(float(rows[name]["pricing"][price]) for name in TABLE.listed)
            assert float(rows["cobot/auto"]["pricing"][price]) == most
        one = (await rig.get("/v1/models/cobot/auto:code")).json()
        assert one["data"] == rows["cobot/auto:code"]
        assert (await rig.get("/v1/models/cobot/auto/endpoints")).status == 200
        assert (await rig.get("/v1/models/count")).json()["data"]["count"] == len(rows)


async def test_no_name_is_listed_where_nothing_of_the_table_is_offered(tmp_path: Path) -> None:
    """And asked for it is refused with the reason for each model, unspent."""
    upstream = FakeUpstream()
    upstream.offered = (fake_model("a/b", price=offered()[0].price),)
    async with open_face(tmp_path, upstream=upstream) as rig:
        rows = {row["id"] for row in (await rig.get("/v1/models")).json()["data"]}
        assert rows == {"a/b"}
        reply = await rig.ask(auto())
        assert (reply.status, reply.error["param"]) == (400, "model")
        assert "not_offered" in reply.error["message"]
        assert rig.upstream.posts == len(rig.escrows) == 0


async def test_a_quote_holds_for_what_it_chose(tmp_path: Path) -> None:
    """The ask that brings it back asks one of its models under its ceiling."""
    async with open_router(tmp_path) as rig:
        quote = (await rig.send("POST", "/v1/quotes", auto(CODE))).json()
        assert quote["models"][0]["model"] == quote["route"]["model"] == CODER
        asked = await rig.ask(auto(CODE), headers={"X-Cobot-Quote": quote["quote"]})
        assert asked.status == 402
        assert rig.last.quote.ceiling_msat == quote["ceiling"]["msat"]
        assert rig.last.quote.model == CODER


async def test_a_cap_that_nothing_fits_is_refused_with_both_figures(tmp_path: Path) -> None:
    """And one that only cheap models fit is kept: the target is given up, unless never."""
    async with open_router(tmp_path) as rig:
        least = await rig.ask(auto(HARD), headers={"X-Cobot-Max-Cost": "1msat"})
        assert (least.status, least.error["code"]) == (400, "ceiling_over_cap")
        assert "allows 1 msat" in least.error["message"]
        assert "$0." in least.error["message"]
        cap = {"X-Cobot-Max-Cost": "0.0007 usd"}
        never = await rig.ask(auto(HARD), headers={**cap, "X-Cobot-Downgrade": "never"})
        assert (never.status, never.error["param"]) == (400, "model")
        assert rig.upstream.posts == len(rig.escrows) == 0
        within = await rig.ask(auto(HARD), headers=cap)
        assert within.status == 402, within.body
        assert "below_target" in routed(within)["route"]["reasons"]
        assert await audit_codes(rig) == []


async def test_a_session_does_not_fall_and_is_its_callers_own(tmp_path: Path) -> None:
    """A hard turn raises it; another caller's session of that name is another one."""
    async with open_router(tmp_path) as rig:
        proof, stranger = await rig.credited(1_000), await rig.credited(1_000)
        said = {"X-Cobot-Session": "s-1"}
        hard = auto("Hm?", model="cobot/auto:reasoning")
        assert (await rig.ask(hard, token=proof, headers=said)).status == 200
        simple = await rig.ask(auto(), token=proof, headers=said)
        route = routed(simple)["route"]
        assert route["tier"] == "premium"
        assert "session_tier" in route["reasons"]
        for token, session in ((stranger, "s-1"), (proof, "s-2")):
            other = await rig.ask(auto(), token=token, headers={"X-Cobot-Session": session})
            assert routed(other)["route"]["tier"] == "cheap"
        capped = {**said, "X-Cobot-Max-Cost": "0.0007 usd"}
        refused = await rig.ask(auto("Who was Bolívar?"), token=proof, headers=capped)
        assert (refused.status, refused.error["param"]) == (400, "model")
        allowed = {**capped, "X-Cobot-Downgrade": "allow"}
        lower = await rig.ask(auto("Who was Bolívar?"), token=proof, headers=allowed)
        assert "below_session" in routed(lower)["route"]["reasons"]


async def test_a_key_pays_for_it_and_bounds_it(tmp_path: Path) -> None:
    """On credit, whole or as events; a key's models are those that may be chosen."""
    async with open_router(tmp_path) as rig:
        free, _ = await rig.key(5_000)
        bought = await rig.ask(auto(), token=f"Bearer {free}")
        assert bought.status == 200
        assert routed(bought)["route"]["model"] == CHEAP
        streamed = await rig.ask(auto(CODE, stream=True), token=f"Bearer {free}")
        assert b'"route"' in streamed.body
        bound, _ = await rig.key(5_000, models=[CODER])
        of_key = await rig.ask(auto("And of Chile?"), token=f"Bearer {bound}")
        assert routed(of_key)["route"]["model"] == CODER
        named, _ = await rig.key(5_000, models=["cobot/auto"])
        through = await rig.ask(auto("And of Cuba?"), token=f"Bearer {named}")
        assert routed(through)["route"]["model"] == CHEAP
        assert (await rig.ask(ask_of("x"), token=f"Bearer {named}")).status in {400, 404}
        assert await audit_codes(rig) == []


async def test_the_callers_list_is_chosen_from(tmp_path: Path) -> None:
    """`models` beside it; one that the table does not have is refused."""
    async with open_router(tmp_path) as rig:
        listed = auto(models=["anthropic/claude-sonnet-5", BEST])
        route = routed(await rig.ask(listed))["route"]
        assert route["model"] == "anthropic/claude-sonnet-5"
        wrong = await rig.ask(auto(models=["no/such"]))
        assert (wrong.status, wrong.error["param"]) == (400, "models")


@pytest.mark.parametrize("fault", [Refused(status=503), Unknown()])
async def test_who_fails_is_followed_by_the_next_of_the_chain(
    tmp_path: Path, fault: Refused | Unknown
) -> None:
    """One sale, one invoice; the answer names who served, and the decision who was to."""
    async with open_router(tmp_path) as rig:
        rig.upstream.then(*[fault] * (3 if isinstance(fault, Refused) else 1))
        asked = await rig.ask(auto())
        assert asked.status == 402, asked.body
        token = await rig.pay(asked)
        bought = (await rig.ask(auto(), token=token)).json()
        assert bought["cobot"]["route"]["model"] == CHEAP
        assert bought["model"] == bought["cobot"]["model"] != CHEAP
        assert bought["cobot"]["fallback"]["asked_model"] == CHEAP
        assert await audit_codes(rig) == []


async def test_a_task_asks_it_too(tmp_path: Path) -> None:
    """One run of the task, at the model that was chosen; its row says why, and so does its answer.

    A decision that was changed afterwards is found.
    """
    async with task_face(tmp_path) as face:
        face.rig.upstream.offered = offered()
        await face.rig.service.flows.catalogue.refresh()
        task = await face.opened()
        reply = await face.ask(task, CODE, model="cobot/auto")
        assert reply.status == 200, reply.body
        assert reply.json()["model"] == reply.json()["cobot"]["model"] == CODER
        (attempt,) = reply.json()["cobot"]["attempts"]
        assert (attempt["route"]["model"], attempt["route"]["task"]) == (CODER, "code")
        await face.ask(task, CODE)
        told = (await face.send("GET", f"{TASKS}/{task['id']}")).json()["attempts"]
        assert [one.get("route") for one in told] == [attempt["route"], None]
        await face.audited()


async def again(rig: FaceRig, escrow: Escrow, body: bytes) -> None:
    """Decide anew from the request, the table and the prices; the row says the same."""
    stored = read_stored(str(escrow.route)).decision
    request = parse_chat_request(body).completion
    known = {model.model_id: model for model in rig.service.flows.catalogue.models()}
    made = decide(
        facts_of(request),
        request.hints,
        TABLE.successes,
        candidates(
            request,
            TABLE.successes,
            {name: model for name, model in known.items() if name in TABLE.successes.tiers},
            rate=escrow.quote.rate,
            terms=escrow.quote.terms,
        ),
        declared=declared_task(request.model, request.hints),
        floor=stored.bounds.floor,
    )
    assert made == stored


@pytest.mark.parametrize("text", [FACTUAL, CODE, HARD, "Hello there", "x" * 9_000])
async def test_the_stored_decision_can_be_made_again(tmp_path: Path, text: str) -> None:
    """From the request, the named table and the stored prices: nothing else went into it."""
    async with open_router(tmp_path) as rig:
        body = orjson.dumps(auto(text, cobot={"downgrade": "allow"}))
        assert (await rig.ask(body)).status == 402
        await again(rig, rig.last, body)


@pytest.mark.parametrize("changed", ["chain", "bar", "nonsense"])
async def test_a_decision_that_was_edited_is_found(tmp_path: Path, changed: str) -> None:
    """The audit chooses again from what is stored, and the entry's digest tells the rest."""
    async with open_router(tmp_path) as rig:
        await rig.ask(auto())
        row = rig.last
        said = orjson.loads(str(row.route))
        if changed == "chain":
            said["chain"] = list(reversed(said["chain"]))
        elif changed == "bar":
            said["bar"] = 1_000_000
        else:
            said = {"v": 1}
        edited = replace(row, route=orjson.dumps(said).decode())
        rows = rig.books.rows
        rig.books.rows = replace(rows, escrows={**rows.escrows, row.escrow_id: edited})
        assert {"route_differs", "quote_differs"} <= set(await audit_codes(rig))


async def test_a_named_model_has_no_decision(tmp_path: Path) -> None:
    """Nothing is added to what callers of a model read."""
    async with open_router(tmp_path) as rig:
        asked = await rig.ask({**ask_of("Hello"), "model": CHEAP})
        assert not {"route", "baseline"} & asked.json()["cobot"].keys()
        assert rig.last.route is None
        assert challenge_of(asked)


async def test_a_choice_among_those_that_keep_nothing_says_both(tmp_path: Path) -> None:
    """Who was chosen and why, and what is kept of it, before it is paid for and afterwards."""
    async with open_router(tmp_path) as rig:
        asked = await rig.ask(auto(), headers={"X-Cobot-Privacy": "zdr"})
        assert asked.status == 402
        token = await rig.pay(asked)
        bought = await rig.ask(auto(), headers={"X-Cobot-Privacy": "zdr"}, token=token)
        for reply in (asked, bought):
            told = reply.json()["cobot"]
            assert told["route"]["model"] == CHEAP
            assert told["privacy"]["tier"] == "zdr"
        (run,) = rig.upstream.runs
        assert orjson.loads(run.body)["provider"]["zdr"] is True
