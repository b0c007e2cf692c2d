"""`cobot-meter bench`: runs that are paid for, their report, the watch and routing's table."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from typer.testing import Result

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.domain.benchmarks.prompts.prompt_set import PROBE_SIZE, ROUTINE
from cobot_meter.domain.benchmarks.record import MS_PER_DAY, RunKind
from cobot_meter.domain.routing.table import read_table
from cobot_meter.wiring.app import Running
from tests.cli.shop import CommandLine, command_line_in, selling
from tests.domain.benchmarks.bench_records import record

CHEAP, OTHER = "mistralai/mistral-small-2603", "openai/gpt-5-mini"
BOTH = f"{CHEAP},{OTHER}"


@contextlib.asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[tuple[CommandLine, Running]]:
    """A service on the simulator, and its command line with a key that has credit."""
    commands = command_line_in(folder)
    async with selling(commands) as (running, _):
        made = await asyncio.to_thread(commands.read, "topup", "20000", "--key", "bench", "--pay")
        paying = {**commands.environ, "COBOT_METER_BENCH_KEY": made["key"]["key"]}
        yield replace(commands, environ=paying), running


async def ran(commands: CommandLine, *words: str) -> Result:
    """One command beside the service."""
    return await asyncio.to_thread(commands.run, "bench", *words)


def records_in(folder: Path) -> list[Any]:
    """What was kept, without names and times."""
    return [one.repeatable() for one in RecordFile(folder).read().records]


async def test_a_run_is_the_same_from_its_seed(tmp_path: Path) -> None:
    """Names and times apart, two runs of every kind at two models are the same bit for bit.

    Each at a service of its own; every answer was paid for on the key, and the books have it.
    """
    for name in ("one", "other"):
        async with open_shop(tmp_path / name) as (commands, _):
            done = await ran(commands, "run", "--models", BOTH, "--items", "20", "--seed", "7")
            assert done.exit_code == ExitCode.RIGHT, done.output
            paid = sum(one["price_msat"] for one in records_in(tmp_path / name))
            (caller,) = await asyncio.to_thread(commands.read, "callers", "list")
            assert caller["available_msat"] == 20_000_000 - paid
    one, other = records_in(tmp_path / "one"), records_in(tmp_path / "other")
    assert len(one) == 40
    assert json.dumps(one) == json.dumps(other)
    assert {record["provider"] for record in one} == {"Mistral", "OpenAI"}
    assert all(record["cost_pusd"] and record["verdict"] != "error" for record in one)


async def test_a_report_has_intervals_and_errors(tmp_path: Path) -> None:
    """A model that is down is errors and no wrong answers, and the run goes on to the other."""
    async with open_shop(tmp_path) as (commands, running):
        assert running.simulator is not None
        async with httpx.AsyncClient(trust_env=False) as http:
            down = {"by_model": {OTHER: "status_503"}}
            await http.post(f"{running.simulator.url}/control/faults", json=down)
        done = await ran(commands, "run", "--models", BOTH, "--items", "5")
        assert done.exit_code == ExitCode.RIGHT, done.output
        shown = await asyncio.to_thread(commands.read, "bench", "report")
        rows = {row["model"]: row for row in shown["models"]}
        assert (rows[CHEAP]["judged"], rows[CHEAP]["errors"]) == (5, 0)
        assert (rows[OTHER]["judged"], rows[OTHER]["errors"]) == (0, 5)
        assert rows[CHEAP]["interval"]["high_ppm"] > 0
        told = (await ran(commands, "report")).stdout
        assert "95 % interval" in told
        assert "nothing moved" in told


async def test_the_watch_asks_once_a_day(tmp_path: Path) -> None:
    """Sixty items; the same day's second watch asks, and pays, nothing."""
    async with open_shop(tmp_path) as (commands, _):
        told = [(await ran(commands, "watch", "--models", CHEAP)).stdout for _ in range(2)]
        assert len(records_in(tmp_path)) == PROBE_SIZE
        assert all("learning" in one for one in told)


def probed(folder: Path, *, rights: list[int]) -> CommandLine:
    """A directory with a probe a day, the last one today, and nothing that sells."""
    file, now_ms = RecordFile(folder), SystemClock().now_ms()
    for ago, right in zip(range(len(rights) - 1, -1, -1), rights, strict=True):
        for number in range(40):
            at_ms = now_ms - ago * MS_PER_DAY
            file.append(
                record(number, right=number < right, at_ms=at_ms, kind=RunKind.PROBE, model=CHEAP)
            )
    return command_line_in(folder)


