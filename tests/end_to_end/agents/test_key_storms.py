"""A thousand requests on one small balance, and a storm on one key, on either database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.agents.key_storm import (
    BAD,
    BUSY,
    OK,
    TO_PAY,
    Told,
    paid_msat,
    prove_books,
    storm_of,
)
from tests.end_to_end.agents.test_openai_sdk_key import prepaid_key
from tests.end_to_end.live import MODEL, Live, ask_body

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

PARALLEL, STORM = 1_000, 256
BALANCE_SAT, RUNS_MAX = 10, 32
ROUNDS, LATER = 30, 40
MEMORY_MIB = 96


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def live(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Live]:
    """A service on this database, with its simulator, each a process."""
    settings = {"COBOT_METER_RUNS_MAX": str(RUNS_MAX), "COBOT_METER_LOG_LEVEL": "error"}
    if request.param == "postgres":
        settings["COBOT_METER_DATABASE_URL"] = request.getfixturevalue("database")
    pair = Live(tmp_path, settings=settings)
    try:
        await pair.start()
        yield pair
    finally:
        await pair.aclose()


async def test_a_thousand_at_once_on_one_small_balance(live: Live) -> None:
    """Nothing is overspent, and nine tenths are used: who is refused asks again, as agents do."""
    key = await prepaid_key(live, BALANCE_SAT)
    told: list[Told] = []
    async with storm_of(live, key) as storm:
        for round_number in range(ROUNDS):
            asks = [ask_body(f"Harbour {round_number}, {number}") for number in range(PARALLEL)]
            got = await storm.fire(asks[: LATER if told else PARALLEL])
            assert {one.status for one in got} <= {OK, TO_PAY}, Counter(one.code for one in got)
            told += got
            if not any(one.status == OK for one in got):
                break
        else:
            raise AssertionError("the balance has no end")
        after = await storm.key()
    balance_msat = BALANCE_SAT * 1_000
    assert 0 <= after["available_msat"] <= balance_msat // 10
    assert after["spent_msat"] == paid_msat(told) == balance_msat - after["available_msat"]
    statuses = Counter(one.status for one in told)
    assert statuses[OK] == (await live.upstream_book())["runs"]
    assert statuses[TO_PAY] > statuses[OK]
    assert storm.most_open <= RUNS_MAX
    await prove_books(live, confirmed=True)


def stormy(number: int) -> dict[str, Any]:
    """One of a storm: large and small, streamed and whole, the same as others, of another model."""
    match number % 8:
        case 0:
            return ask_body("The same harbour", stream=True)
        case 1:
            return {**ask_body(f"Elsewhere {number}"), "model": "anthropic/claude-haiku-4.5"}
        case 2 | 3:
            return ask_body(f"Harbour {number} {'of many words ' * 2_000}")
        case 4:
            return {**ask_body(f"Long {number}"), "max_tokens": 400}
        case _:
            return ask_body(f"Harbour {number}", stream=bool(number % 2))


def memory_mib(live: Live) -> int:
    """What the service has in memory now."""
    assert live.service.process is not None
    status = Path(f"/proc/{live.service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) // 1_024


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"limit_sat": 20}, "key_limit_reached"),
        ({"limit_sat": 60, "day_limit_sat": 15}, "key_limit_reached"),
        ({}, "insufficient_credits"),
    ],
    ids=["in all", "a day", "credit"],
)
async def test_a_storm_of_one_key_stays_within_its_caps(
    live: Live, limits: dict[str, int], code: str
) -> None:
    """Limits, models, credit, runs at once and memory; whatever is left over is the caller's."""
    key = await prepaid_key(live, 30 if not limits else 500, models=[MODEL], **limits)
    before_mib = memory_mib(live)
    async with storm_of(live, key) as storm:
        before = await storm.key()
        told = await storm.fire([stormy(number) for number in range(STORM)])
        after = await storm.key()
    codes = Counter(one.code for one in told)
    assert {one.status for one in told} <= {OK, BAD, TO_PAY, BUSY}, codes
    assert codes["model_not_allowed"] == STORM // 8
    assert codes[code] > 0 < codes[""]
    # So many as may follow one run read along with it; the rest is told to ask again.
    assert set(codes) - {"service_busy"} == {"", code, "model_not_allowed"}
    assert codes["service_busy"] < STORM // 8
    caps_sat = [*limits.values(), before["available_msat"] // 1_000]
    assert after["spent_msat"] <= min(caps_sat) * 1_000
    assert after["spent_today_msat"] == after["spent_msat"] == paid_msat(told)
    assert after["available_msat"] == before["available_msat"] - after["spent_msat"] >= 0
    sales = {one.sale for one in told if one.sale}
    assert len(sales) == (await live.upstream_book())["runs"]
    assert storm.most_open <= RUNS_MAX
    assert memory_mib(live) - before_mib < MEMORY_MIB
    await prove_books(live)
