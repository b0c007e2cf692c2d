"""Who may read a request: what it is sent with, where it goes, and what is said of that."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.http_api.views import completion_path
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import (
    OTHER_MODEL,
    PRICED_MODEL,
    Failed,
    Outcome,
    Refused,
    Unreachable,
    fake_model,
)
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, MODEL, FaceRig, ask_of, open_face

HERE = replace(
    fake_model(
        "ollama/llama3.2:3b", price=ModelPrice(prompt_pusd=150_000, completion_pusd=600_000)
    ),
    has_providers=False,
    on_this_machine=True,
)
SETTINGS = {
    "OLLAMA_URL": "http://127.0.0.1:9",
    "OLLAMA_MODELS": "llama3.2:3b 8192 20 40",
    "PRIVATE_MODEL": HERE.model_id,
    "ZDR_MODEL": OTHER_MODEL.model_id,
    "FALLBACK_MODELS": OTHER_MODEL.model_id,
}
CARD = "4111 1111 1111 1111"
IMAGE = {"type": "image_url", "image_url": {"url": "https://pictures.org/a.png"}}
LOCAL = {"X-Cobot-Privacy": "local"}
ZDR = {"X-Cobot-Privacy": "zdr"}
PUBLIC = {"X-Cobot-Privacy": "public"}


@contextlib.asynccontextmanager
async def private_face(folder: Path, **more: str) -> AsyncIterator[FaceRig]:
    """A face with a model of its own machine, by settings that may be others."""
    settings: dict[str, Any] = {
        name: value for name, value in (SETTINGS | more).items() if value != "-"
    }
    upstream = FakeUpstream(models=(PRICED_MODEL, OTHER_MODEL, HERE))
    async with open_face(folder, upstream=upstream, **settings) as rig:
        yield rig


def sent(rig: FaceRig) -> list[tuple[str, dict[str, Any]]]:
    """Each run's model, and the body that was sent to it."""
    return [(run.call.model, orjson.loads(run.body)) for run in rig.upstream.runs]


def privacy_in(reply: Reply) -> Mapping[str, Any]:
    """What an answer or a 402 says of it."""
    said = reply.json()["cobot"]["privacy"]
    assert isinstance(said, dict)
    return said


