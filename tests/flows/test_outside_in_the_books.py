"""Whatever an upstream says, in bytes on a socket, the books take it and the sale goes on."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from cobot_meter.domain.errors import (
    CobotMeterError,
    CostPending,
    OutcomeUnknown,
    UpstreamFailed,
    UpstreamRefused,
)
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.money import AMOUNT_MAX, usd_text
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.http_api.chat.answers import completion_answer
from cobot_meter.http_api.chat.receipts import Receipt
from cobot_meter.http_api.http.exchange import PlainAnswer
from tests.adapters.upstreams.stream_frames import (
    ANSWER,
    DONE,
    FINISH,
    TEXT,
    USAGE,
    USAGE_EMPTY,
    USAGE_REPEATS,
    frame,
)
from tests.fuzz_upstream.raw_upstream import EVENTS, JSON, Reply
from tests.fuzz_upstream.rig import (
    GENERATION,
    RawRig,
    json_reply,
    key_of,
    model_row,
    models_of,
    open_raw_rig,
    record_of,
)

NAMED = (b"x-generation-id", GENERATION.encode())
HONEST = Reply(pieces=(ANSWER + FINISH + USAGE_REPEATS + DONE,))
COST_PUSD = 70_000_000


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RawRig]:
    """On SQLite."""
    async with open_raw_rig(tmp_path) as begun:
        yield begun


def any_text(pick: random.Random) -> str:
    """A few characters of all Unicode, halves and NUL among them."""
    ranges = ((0, 31), (32, 126), (0xD800, 0xDFFF), (0x80, 0xFFFF), (0x10000, 0x10FFFF))
    return "".join(chr(pick.randint(*pick.choice(ranges))) for _ in range(pick.randint(0, 12)))


def failing(message: str) -> Reply:
    """A run that fails in its middle, says this of it, and what it cost."""
    error = json.dumps({"code": 502, "message": message}).encode()
    last = frame(beside=b'"error":' + error + b"," + USAGE, choice={"finish_reason": "error"})
    return Reply(pieces=(ANSWER + last,), headers=(EVENTS, NAMED))


async def still_sells(rig: RawRig) -> None:
    """The next ask of anybody is sold, and days later the books are right."""
    rig.upstream.run, rig.upstream.record = HONEST, json_reply(record_of())
    answer = await rig.bought(rig.ask(caller_id=None))
    assert answer.kind is AnswerKind.COMPLETION
    await rig.reckon()


async def test_half_a_character_in_an_error_is_that_runs_own_trouble(rig: RawRig) -> None:
    """U+FFFD in its place, one failure, its cost in the books, and sales go on."""
    rig.upstream.run = failing("bad output \ud83d near token")
    rig.upstream.record = Reply(status=404, headers=(JSON,))
    with pytest.raises(UpstreamFailed, match="bad output \ufffd near token"):
        await rig.bought()
    escrow = await rig.escrow(Progress.FAILED)
    assert escrow.cost_pusd == 41_400_001
    await still_sells(rig)


async def test_half_a_character_in_a_record_is_mended(rig: RawRig) -> None:
    """The provider's name gets U+FFFD, and the escrow is done with."""
    record = b'{"data":{"id":"%b","total_cost":0.00007,"provider_name":"Deep \\ud83d"}}'
    rig.upstream.run = HONEST
    rig.upstream.record = json_reply(record % GENERATION.encode())
    answer = await rig.bought()
    assert answer.escrow.run.cost is not None
    assert answer.escrow.run.cost.provider == "Deep \ufffd"
    await still_sells(rig)


async def test_any_text_anywhere_can_be_booked(rig: RawRig) -> None:
    """Sixty texts of any Unicode as error, provider, model, finish reason and argument."""
    pick = random.Random(9)
    await rig.top_up(10**9)
    for _ in range(60):
        said = any_text(pick)
        call = {"id": any_text(pick), "function": {"name": said, "arguments": said}}
        choice = {"delta": {"content": said, "tool_calls": [call]}, "finish_reason": said + "x"}
        whole = {"id": GENERATION, "model": said, "provider": said, "choices": [choice]}
        told = {"id": GENERATION, "total_cost": 0.00007, "provider_name": said, "model": said}
        rig.upstream.record = json_reply(json.dumps({"data": told}).encode())
        rig.upstream.run = Reply(pieces=(b"data: " + json.dumps(whole).encode() + b"\n\n",))
        answer = await rig.bought()
        for stream in (True, False):
            assert (
                completion_answer(Receipt(answer.escrow), answer.body, stream=stream).status == 200
            )
        rig.upstream.run = failing(said)
        with pytest.raises(UpstreamFailed):
            await rig.bought()
    await still_sells(rig)


