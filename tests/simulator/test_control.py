"""The control face: faults, timing, prices, the book, a fresh start."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from tests.simulator.asking import MODEL, chat, fault


async def test_book_tells_every_generation(client: httpx.AsyncClient) -> None:
    """The book lists each generation with its cost as text, counts POSTs, and adds up."""
    await chat(client, user="c_7")
    await chat(client, model="acme/fake-1.0")
    book = (await client.get("/control/book")).json()
    (generation,) = book["generations"]
    assert book["posts"] == 2
    assert generation["user"] == "c_7"
    assert generation["model"] == MODEL
    assert Decimal(generation["total_cost"]) == Decimal(book["spent_usd"]) > 0
    assert Decimal(book["credit_usd"]) - Decimal(book["spent_usd"]) == Decimal(book["balance_usd"])


async def test_faults_queue_in_order(client: httpx.AsyncClient) -> None:
    """Queued faults meet the next runs in order; an empty name lets one through."""
    await fault(client, "status_500", "", "status_429")
    assert [(await chat(client)).status_code for _ in range(4)] == [500, 200, 429, 200]


async def test_faults_can_be_cleared(client: httpx.AsyncClient) -> None:
    """`clear` forgets what was asked for; the names can be read."""
    await fault(client, "status_500")
    answer = (await client.post("/control/faults", json={"clear": True})).json()
    assert answer["next"] == []
    assert "reset_mid_stream" in (await client.get("/control/faults")).json()["names"]
    assert (await chat(client)).status_code == 200


async def test_prices_can_change_between_quote_and_run(client: httpx.AsyncClient) -> None:
    """A price set here is listed at once, and held against max_price."""
    caps = {"max_price": {"prompt": 0.15, "completion": 0.6}}
    await client.post("/control/prices", json={MODEL: {"completion": "0.0000012"}})
    rows = (await client.get("/api/v1/models")).json()["data"]
    prices = {row["id"]: row["pricing"] for row in rows}
    assert prices[MODEL]["completion"] == "0.0000012"
    assert prices[MODEL]["prompt"] == "0.00000015"
    assert (await chat(client, provider=caps)).status_code == 404


async def test_reset_is_the_first_day(client: httpx.AsyncClient) -> None:
    """A reset takes back runs, charges, faults, timing and prices."""
    await chat(client)
    await fault(client, "status_500")
    await client.post("/control/timing", json={"lag_s": 9, "latency_s": 0.5})
    await client.post("/control/prices", json={MODEL: {"prompt": "1"}})
    await client.post("/control/reset")
    book = (await client.get("/control/book")).json()
    assert (book["posts"], book["generations"], book["spent_usd"]) == (0, [], "0")
    assert (await client.get("/control/timing")).json()["lag_s"] == 0
    assert (await chat(client)).status_code == 200


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("faults", {"next": ["no_such_fault"]}),
        ("faults", {"next": "status_500"}),
        ("faults", {"next": [500]}),
        ("faults", {"by_model": {MODEL: "no_such_fault"}}),
        ("faults", {"by_model": []}),
        ("faults", {"mode": "status_500"}),
        ("faults", {"next": ["status_500"] * 10_001}),
        ("timing", {"lag_s": -1}),
        ("timing", {"lag_s": "long"}),
        ("timing", {"pace": 1}),
        ("prices", {"acme/fake-1.0": {"prompt": "1"}}),
        ("prices", {MODEL: {"prompt": "-1"}}),
        ("prices", {MODEL: {"prompt": "cheap"}}),
        ("prices", {MODEL: {"prompt": "NaN"}}),
        ("prices", {MODEL: "cheap"}),
        ("reset", []),
    ],
)
async def test_what_makes_no_sense_is_400(
    client: httpx.AsyncClient, path: str, document: object
) -> None:
    """A control request that cannot be done says what is wrong, and changes nothing."""
    response = await client.post(f"/control/{path}", json=document)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert (await chat(client)).status_code == 200


async def test_a_model_says_what_it_was_given(client: httpx.AsyncClient) -> None:
    """To a question with these words alone, until it is taken away; what it says is charged."""
    asked = [{"role": "user", "content": "What is the capital of Portugal, please?"}]
    given = {MODEL: {"capital of France": "Paris.", "capital of Portugal": "Lisbon."}}
    assert (await client.post("/control/answers", json=given)).json() == given
    (choice,) = (await chat(client, messages=asked)).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Lisbon.", "stop")
    cut = (await chat(client, messages=asked, max_tokens=1)).json()["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == ("Lisb", "length")
    assert "Lisbon" not in (await chat(client)).text
    assert (await client.post("/control/answers", json={MODEL: {}})).json() == {}
    assert "Lisbon" not in (await chat(client, messages=asked)).text
    others: dict[str, object] = {MODEL: {"France": 1}}
    nonsense: list[dict[str, object]] = [{"acme/none": {}}, {MODEL: "Paris."}, others]
    for wrong in nonsense:
        assert (await client.post("/control/answers", json=wrong)).status_code == 400