def holding(folder: Path, said: bytes) -> list[Path]:
    """The files in and below a folder in which this stands."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if said in path.read_bytes()]


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        (ASK, LOCAL),
        ({**ASK, "cobot": {"privacy": "local"}}, {}),
        ({**ASK, "model": "cobot/private"}, {}),
        ({**ASK, "model": "cobot/zdr"}, LOCAL),
        ({**ASK, "model": "cobot/auto"}, LOCAL),
        ({**ask_of(f"charge {CARD}"), "model": "cobot/auto:code"}, {}),
        (ask_of(f"charge {CARD}"), {}),
        (ask_of(f"charge {CARD}"), PUBLIC),
        (ask_of(f"charge {CARD}"), ZDR),
        (
            ask_of(
                "x", tools=[{"type": "function", "function": {"name": "f", "description": CARD}}]
            ),
            {},
        ),
    ],
)
async def test_what_is_private_is_answered_on_this_machine(
    tmp_path: Path, document: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """Declared, named or detected, whatever model it names; the 402 and the answer say so."""
    async with private_face(tmp_path) as rig:
        asked = await rig.ask(document, headers=headers)
        assert asked.status == 402
        token = await rig.pay(asked)
        bought = await rig.ask(document, headers=headers, token=token)
        assert bought.status == 200
        assert [model for model, _ in sent(rig)] == [HERE.model_id]
        for reply in (asked, bought):
            assert privacy_in(reply)["tier"] == "local"
        assert CARD.encode() not in asked.body


@pytest.mark.parametrize("document", [ASK, {**ASK, "model": "cobot/zdr"}])
async def test_zdr_goes_to_providers_that_keep_nothing(
    tmp_path: Path, document: Mapping[str, Any]
) -> None:
    """Both flags are sent, whatever else is wished of providers; the named model answers."""
    async with private_face(tmp_path) as rig:
        wished = {**document, "provider": {"sort": "price"}}
        reply = await rig.ask(wished, headers=ZDR)
        assert reply.status == 402
        [(model, body)] = sent(rig)
        assert model == (MODEL if document is ASK else OTHER_MODEL.model_id)
        assert body["provider"] == {"sort": "price", "zdr": True, "data_collection": "deny"}
        assert privacy_in(reply)["tier"] == "zdr"
        assert privacy_in(reply)["declared"] is True


@pytest.mark.parametrize("headers", [PUBLIC, {}])
async def test_a_public_request_is_sent_as_it_came(
    tmp_path: Path, headers: Mapping[str, str]
) -> None:
    """No flag, no other model; nothing is said of it where nothing was declared or seen."""
    async with private_face(tmp_path) as rig:
        reply = await rig.ask(ASK, headers=headers)
        [(model, body)] = sent(rig)
        assert (model, "provider" in body) == (MODEL, False)
        if not headers:
            assert "privacy" not in reply.json()["cobot"]
            return
        assert privacy_in(reply) == {
            "tier": "public",
            "declared": True,
            "by": "caller",
            "signals": [],
            "retention": {"kept": "sealed", "until_ms": None, "then": "sha256"},
        }


async def test_types_are_told_and_values_are_not(tmp_path: Path) -> None:
    """The 402 names the kinds of what was detected, and nothing of it."""
    async with private_face(tmp_path) as rig:
        reply = await rig.ask(ask_of(f"{CARD} is of jane.roe@hospital.org"))
        assert privacy_in(reply)["signals"] == ["card", "email"]
        assert b"jane" not in reply.body
        assert b"4111" not in reply.body


@pytest.mark.parametrize(
    "outcome", [Refused(status=404), Refused(status=500), Unreachable(), Failed()]
)
@pytest.mark.parametrize("headers", [LOCAL, {}])
async def test_a_private_request_goes_nowhere_else_when_this_machine_fails(
    tmp_path: Path, outcome: Outcome, headers: Mapping[str, str]
) -> None:
    """422 with a sentence, although the operator has a chain of others and the caller named one."""
    async with private_face(tmp_path) as rig:
        rig.upstream.by_model = {HERE.model_id: outcome}
        reply = await rig.ask(ask_of(f"charge {CARD}"), headers=headers)
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        assert "sent to nobody else" in reply.error["message"]
        assert rig.upstream.posts
        assert {model for model, _ in sent(rig)} <= {HERE.model_id}


async def test_zdr_that_nobody_keeps_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """The upstream finds no provider: 422, not the flags taken away."""
    async with private_face(tmp_path, FALLBACK_MODELS="-") as rig:
        rig.upstream.usually = Refused(status=404)
        reply = await rig.ask(ASK, headers=ZDR)
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        assert "promises to keep nothing" in reply.error["message"]


async def test_a_chain_of_zdr_keeps_its_flags(tmp_path: Path) -> None:
    """The operator's fallback is asked with both flags too."""
    async with private_face(tmp_path) as rig:
        rig.upstream.by_model = {MODEL: Failed()}
        assert (await rig.ask(ASK, headers=ZDR)).status == 402
        assert [model for model, _ in sent(rig)] == [MODEL, OTHER_MODEL.model_id]
        assert all(body["provider"]["zdr"] is True for _, body in sent(rig))


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        (ASK, LOCAL),
        ({**ASK, "model": "cobot/private"}, {}),
        (ask_of(f"charge {CARD}"), {}),
        (ask_of([{"type": "text", "text": "what is it?"}, IMAGE]), {}),  # type: ignore[arg-type]
    ],
)
async def test_without_a_model_here_a_private_request_is_refused(
    tmp_path: Path, document: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """422 before anything is reserved or sent, where the operator wants everything scanned."""
    none = dict.fromkeys(("OLLAMA_URL", "OLLAMA_MODELS", "PRIVATE_MODEL"), "-")
    async with private_face(tmp_path, **none, PRIVACY_DETECTOR="on") as rig:
        reply = await rig.ask(document, headers=headers)
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        assert rig.upstream.posts == len(rig.escrows) == 0


async def test_who_says_what_an_image_is_may_send_it(tmp_path: Path) -> None:
    """Undeclared it could be anything, and nobody here reads it; declared it is not guessed."""
    document = ask_of([{"type": "text", "text": "what is it?"}, IMAGE])  # type: ignore[arg-type]
    async with private_face(tmp_path) as rig:
        reply = await rig.ask(document)
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        assert "reads no images" in reply.error["message"]
        assert "X-Cobot-Privacy: public" in reply.error["message"]
        declared = await rig.ask(document, headers=PUBLIC)
        assert declared.error["code"] != "privacy_unroutable"


@pytest.mark.parametrize(("setting", "looks"), [("off", False), ("auto", True), ("on", True)])
async def test_a_setting_decides_whether_requests_are_looked_at(
    tmp_path: Path, setting: str, *, looks: bool
) -> None:
    """Switched off only what is declared counts."""
    async with private_face(tmp_path, PRIVACY_DETECTOR=setting) as rig:
        reply = await rig.ask(ask_of(f"charge {CARD}"))
        assert ("privacy" in reply.json()["cobot"]) is looks
        assert [model for model, _ in sent(rig)] == [HERE.model_id if looks else MODEL]


async def test_without_a_model_here_nothing_is_scanned_unless_that_is_set(tmp_path: Path) -> None:
    """Otherwise every address in a prompt would be a refusal that nobody has asked for."""
    async with open_face(tmp_path) as rig:
        asked = await rig.ask(ask_of(f"charge {CARD}"))
        assert "privacy" not in asked.json()["cobot"]
        assert [model for model, _ in sent(rig)] == [MODEL]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"model": f"{MODEL}:online"}, "model"),
        ({"tools": [{"type": "openrouter:web_search"}]}, "tools[0].type"),
        ({"provider": {"data_collection": "allow"}}, "provider.data_collection"),
        ({"provider": {"zdr": False}}, "provider.zdr"),
        ({"cobot": {"privacy": "secret"}}, "cobot.privacy"),
        ({"cobot": {"privacy": "public"}}, "cobot.privacy"),
    ],
)
async def test_what_contradicts_privacy_is_refused(
    tmp_path: Path, fields: Mapping[str, Any], param: str
) -> None:
    """Searches of the web, wishes that providers may keep it, words that are no tier."""
    async with private_face(tmp_path) as rig:
        reply = await rig.ask({**ASK, **fields}, headers=ZDR)
        assert (reply.status, reply.error["param"]) == (400, param)
        assert rig.upstream.posts == len(rig.escrows) == 0


