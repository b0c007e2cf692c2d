"""Images in a chat request: passed on untouched, priced before anything runs, never fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.pricing.prices import TOKENS_PER_IMAGE_MAX, ImagePrice, ModelPrice
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.http_api.chat.messages import IMAGES_MAX, URL_CHARS_MAX
from tests.fakes.upstream_outcomes import PRICED_MODEL, fake_model
from tests.http_api.chat.test_chat_requests import parsed, refused_field
from tests.http_api.face_rig import MODEL, open_face

PNG = "data:image/png;base64,iVBORw0KGgo="
WEB = "https://example.org/cat.png"
SEES = replace(
    fake_model("acme/eyes", price=ModelPrice(prompt_pusd=1_000, completion_pusd=1_000)),
    image_price=ImagePrice(image_pusd=10**9),
)


def image(url: object, **beside: object) -> dict[str, Any]:
    """One part."""
    return {"type": "image_url", "image_url": {"url": url, **beside}}


def shown(*parts: dict[str, Any], model: str = "acme/eyes") -> dict[str, Any]:
    """An ask with a text and these parts."""
    text = {"type": "text", "text": "What is this?"}
    content = [text, *parts]
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 50}


@pytest.mark.parametrize("part", [image(PNG), image(WEB), image(WEB, detail="low")])
def test_an_image_is_passed_on_untouched(part: dict[str, Any]) -> None:
    """Data or an address, with its detail."""
    request = parsed(shown(part))
    assert orjson.loads(request.body.content)["messages"][0]["content"][1] == part
    assert request.image_count == 1


def test_the_bytes_of_an_image_are_no_text() -> None:
    """Data is priced as an image and not as so many tokens; an address counts as prompt too."""
    bare = parsed(shown(image(PNG))).prompt_bytes
    large = parsed(shown(image(f"{PNG[:-1]}{'A' * 100_000}"))).prompt_bytes
    assert large == bare
    assert parsed(shown(image(WEB))).prompt_bytes == bare + len(WEB)


@pytest.mark.parametrize(
    "part",
    [
        image(None),
        image(7),
        image(""),
        image("cat.png"),
        image("file:///etc/passwd"),
        image("data:image/svg+xml;base64,AAAA"),
        image("data:text/plain;base64,AAAA"),
        image("data:image/png,plain words"),
        image("data:image/png;base64,not base64"),
        image(f"https://example.org/{'x' * URL_CHARS_MAX}"),
        image(PNG, detail="huge"),
        {"type": "image_url"},
        {"type": "image_url", "image_url": PNG},
    ],
)
def test_what_is_no_image_is_refused(part: dict[str, Any]) -> None:
    """With the path of what is wrong."""
    error = refused_field(messages=[{"role": "user", "content": [part]}])
    assert str(error.param).startswith("messages[0].content[0].image_url.")


def test_more_images_than_are_taken() -> None:
    """Both numbers are said."""
    parts = [image(PNG)] * (IMAGES_MAX + 1)
    error = refused_field(messages=[{"role": "user", "content": parts}])
    assert f"{IMAGES_MAX + 1} images, and at most {IMAGES_MAX}" in error.message


def test_the_most_that_images_cost() -> None:
    """Each at its price, and as many tokens as the hungriest model makes, within the context."""
    price = ModelPrice(prompt_pusd=3, completion_pusd=1, cache_write_pusd=4)
    images = ImagePrice(image_pusd=1_000, token_pusd=5)
    one = images.ceiling_pusd(1, price, context_length=10**6)
    assert one == 1_000 + 5 * TOKENS_PER_IMAGE_MAX
    assert images.ceiling_pusd(8, price, context_length=60_000) == 8_000 + 5 * 60_000
    unsaid = ImagePrice(image_pusd=0)
    assert unsaid.ceiling_pusd(1, price, context_length=10**6) == 4 * TOKENS_PER_IMAGE_MAX


async def ceiling_of(tmp_path: Path, document: dict[str, Any], *models: Model) -> int:
    """The quoted ceiling in msat, by a face that offers these models."""
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = models
        await rig.service.flows.catalogue.refresh()
        reply = await rig.caller.send("POST", "/v1/quotes", body=orjson.dumps(document))
        assert reply.status == 200, reply.body
        msat: int = reply.json()["ceiling"]["msat"]
        return msat


async def test_images_raise_the_ceiling(tmp_path: Path) -> None:
    """With every image more; a free picture is a ceiling that lies."""
    none = await ceiling_of(tmp_path / "0", shown(), SEES)
    one = await ceiling_of(tmp_path / "1", shown(image(PNG)), SEES)
    two = await ceiling_of(tmp_path / "2", shown(image(PNG), image(PNG)), SEES)
    assert none < one < two


async def test_a_model_without_a_price_for_images_is_refused(tmp_path: Path) -> None:
    """Before anything runs, with the way to one that has."""
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (PRICED_MODEL, SEES)
        await rig.service.flows.catalogue.refresh()
        reply = await rig.ask(shown(image(PNG), model=MODEL))
        assert (reply.status, reply.error["param"]) == (400, "messages")
        assert "GET /v1/models" in reply.error["message"]
        assert rig.upstream.posts == len(rig.escrows) == 0
        listed = {row["id"]: row for row in (await rig.get("/v1/models")).json()["data"]}
        assert "image" in listed["acme/eyes"]["pricing"]
        assert "image" not in listed[MODEL]["pricing"]
        assert (await rig.ask(shown(image(PNG)))).status in {402, 429}