def test_a_fall_is_a_finding(tmp_path: Path) -> None:
    """Four days of ten points less end the command with 1; learnt anew since then, with 0."""
    commands = probed(tmp_path, rights=[36] * 28 + [32] * 4)
    rang = commands.run("bench", "watch", "--models", CHEAP, "--only-look")
    assert rang.exit_code == ExitCode.FINDING
    assert f"moved: {CHEAP}: quality" in rang.stdout
    anew = commands.run(
        "bench", "watch", "--models", CHEAP, "--only-look", "--since", "2200-01-01", "--json"
    )
    assert anew.exit_code == ExitCode.RIGHT
    assert json.loads(anew.stdout)[0]["learning"]


def test_usual_days_are_none(tmp_path: Path) -> None:
    """A month like any other ends it with 0."""
    commands = probed(tmp_path, rights=[36] * 32)
    done = commands.run("bench", "watch", "--models", CHEAP, "--only-look")
    assert done.exit_code == ExitCode.RIGHT
    assert "nothing moved" in done.stdout


REST = ("target_percent", "successes")


def told(done: Result) -> str:
    """What a command said, without the breaks of its lines."""
    return done.stdout.replace("\n", "")


async def test_the_decision_names_the_table_that_was_measured(tmp_path: Path) -> None:
    """Run, table, setting, and `cobot/auto` asks who was measured and says by which table."""
    async with open_shop(tmp_path / "first") as (commands, _):
        words = ("--items", f"{ROUTINE}:10", "--seed", "3")
        done = await ran(commands, "run", "--models", CHEAP, *words)
        assert done.exit_code == ExitCode.RIGHT, done.output
        out = tmp_path / "table.json"
        made = await ran(commands, "table", "--out", str(out))
        assert made.exit_code == ExitCode.RIGHT, made.output
        version = read_table(json.loads(out.read_text())).version
        assert version in told(made)
    asked = tmp_path / "ask.json"
    asked.write_text(
        json.dumps({"model": "cobot/auto:factual", "messages": [{"role": "user", "content": "?"}]})
    )
    with_table = replace(
        commands, environ={**commands.environ, "COBOT_METER_ROUTING_TABLE": str(out)}
    )
    explained = with_table.read("explain-route", str(asked))
    assert explained["table"] == version


async def test_problems_out_of_a_file_rank_nobody(tmp_path: Path) -> None:
    """They are asked and reported by themselves, and no table is made of them."""
    problems = tmp_path / "gsm8k.jsonl"
    line = json.dumps({"question": "What is one and one?", "answer": "#### 2"})
    problems.write_text(f"{line}\n" * 5)
    async with open_shop(tmp_path) as (commands, _):
        words = ("--models", CHEAP, "--items", f"gsm8k:{problems}:3")
        done = await ran(commands, "run", *words)
        assert done.exit_code == ExitCode.RIGHT, done.output
        assert "gsm8k, 3 items" in done.stdout
        shown = await asyncio.to_thread(commands.read, "bench", "report")
        assert (shown["models"], len(shown["public_items"])) == ([], 1)
        assert "may have learnt" in (await ran(commands, "report")).stdout
        refused = await ran(commands, "table", "--out", str(tmp_path / "t.json"))
        assert (refused.exit_code, "measured" in refused.output) == (ExitCode.FINDING, True)
    wrong_words: tuple[tuple[str, str], ...] = (
        (f"gsm8k:{problems}:9", "9 were asked for"),
        (f"gsm8k:{tmp_path}/no", "No such file"),
        ("mine", "COUNT of cobot-bench-100"),
        ("101", "has 100"),
        ("0", "asks nothing"),
    )
    for wrongly, why in wrong_words:
        wrong = commands.run("bench", "run", "--models", CHEAP, "--items", wrongly)
        assert (wrong.exit_code, why in wrong.output.replace("\n", " ")) == (ExitCode.USAGE, True)


