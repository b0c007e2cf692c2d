"""Each fault does what the table says of it, and the table can be read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from openrouter_simulator.error_answers import AVAILABILITY_CODES, ERROR_TYPES, STATUS_FAULTS
from openrouter_simulator.faults.fault_table import FAULTS, Strikes, combined, fault_names
from tests.simulator.driving import Reader, ask, control, fresh_simulator, get, post

HUGE_BYTES = 64 * 1_024 * 1_024


def frames(reader: Reader) -> list[Any]:
    """The JSON frames of a stream."""
    lines = [line for line in reader.answer.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: "), parse_float=Decimal) for line in lines]


async def test_the_table_can_be_read() -> None:
    """`GET /control/faults` lists every fault with when it strikes and what it costs."""
    reader = await ask(fresh_simulator(), "GET", "/control/faults")
    rows = {row["name"]: row for row in reader.document["faults"]}
    assert tuple(rows) == fault_names() == tuple(reader.document["names"])
    assert {row["strikes"] for row in rows.values()} == {strikes.value for strikes in Strikes}
    assert rows["reset_mid_stream"] == {
        "name": "reset_mid_stream",
        "strikes": "mid_stream",
        "decides": "course of the answer",
        "charged": True,
        "generations": 1,
        "recorded": True,
        "stream_only": False,
        "status": 200,
        "what": "connection lost in the middle of the answer",
    }
    assert all(row["what"] for row in rows.values())


def test_every_error_type_and_code_has_a_fault() -> None:
    """27 error types and 11 availability codes, each by its own name."""
    assert (len(ERROR_TYPES), len(AVAILABILITY_CODES)) == (27, 11)
    for name in ERROR_TYPES:
        assert STATUS_FAULTS[name].metadata["error_type"] == name
    for code in AVAILABILITY_CODES:
        assert STATUS_FAULTS[f"availability_{code}"].availability["code"] == code


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["hang", "cut_stream"], "cut_stream and hang both decide the course of the answer"),
        (["status_502", "zero_cost"], "status_502 ends before the run"),
        (["plain_json", "usage_empty_choices"], "needs a stream"),
        (["mid_stream_error_with_usage", "missing_usage"], "contradict"),
        (["no_such_fault"], "unknown fault"),
        (["zero_cost", "hang", "byok", "slow_record", "wrong_model"], "at most 4"),
    ],
)
async def test_contradictions_are_refused(names: list[str], words: str) -> None:
    """Faults that cannot strike together are a 400 with a sentence, and no run."""
    with pytest.raises(ValueError, match=words):
        combined(names)
    simulator = fresh_simulator()
    reader = await post(simulator, fault=", ".join(names))
    assert reader.status == 400
    assert words in reader.document["error"]["message"]
    assert simulator.account.book.refused == 1


async def test_two_faults_strike_one_run() -> None:
    """A stream that is cut, and a record that comes late: both, by header or by queue."""
    simulator = fresh_simulator()
    await control(simulator, "timing", lag_s=1)
    clock: Any = simulator.account.clock
    await control(simulator, "faults", next=["cut_stream, slow_record"])
    for fault in ("", "cut_stream,slow_record"):
        reader = await post(simulator, stream=True, fault=fault)
        path = f"/generation?id={reader.headers['x-generation-id']}"
        assert b"[DONE]" not in reader.answer
        clock.advance(4)
        assert (await get(simulator, path)).status == 404
        clock.advance(12)
        assert (await get(simulator, path)).status == 200


async def test_a_header_goes_before_queue_model_and_chance() -> None:
    """What a request asks for itself is not mixed with what others asked for."""
    simulator = fresh_simulator()
    await control(simulator, "faults", next=["status_500"], rate={"status_503": 1}, seed=1)
    assert (await post(simulator, fault="status_429")).status == 429
    assert (await post(simulator)).status == 500
    assert (await post(simulator)).status == 503
    model = json.loads((await post(simulator)).body)["model"]
    await control(simulator, "faults", by_model={model: "status_504"})
    assert (await post(simulator)).status == 504
    told = await control(simulator, "faults", clear=True)
    assert (told["next"], told["by_model"], told["rate"]) == ([], {}, {})
    assert (await post(simulator)).status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("absurd_cost", "987654321.0"),
        ("cost_1e400", "1e400"),
        ("cost_nan", "NaN"),
        ("negative_cost", "-"),
    ],
)
async def test_hostile_costs_are_said_and_not_charged(
    name: str,
    cost: str,
    stream: bool,  # noqa: FBT001
) -> None:
    """The usage lies; the account is charged the truth, and the record tells it."""
    simulator = fresh_simulator()
    reader = await post(simulator, fault=name, stream=stream)
    assert f'"cost":{cost}'.encode() in reader.answer
    path = f"/generation?id={reader.headers['x-generation-id']}"
    record = (await get(simulator, path)).document["data"]
    assert record["total_cost"] == simulator.account.book.spent_usd > 0


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("record_absurd_cost", '"total_cost":987654321.0'),
        ("record_cost_1e400", '"total_cost":1e400'),
        ("record_cost_nan", '"total_cost":NaN'),
        ("record_negative_cost", '"total_cost":-0.0'),
        ("record_cost_scientific", "e-5"),
    ],
)
async def test_hostile_records_are_said_and_not_charged(name: str, cost: str) -> None:
    """A record may lie as well; the book does not."""
    simulator = fresh_simulator()
    reader = await post(simulator, fault=name)
    record = await get(simulator, f"/generation?id={reader.document['id']}")
    assert cost.encode() in record.answer
    assert Decimal(0) < simulator.account.book.spent_usd < 1
    if name == "record_cost_scientific":
        assert record.document["data"]["total_cost"] == simulator.account.book.spent_usd


async def test_costs_told_otherwise() -> None:
    """With an exponent, as a text, as null, without a cost, without anything."""
    simulator = fresh_simulator()
    plain = (await post(simulator)).document["usage"]["cost"]
    exponent = await post(simulator, fault="cost_scientific")
    text = (await post(simulator, fault="cost_as_text")).document["usage"]["cost"]
    assert b"e-" in exponent.answer
    assert exponent.document["usage"]["cost"] == Decimal(text) == pytest.approx(plain)
    assert (await post(simulator, fault="usage_null")).document["usage"] is None
    assert "usage" not in (await post(simulator, fault="missing_usage")).document
    nothing = await get(
        simulator,
        f"/generation?id={(await post(simulator, fault='record_no_cost')).document['id']}",
    )
    assert "total_cost" not in nothing.document["data"]


async def test_odd_but_real() -> None:
    """More reasoning than completion, another model's name, a cache that costs, two generations."""
    simulator = fresh_simulator()
    odd = (await post(simulator, fault="reasoning_over_completion")).document["usage"]
    assert odd["completion_tokens_details"]["reasoning_tokens"] > odd["completion_tokens"]
    assert (await post(simulator, fault="wrong_model")).document["model"] == "acme/never-asked-1.0"
    written = await post(simulator, fault="cache_write")
    record = (await get(simulator, f"/generation?id={written.document['id']}")).document["data"]
    assert record["cache_discount"] < 0
    two = await post(simulator, fault="multi_generation")
    beside, answered = simulator.account.book.generations[-2:]
    assert answered.generation_id == two.document["id"]
    assert beside.request_id == answered.request_id
    both = beside.total_cost + answered.total_cost
    assert abs(two.document["usage"]["cost"] - both) <= Decimal("2e-8")