@pytest.mark.parametrize(
    "identity", ["gen\r\nx: y", "gen\n", "gen\0", "gen 1", "génération", "x" * 100_000, ""]
)
async def test_an_id_that_no_header_holds_is_no_id(rig: RawRig, identity: str) -> None:
    """The header's is taken; the answer is sold, readable, and under that id."""
    whole = {
        "id": identity,
        "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}],
    }
    rig.upstream.run = Reply(headers=(JSON, NAMED), pieces=(orjson.dumps(whole),))
    answer = await rig.bought()
    told = completion_answer(Receipt(answer.escrow), answer.body, stream=False)
    assert isinstance(told, PlainAnswer)
    assert (b"x-generation-id", GENERATION.encode()) in told.headers
    assert orjson.loads(told.body)["id"] == GENERATION
    rig.upstream.run = Reply(headers=(JSON,), pieces=(orjson.dumps(whole),))
    with pytest.raises(OutcomeUnknown, match="never named"):
        await rig.bought()
    await still_sells(rig)


@pytest.mark.parametrize(
    "total",
    ["9100000", "5000000", "1e400", "-1", "1e-400", "9" * 5_000, "NaN", '"0.00007"', "0", "1.00"],
)
async def test_a_bill_that_cannot_be_meant_is_unknown(rig: RawRig, total: str) -> None:
    """Neither sold nor booked; its neighbours are, and once the record is right it is sold."""
    ask = rig.ask()
    rig.upstream.run = Reply(pieces=(ANSWER + FINISH + DONE,))
    rig.upstream.record = json_reply(
        b'{"data":{"id":"%b","total_cost":%b}}' % (GENERATION.encode(), total.encode())
    )
    for _ in range(2):
        with pytest.raises(CostPending):
            await rig.bought(ask)
    escrow = await rig.escrow(Progress.GENERATED)
    assert escrow.run.cost is None
    rig.upstream.record = json_reply(record_of())
    await rig.later(61)
    answer = await rig.bought(ask)
    assert answer.escrow.cost_pusd == COST_PUSD
    await still_sells(rig)


@pytest.mark.parametrize(("ceilings", "believed"), [(10, True), (11, False)])
async def test_ten_ceilings_are_the_most_that_is_believed(
    rig: RawRig,
    ceilings: int,
    believed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Of the record and of the answer itself; up to there it is an overrun, which is ours."""
    rig.upstream.run = HONEST
    ceiling_pusd = (await rig.bought()).escrow.quote.ceiling_pusd
    said = usd_text(ceilings * ceiling_pusd)
    usage = b'"usage":{"cost":' + said.encode() + b"}"
    rig.upstream.run = Reply(
        pieces=(ANSWER + frame(beside=usage, choice={"finish_reason": "stop"}),)
    )
    rig.upstream.record = json_reply(record_of(total_cost=orjson.Fragment(said)))
    if believed:
        answer = await rig.bought()
        assert answer.escrow.price_msat == answer.escrow.quote.ceiling_msat
    else:
        with pytest.raises(CostPending):
            await rig.bought()
    await still_sells(rig)


async def test_what_the_answer_says_is_sold_while_the_record_is_absurd(rig: RawRig) -> None:
    """The provisional cost counts after 15 s, and no later absurdity is booked."""
    rig.upstream.run = HONEST
    rig.upstream.record = json_reply(record_of(total_cost=1.00))
    answer = await rig.bought()
    assert answer.escrow.run.cost is not None
    assert answer.escrow.run.cost.standing == "provisional"
    await rig.later(61)
    assert (await rig.escrow()).cost_pusd == 41_400_001
    await still_sells(rig)


@pytest.mark.parametrize(
    ("said", "after_s", "cost"), [("0", 1, None), ("0", 301, 0), ("0.001", 1, 10**9)]
)
async def test_a_failed_run_is_free_once_its_record_has_said_so_for_long_enough(
    rig: RawRig, said: str, after_s: int, cost: int | None
) -> None:
    """Zero at the first look-ups may be a bill that is not written yet; a bill is believed."""
    rig.upstream.run = Reply(pieces=(ANSWER,), headers=(EVENTS, NAMED))
    rig.upstream.record = json_reply(record_of(total_cost=orjson.Fragment(said)))
    with pytest.raises(OutcomeUnknown):
        await rig.bought()
    await rig.later(after_s)
    escrow = await rig.escrow(Progress.FAILED)
    assert (escrow.run.cost.cost_pusd if escrow.run.cost else None) == cost
    await still_sells(rig)


async def test_usage_in_a_content_chunk_that_is_cut_is_not_sold(rig: RawRig) -> None:
    """What it cost says nothing of its end: half an answer is a failure, whatever came after."""
    for last in (b"", USAGE_EMPTY):
        rig.upstream.run = Reply(pieces=(frame(TEXT[:9], USAGE) + last,), headers=(EVENTS, NAMED))
        with pytest.raises(OutcomeUnknown):
            await rig.bought()
    await still_sells(rig)


@pytest.mark.parametrize(
    "headers",
    [
        ((b"content-type", b"Text/Event-Stream"), NAMED),
        ((b"content-type", b"text/plain"), NAMED),
        ((b"content-type", b"application/json"), NAMED),
        (NAMED,),
    ],
)
async def test_a_stream_is_one_by_what_it_says(
    rig: RawRig, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Under any media type or none, after a mark, blanks and heartbeats, without [DONE]."""
    before = (b"\xef\xbb\xbf", b"\n\n", b"data:\n\n: hello\n\n")
    pieces = (*before, ANSWER + FINISH + USAGE_REPEATS)
    rig.upstream.run = Reply(headers=headers, pieces=pieces)
    answer = await rig.bought()
    assert orjson.loads(answer.body)["choices"][0]["message"]["content"] == TEXT
    rig.upstream.run = Reply(
        headers=(EVENTS, NAMED), pieces=(b'\n\n {"error":{"message":"late"}}',)
    )
    with pytest.raises(UpstreamFailed, match="late"):
        await rig.bought()


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([(b"retry-after", b"90")], 90),
        (
            [
                (b"retry-after", b"Wed, 24 Jun 2026 12:01:30 GMT"),
                (b"date", b"Wed, 24 Jun 2026 12:00:00 GMT"),
            ],
            90,
        ),
        ([(b"retry-after", b"Fri, 31 Dec 2100 23:59:59 GMT")], 86_400),
        ([(b"retry-after", b"\xff\xfe")], None),
    ],
)
async def test_how_long_an_upstream_asks_to_wait_is_kept(
    rig: RawRig, lines: list[tuple[bytes, bytes]], seconds: int | None
) -> None:
    """Both forms of the header, from the answer's date or from now; repeats hear it too."""
    error = b'{"error":{"code":429,"message":"slow down"}}'
    rig.upstream.run = Reply(status=429, headers=(JSON, *lines), pieces=(error,))
    ask = rig.ask()
    for _ in range(2):
        with pytest.raises(UpstreamRefused) as refused:
            await rig.bought(ask)
        assert refused.value.retry_after_s == seconds
    await still_sells(rig)


