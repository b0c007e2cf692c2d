"""The `cobot` object: one writer for the 402, the answer, a stream's end and the later fetch."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.http_api.http.openapi_receipts import COBOT
from cobot_meter.http_api.views import completion_path
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Failed, fake_model
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import MODEL, FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import bearer
from tests.http_api.tasks.task_face import task_face

OTHER = fake_model("meta/other", price=ModelPrice(prompt_pusd=90_000, completion_pusd=90_000))
# What of it payment and time may change; the request's signals are kept nowhere.
MOVES = {"paid_msat", "credited_msat", "privacy", "budget"}


def cobot_of(reply: Reply) -> dict[str, Any]:
    """What an answer, or the last event of one, has there."""
    events = [line for line in reply.body.splitlines() if line.startswith(b"data: {")]
    document = orjson.loads(events[-1][6:]) if events else reply.json()
    found: dict[str, Any] = document["cobot"]
    return found


def billed_usd(cobot: dict[str, Any]) -> Decimal:
    """The sum of the attempts that are in the price."""
    return sum((Decimal(one["cost_usd"]) for one in cobot["attempts"] if one["billed"]), Decimal(0))


async def chained(rig: FaceRig) -> None:
    """The first model fails and has charged for it; the second one answers."""
    rig.upstream.offered = (PRICED_MODEL, OTHER)
    await rig.service.flows.catalogue.refresh()
    rig.upstream.by_model = {
        MODEL: Failed(cost="0.000000123457", says_cost=True),
        OTHER.model_id: Completes(cost="0.000031415927"),
    }


async def test_every_attempt_is_told_and_the_price_is_the_sum_of_those_billed(
    tmp_path: Path,
) -> None:
    """A chain: the same object before payment, with the answer and where that is fetched later."""
    document = ask_of("Which of you?", models=[OTHER.model_id])
    async with open_face(tmp_path) as rig:
        await chained(rig)
        asked = await rig.ask(document)
        token = await rig.pay(asked)
        bought = await rig.ask(document, token=token)
        fetched = await rig.get(completion_path(rig.last.escrow_id), token=token)
        told = [cobot_of(reply) for reply in (asked, bought, fetched)]
        for one in told:
            assert (one["v"], one["mode"], one["served_as"]) == (1, "escrow", "plain")
            first, second = one["attempts"]
            assert (first["status"], first["billed"]) == ("upstream_failed", False)
            assert first["cost_usd"] == "0.000000123457"
            assert (second["status"], second["billed"], second["n"]) == ("ok", True, 2)
            assert second["cost_usd"] == "0.000031415927" == one["cost"]["upstream_usd"]
            assert (second["model"], second["provider"]) == (OTHER.model_id, "Mistral")
            assert second["upstream"] == rig.last.run.upstream
            assert second["generation_id"] == rig.last.run.generation_id
            assert isinstance(second["latency_ms"], int)
            assert billed_usd(one) == Decimal(one["cost"]["upstream_usd"])
            assert set(COBOT["required"]) <= one.keys() <= COBOT["properties"].keys()
            attempt = COBOT["properties"]["attempts"]["items"]
            assert first.keys() == second.keys() == attempt["properties"].keys() - {"route"}
        stays = [{name: one[name] for name in one.keys() - MOVES} for one in told]
        assert stays[0] == stays[1] == stays[2]


@pytest.mark.parametrize("stream", [False, True])
async def test_on_a_key_it_is_the_same_object(tmp_path: Path, *, stream: bool) -> None:
    """Whole or as events: attempts of a chain, and their sum."""
    async with open_face(tmp_path) as rig:
        await chained(rig)
        key, _ = await rig.key(1_000)
        document = ask_of("On a key", models=[OTHER.model_id], stream=stream)
        told = cobot_of(await rig.ask(document, token=bearer(key)))
        assert [one["status"] for one in told["attempts"]] == ["upstream_failed", "ok"]
        assert billed_usd(told) == Decimal(told["cost"]["upstream_usd"]) > 0
        assert told["mode"] == "credit"


async def test_a_sale_of_one_run_reads_no_more_than_its_row(tmp_path: Path) -> None:
    """Nothing on the way of a request grows with what was sold before."""
    async with open_face(tmp_path) as rig:
        reads = 0
        runs_of = rig.parts.books.runs_of

        async def counted(escrow_id: str) -> object:
            nonlocal reads
            reads += 1
            return await runs_of(escrow_id)

        rig.parts.books.runs_of = counted  # type: ignore[method-assign, assignment]
        bought, _ = await rig.buy(ask_of("one run"))
        assert len(cobot_of(bought)["attempts"]) == 1
        assert reads == 0


async def test_a_run_of_a_task_tells_of_itself_and_its_seller_reads_them_all(
    tmp_path: Path,
) -> None:
    """With one shape for both; whoever buys the task is told their sum and no more."""
    async with task_face(tmp_path) as face:
        face.rig.upstream.then(Completes(cost="0.0000310"), Completes(cost="0.0000200"))
        task = await face.opened()
        told = [cobot_of(await face.ask(task, text)) for text in ("one", "two")]
        assert [one["served_as"] for one in told] == ["task", "task"]
        seen = (await face.send("GET", f"/v1/tasks/{task['id']}")).json()["attempts"]
        assert [one["cost_usd"] for one in seen] == ["0.000031", "0.00002"]
        assert [one["attempts"] for one in told] == [seen[:1], seen[1:]]
        assert [(one["n"], one["billed"]) for one in seen] == [(1, True), (2, True)]
        closed = (
            await face.send("POST", f"/v1/tasks/{task['id']}/close", {"answer": "Done."})
        ).json()
        token = await face.paid(closed)
        bought = cobot_of(await face.claim(closed, token))
        assert "attempts" not in bought
        assert bought["cost"]["runs"] == 2
        assert billed_usd({"attempts": seen}) == Decimal(bought["cost"]["upstream_usd"])