def test_a_table_is_written_for_routing(tmp_path: Path) -> None:
    """Out of what was measured, upon the table that was there."""
    commands = probed(tmp_path, rights=[30])
    prior = tmp_path / "prior.json"
    prior.write_text(
        json.dumps(
            {
                "models": {CHEAP: {"tier": "cheap"}},
                "target_percent": {},
                "successes": {"summary": {CHEAP: [3, 4]}},
            }
        )
    )
    out = tmp_path / "table.json"
    done = commands.run("bench", "table", "--out", str(out), "--prior", str(prior))
    assert done.exit_code == ExitCode.RIGHT, done.output
    table = json.loads(out.read_text())
    assert table["models"] == {CHEAP: {"tier": "cheap"}}
    assert table["successes"]["summary"] == {CHEAP: [3, 4]}
    assert sum(row[CHEAP][1] for row in table["successes"].values()) == 44
    assert read_table(table).version in told(done)
    assert "demanded" in done.stdout
    upon = commands.run("bench", "table", "--out", str(out))
    assert upon.exit_code == ExitCode.RIGHT, upon.output
    shipped = json.loads(out.read_text())
    assert shipped["successes"]["summary"]["anthropic/claude-opus-5.5"]
    assert shipped["successes"]["maths"][CHEAP][1] < 200
    alone = commands.run("bench", "table", "--out", str(out), "--only-measured")
    assert alone.exit_code == ExitCode.RIGHT
    assert list(json.loads(out.read_text())["models"]) == [CHEAP]
    both = commands.run("bench", "table", "--out", str(out), "--only-measured", "--prior", "x")
    assert both.exit_code == ExitCode.USAGE
    prior.write_text(json.dumps({"models": {CHEAP: {"tier": "dear"}}} | {n: {} for n in REST}))
    unread = commands.run("bench", "table", "--out", str(out), "--prior", str(prior))
    assert (unread.exit_code, "the tier of" in unread.output) == (ExitCode.FINDING, True)
    prior.write_text("[]")
    refused = commands.run("bench", "table", "--out", str(out), "--prior", str(prior))
    assert refused.exit_code == ExitCode.FINDING
    assert "not a table of successes" in refused.output


async def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    """No key, a key of nobody, a model not on offer, no credit, nothing to report, no service."""
    async with open_shop(tmp_path) as (commands, _):
        unknown = await ran(commands, "run", "--models", "no/such")
        assert (unknown.exit_code, "not on offer" in unknown.output) == (ExitCode.FINDING, True)
        key = ("--key", "sk-cobot-" + "a" * 43)
        nobody = await ran(commands, "run", "--models", CHEAP, *key)
        assert (nobody.exit_code, "no API key" in nobody.output) == (ExitCode.FINDING, True)
        assert "kept: 0 of 100" in nobody.output
        twice = await ran(commands, "run", "--models", f"{CHEAP},{CHEAP}")
        assert (twice.exit_code, "more than once" in twice.output) == (ExitCode.USAGE, True)
        none = await ran(commands, "run", "--models", " , ")
        assert (none.exit_code, "1 to 24" in none.output) == (ExitCode.USAGE, True)
        when = await ran(commands, "watch", "--models", CHEAP, "--since", "today")
        assert (when.exit_code, "2026-11-29" in when.output) == (ExitCode.USAGE, True)
        empty = await ran(commands, "report")
        assert (empty.exit_code, "no records" in empty.output) == (ExitCode.FINDING, True)
        assert records_in(tmp_path) == []
    away = await ran(commands, "run", "--models", CHEAP)
    assert (away.exit_code, "no service answers" in away.output) == (ExitCode.COULD_NOT_LOOK, True)
    keyless = commands.run("bench", "run", "--models", CHEAP, COBOT_METER_BENCH_KEY="")
    assert (keyless.exit_code, "no key to pay with" in keyless.output) == (ExitCode.USAGE, True)


async def test_a_run_without_credit_ends_and_keeps_what_it_has(tmp_path: Path) -> None:
    """The service's own sentence, and how many records are kept."""
    commands = command_line_in(tmp_path)
    async with selling(commands):
        made = await asyncio.to_thread(commands.read, "topup", "10", "--key", "bench", "--pay")
        key = made["key"]["key"]
        done = await ran(commands, "run", "--models", OTHER, "--key", key)
        assert done.exit_code == ExitCode.FINDING
        assert "credit" in done.output
        kept = len(records_in(tmp_path))
        assert 0 < kept < 100
        assert f"(kept: {kept} of 100 records)" in done.output