async def test_one_bad_row_spoils_no_list(rig: RawRig) -> None:
    """Half a character, deep nesting, wrong types and absurd ids in a list of models."""
    rows = [
        model_row(description="\ud83d"),
        model_row(id="a\0b"),
        model_row(id="x" * 300),
        model_row(id="a/b", context_length=10**30, top_provider=None),
        model_row(id="a/c", supported_parameters=None, name=7),
        7,
    ]
    rig.upstream.models = json_reply(json.dumps({"data": rows}).encode())
    await rig.process.catalogue.refresh()
    offered = {model.model_id for model in rig.process.catalogue.models()}
    assert offered == {model_row()["id"], "a/c"}
    await still_sells(rig)


@pytest.mark.parametrize("usage", ["1e400", "9" * 5_000, "-1", '"1"', "null", f"{AMOUNT_MAX}"])
async def test_a_usage_that_is_no_amount_is_a_fault_of_the_upstream(
    rig: RawRig, usage: str
) -> None:
    """Read or refused by the taxonomy, never anything else."""
    body = key_of().replace(b"1.5", usage.encode())
    rig.upstream.key = json_reply(body)
    try:
        (holder,) = rig.process.lasting.upstream.account_holders()
        assert (await holder.account()).usage_pusd >= 0
    except CobotMeterError as fault:
        assert "what our key has spent" in fault.message  # noqa: PT017


async def test_postgresql_takes_what_sqlite_takes(tmp_path: Path, database: str) -> None:
    """Halves of characters and NUL, in rows and journal alike: the audit finds nothing."""
    async with open_raw_rig(tmp_path, database=database) as rig:
        rig.upstream.run = failing("no \0 and \ud83d here")
        with pytest.raises(UpstreamFailed):
            await rig.bought()
        rig.upstream.run = HONEST
        record = b'{"data":{"id":"%b","total_cost":0.00007,"provider_name":"D\\u0000 \\ud83d"}}'
        rig.upstream.record = json_reply(record % GENERATION.encode())
        answer = await rig.bought()
        assert answer.escrow.run.cost is not None
        assert answer.escrow.run.cost.provider == "D\ufffd \ufffd"
        assert models_of(model_row())
        await still_sells(rig)