async def test_a_price_that_rises_is_charged_or_forbidden() -> None:
    """Between quote and run the price doubles: max_price stops it, otherwise it is charged."""
    simulator = fresh_simulator()
    await post(simulator)
    await post(simulator, fault="price_rise")
    before, after = simulator.account.book.generations
    assert after.total_cost == 2 * before.total_cost
    capped = {"max_price": {"prompt": "0.15", "completion": "0.6"}}
    assert (await post(simulator, fault="price_rise", provider=capped)).status == 404
    assert (await post(simulator, provider=capped)).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_huge_body_is_over_64_mib(stream: bool) -> None:  # noqa: FBT001
    """The body grows beyond 64 MiB, is JSON to the end, and was never held as one piece."""
    reader = await post(
        fresh_simulator(), fault="huge_body", stream=stream, leave_after=2 * HUGE_BYTES
    )
    assert len(reader.answer) > HUGE_BYTES
    told = frames(reader)[-1] if stream else reader.document
    assert told["usage"]["cost"] > 0


@pytest.mark.parametrize("name", ["endless_stream", "endless_comments"])
@pytest.mark.parametrize("stream", [False, True])
async def test_endless_answers_end_with_the_reader(name: str, stream: bool) -> None:  # noqa: FBT001
    """They go on until the reader leaves, and are charged once, for what was asked."""
    simulator = fresh_simulator()
    simulator.account.timing.hang_s = 600
    reader = await post(simulator, fault=name, stream=stream, leave_after=9)
    assert reader.left
    (generation,) = simulator.account.book.generations
    assert generation.native_completion <= 64


