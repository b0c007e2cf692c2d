"""Other people's L402 clients buy from us unmodified, each in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.live import Live, ask_body

pytestmark = [pytest.mark.foreign_clients, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "l402-requests": "buy_with_l402_requests.py",
    "pyl402": "buy_with_pyl402.py",
}


@pytest.fixture(params=list(PROGRAMS))
def client(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The interpreter and the program of one foreign client."""
    name = str(request.param)
    interpreter = ROOT / ".foreign" / name / "bin" / "python"
    if not interpreter.exists():
        pytest.skip(f"{name} is not installed: `make test` installs it")
    return interpreter, Path(__file__).parent / "foreign" / PROGRAMS[name]


async def buy(
    client: tuple[Path, Path], live: Live, *bodies: dict[str, object], tries: int = 1
) -> dict[str, object]:
    """Run the foreign program; what it printed."""
    interpreter, program = client
    command = [
        str(interpreter),
        str(program),
        f"{live.face}/v1/chat/completions",
        live.node,
        str(tries),
        *map(json.dumps, bodies),
    ]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    return dict(json.loads(ended.stdout))


async def test_a_foreign_client_buys_two_different_completions(
    client: tuple[Path, Path], live: Live
) -> None:
    """The second purchase comes with the old token: a new challenge for the known caller."""
    result = await buy(client, live, ask_body("One about rivers."), ask_body("Two about lakes."))
    answers = result["answers"]
    assert isinstance(answers, list)
    assert [answer["status"] for answer in answers] == [200, 200]
    assert all(answer["body"]["choices"][0]["message"]["content"] for answer in answers)
    book = await live.upstream_book()
    assert book["posts"] == 2
    # The whole-sat rounding of the first invoice is credit, and may well pay for the second.
    assert result["payments"] in {1, 2}


async def test_a_client_that_gives_up_after_five_seconds_buys_at_its_second_try(
    client: tuple[Path, Path], live: Live
) -> None:
    """With a look-up lag of 7 s the first POST times out, the identical one buys, one run."""
    await live.control_upstream("timing", lag_s=7)
    result = await buy(client, live, ask_body("Slowly, about tides."), tries=4)
    answers = result["answers"]
    assert isinstance(answers, list)
    assert answers[0]["status"] == 200
    timeouts = result["timeouts"]
    assert isinstance(timeouts, int)
    assert timeouts >= 1
    assert result["payments"] == 1
    book = await live.upstream_book()
    assert book["posts"] == 1