async def test_a_lower_hint_than_the_name_of_a_tier_contradicts_it(tmp_path: Path) -> None:
    """`cobot/private` as public is a mistake, and nobody guesses which of them was meant."""
    async with private_face(tmp_path) as rig:
        reply = await rig.ask({**ASK, "model": "cobot/private"}, headers=PUBLIC)
        assert (reply.status, reply.error["param"]) == (400, "X-Cobot-Privacy")


async def test_the_names_of_tiers_are_listed_with_prices(tmp_path: Path) -> None:
    """At the prices of the models that they stand for; without settings they are not there."""
    async with private_face(tmp_path) as rig:
        rows = {row["id"]: row for row in (await rig.get("/v1/models")).json()["data"]}
        assert rows["cobot/private"]["pricing"] == rows[HERE.model_id]["pricing"]
        assert rows["cobot/zdr"]["pricing"] == rows[OTHER_MODEL.model_id]["pricing"]
        assert (await rig.get("/v1/models/count")).json()["data"]["count"] == len(rows)
        assert (await rig.get("/v1/models/cobot/private")).status == 200
    async with open_face(tmp_path / "other") as rig:
        rows = {row["id"]: row for row in (await rig.get("/v1/models")).json()["data"]}
        assert not {"cobot/private", "cobot/zdr"} & rows.keys()


async def test_a_key_that_may_not_ask_the_model_here_is_refused(tmp_path: Path) -> None:
    """A key's list of models holds for whoever is asked in their place too."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000, models=[MODEL])
        reply = await rig.ask(ask_of(f"charge {CARD}"), token=f"Bearer {key}")
        assert (reply.status, reply.error["code"]) == (422, "privacy_unroutable")
        assert rig.upstream.posts == 0


async def test_what_was_asked_and_answered_is_kept_sealed_and_then_as_a_digest(
    tmp_path: Path,
) -> None:
    """No file of the books ever holds the prompt; a day after its release nothing can open it."""
    document = ask_of(f"charge {CARD}")
    async with private_face(tmp_path) as rig:
        bought, token = await rig.buy(document)
        retention = privacy_in(bought)["retention"]
        escrow = rig.last
        assert (retention["kept"], retention["then"]) == ("sealed", "sha256")
        assert retention["until_ms"] == escrow.keep_until_ms
        await rig.later(retention["until_ms"] - rig.clock.now_ms() + 1_000)
        await rig.drive(escrow)
        assert rig.last.keep_until_ms is None
        assert rig.last.ask.request_sha256 == escrow.ask.request_sha256
        claimed = await rig.get(completion_path(escrow.escrow_id), token=token)
        assert claimed.status == 410
        assert holding(tmp_path, CARD.encode()) == []


async def test_a_private_request_on_credit_is_kept_nowhere(tmp_path: Path) -> None:
    """What is asked with a key stays in memory for two minutes, and that is what is said."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000)
        reply = await rig.ask(ask_of(f"charge {CARD}"), token=f"Bearer {key}")
        assert reply.status == 200
        assert privacy_in(reply)["retention"] == {
            "kept": "memory",
            "until_ms": None,
            "then": "sha256",
        }
        assert rig.last.keep_until_ms is None


async def test_a_stream_says_it_in_its_last_event(tmp_path: Path) -> None:
    """Whoever reads the answer as it comes hears the tier with the price."""
    async with private_face(tmp_path) as rig:
        key, _ = await rig.key(1_000)
        document = {**ask_of(f"charge {CARD}"), "stream": True}
        reply = await rig.ask(document, token=f"Bearer {key}")
        events = [line for line in reply.body.splitlines() if line.startswith(b"data: {")]
        assert orjson.loads(events[-1][6:])["cobot"]["privacy"]["tier"] == "local"


async def test_a_quote_is_for_who_may_answer(tmp_path: Path) -> None:
    """A quote of a private request is that of the model here."""
    async with private_face(tmp_path) as rig:
        body = ask_of(f"charge {CARD}")
        quote = (await rig.send("POST", "/v1/quotes", body)).json()
        assert [row["model"] for row in quote["models"]] == [HERE.model_id]


async def test_another_tier_is_another_request(tmp_path: Path) -> None:
    """What ran in public is not handed out as the answer of a private one."""
    async with private_face(tmp_path) as rig:
        await rig.ask(ASK)
        await rig.ask(ASK, headers=LOCAL)
        assert [model for model, _ in sent(rig)] == [MODEL, HERE.model_id]