async def test_overlong_answers_are_charged() -> None:
    """A provider that ignores max_tokens costs more than was reserved."""
    simulator = fresh_simulator()
    reader = await post(simulator, fault="overlong_answer", max_tokens=10)
    assert reader.document["usage"]["completion_tokens"] > 10
    assert simulator.account.book.generations[0].native_completion > 10


@pytest.mark.parametrize("name", ["empty_answer", "empty_answer_insured"])
async def test_empty_answers(name: str) -> None:
    """No word with a finish reason costs the prompt; without one, nothing."""
    simulator = fresh_simulator()
    document = (await post(simulator, fault=name)).document
    assert document["choices"][0]["message"]["content"] == ""
    assert document["usage"]["completion_tokens"] == 0
    assert (simulator.account.book.spent_usd > 0) == FAULTS[name].charged


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_may_have_texts_for_codes(stream: bool) -> None:  # noqa: FBT001
    """An error in the middle has a number for its code, or a text, as older answers had."""
    simulator = fresh_simulator()
    for name, code in (("mid_stream_error", 502), ("mid_stream_error_text_code", "server_error")):
        reader = await post(simulator, fault=name, stream=stream)
        told = frames(reader)[-1] if stream else reader.document["choices"][0]
        assert told["error"]["code"] == code
    assert simulator.account.book.spent_usd == 0


async def test_comments_come_between_frames() -> None:
    """Comment lines stand between the words, and both usage styles can be asked for."""
    simulator = fresh_simulator()
    reader = await post(simulator, fault="comments_mid_stream, usage_empty_choices", stream=True)
    assert reader.answer.count(b": OPENROUTER PROCESSING") > 5
    assert frames(reader)[-1]["choices"] == []


async def test_insured_usage_is_free() -> None:
    """What the zero-completion insurance covers is told as free too."""
    document = (await post(fresh_simulator(), fault="empty_answer_insured")).document
    assert document["usage"]["cost"] == 0
    assert document["choices"][0]["finish_reason"] is None


async def test_lag_follows_the_measured_law() -> None:
    """Log-normal lags: median about 3 s, hardly any over 20 s, ten times as long when cancelled."""
    simulator = fresh_simulator()
    await control(simulator, "timing", lag_law="log_normal")
    chance = simulator.account._chance
    timing = simulator.account.timing
    lags = sorted(timing.lag_ms(chance, slow=False, cancelled=False) for _ in range(4_000))
    assert 2_800 < lags[2_000] < 3_200
    assert 17_000 < lags[3_960] < 23_500
    cut = sorted(timing.lag_ms(chance, slow=False, cancelled=True) for _ in range(2_000))
    assert 27_000 < cut[1_000] < 33_000
