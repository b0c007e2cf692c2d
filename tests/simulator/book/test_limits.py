"""Key limits, free caps, reservations, and what the key and the account say of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openrouter_simulator.app import Simulator
from tests.fakes.clock import FakeClock
from tests.simulator.driving import control, fresh_simulator, get, post

MANAGEMENT = "sk-or-v1-management"
FREE = "meta-llama/llama-3.3-70b-instruct:free"
HOUR_S = 3_600


def clock_of(simulator: Simulator) -> FakeClock:
    """Its clock: a Tuesday, 14 November 2023, 22:13:20 UTC."""
    assert isinstance(simulator.account.clock, FakeClock)
    return simulator.account.clock


async def test_a_key_at_its_limit_is_403_until_midnight() -> None:
    """A daily limit stops the key, and begins anew at midnight UTC."""
    simulator = fresh_simulator()
    await control(simulator, "key", limit="0.00001", limit_reset="daily")
    assert (await post(simulator)).status == 200
    refused = await post(simulator)
    assert refused.status == 403
    assert refused.document["error"]["message"].startswith("Key limit exceeded (daily limit)")
    clock_of(simulator).advance(1.7 * HOUR_S)
    assert (await post(simulator)).status == 403
    clock_of(simulator).advance(0.1 * HOUR_S)
    assert (await post(simulator)).status == 200


async def test_a_limit_over_all_time_stays() -> None:
    """Without a reset the limit counts everything."""
    simulator = fresh_simulator()
    await control(simulator, "key", limit="0.00001")
    await post(simulator)
    clock_of(simulator).advance(40 * 24 * HOUR_S)
    refused = await post(simulator)
    assert "(total limit)" in refused.document["error"]["message"]
    await control(simulator, "key", limit=None)
    assert (await post(simulator)).status == 200


async def test_the_key_tells_limit_and_usage_by_periods() -> None:
    """Days, weeks from Monday, and months are counted apart, exactly."""
    simulator = fresh_simulator()
    await control(simulator, "key", limit="1", limit_reset="weekly")
    await post(simulator)
    first = simulator.account.book.spent_usd
    clock_of(simulator).advance(24 * HOUR_S)
    await post(simulator, max_tokens=2)
    both = simulator.account.book.spent_usd
    key = (await get(simulator, "/key")).document["data"]
    assert key["usage"] == key["usage_weekly"] == key["usage_monthly"] == both
    assert key["usage_daily"] == both - first
    assert key["limit_reset"] == "weekly"
    assert key["limit_remaining"] == 1 - both
    clock_of(simulator).advance(6 * 24 * HOUR_S)
    later = (await get(simulator, "/key")).document["data"]
    assert (later["usage_weekly"], later["usage_monthly"]) == (0, both)
    assert later["limit_remaining"] == 1


async def test_own_provider_key_is_counted_apart() -> None:
    """What BYOK runs cost at the provider is in byok_usage and takes no credit."""
    simulator = fresh_simulator()
    await post(simulator, fault="byok")
    key = (await get(simulator, "/key")).document["data"]
    assert key["usage"] == 0 < key["byok_usage"] == key["byok_usage_daily"]


@pytest.mark.parametrize("path", ["/keys", "/activity", "/credits"])
async def test_management_is_for_management_keys(path: str) -> None:
    """An ordinary key gets 403, a management key the answer."""
    simulator = fresh_simulator()
    assert (await get(simulator, path)).status == 403
    assert (await get(simulator, path, key=MANAGEMENT)).status == 200
    assert (await get(simulator, "/key", key=MANAGEMENT)).document["data"]["is_management_key"]


async def test_activity_tells_completed_days() -> None:
    """Today is not told; yesterday is, by model and provider, and adds up to the book."""
    simulator = fresh_simulator()
    await post(simulator)
    await post(simulator)
    await post(simulator, model="openai/gpt-5-nano")
    assert (await get(simulator, "/activity", key=MANAGEMENT)).document["data"] == []
    clock_of(simulator).advance(24 * HOUR_S)
    rows = (await get(simulator, "/activity", key=MANAGEMENT)).document["data"]
    assert sum((row["usage"] for row in rows), Decimal(0)) == simulator.account.book.spent_usd
    assert {(row["date"], row["provider_name"], row["requests"]) for row in rows} == {
        ("2023-11-14", "Mistral", 2),
        ("2023-11-14", "OpenAI", 1),
    }


async def test_free_asks_are_capped_by_day_and_minute() -> None:
    """The daily cap names its reset in milliseconds; the next day and minute are free again."""
    simulator = fresh_simulator()
    await control(simulator, "free", per_day=3, per_minute=2)
    assert [(await post(simulator, model=FREE)).status for _ in range(3)] == [200, 200, 429]
    clock_of(simulator).advance(61)
    assert (await post(simulator, model=FREE)).status == 200
    capped = await post(simulator, model=FREE)
    reset_ms = int(capped.headers["x-ratelimit-reset"])
    assert capped.document["error"]["metadata"]["limit_source"] == "openrouter_free_tier_daily"
    assert capped.document["error"]["metadata"]["headers"]["X-RateLimit-Remaining"] == "0"
    assert (await post(simulator)).status == 200
    clock_of(simulator).set_ms(reset_ms)
    assert (await post(simulator, model=FREE)).status == 200
    assert simulator.account.book.refused == 2


async def test_reservation_says_what_every_endpoint_said() -> None:
    """A 402 for the reservation lists each endpoint and what could be afforded."""
    simulator = fresh_simulator()
    simulator.account.book.balance_usd = Decimal("0.001")
    reader = await post(simulator, n=8, max_tokens=1_000)
    assert reader.status == 402
    metadata = reader.document["error"]["metadata"]
    assert metadata["provider_name"] is None
    assert [one["provider"] for one in metadata["previous_errors"]] == ["Mistral", "Nebius"]
    assert (await post(simulator, n=1, max_tokens=1_000)).status == 200


async def test_rates_are_limited_with_retry_after() -> None:
    """A provider's 429 and a retryable 503 say when to come back."""
    simulator = fresh_simulator()
    assert (await post(simulator, fault="status_429")).headers["retry-after"] == "7"
    retryable = await post(simulator, fault="availability_capacity_exhausted")
    assert retryable.headers["retry-after"] == "5"
    assert retryable.document["error"]["availability"]["retryable"] is True


@pytest.mark.parametrize(
    ("what", "document"),
    [
        ("key", {"limit": "-1"}),
        ("key", {"limit": "much"}),
        ("key", {"limit": 1, "limit_reset": "hourly"}),
        ("key", {"budget": 1}),
        ("free", {"per_day": -1}),
        ("free", {"per_day": True}),
        ("providers", {"acme": "down"}),
        ("providers", {"groq": "tired"}),
        ("routing", {"spread": True, "seed": -1}),
        ("routing", {"even": True}),
        ("timing", {"lag_law": "normal"}),
        ("faults", {"rate": {"status_502": 2}}),
        ("faults", {"rate": {"status_502": 0.6, "hang": 0.6}}),
        ("faults", {"rate": {"status_502": "often"}}),
        ("faults", {"rate": {"": 0.1}}),
        ("faults", {"next": ["hang, cut_stream"]}),
    ],
)
async def test_control_refuses_what_makes_no_sense(what: str, document: dict[str, object]) -> None:
    """A control request that cannot be done is an error with a sentence."""
    with pytest.raises(AssertionError, match="message"):
        await control(fresh_simulator(), what, **document)
