"""`doctor` ends with the code of the worst that it found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.cli.commands.doctor import Check, exit_code
from cobot_meter.cli.exit_codes import ExitCode
from tests.cli.shop import CommandLine, command_line_in
from tests.fakes.servers.serving import refused_address

WELL = Check(name="books", well=True, detail="readable")
NOT_YET = Check(name="service", well=None, detail="not running")
WRONG = Check(name="data directory", well=False, detail="open to others")
AWAY = Check(name="upstream", well=False, detail="does not answer", away=True)
DAMAGED = Check(name="books", well=False, detail="damaged", broken=True)


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([WELL, NOT_YET], ExitCode.RIGHT),
        ([WELL, AWAY], ExitCode.COULD_NOT_LOOK),
        ([AWAY, WRONG], ExitCode.FINDING),
        ([AWAY, WRONG, DAMAGED], ExitCode.BROKEN),
    ],
)
def test_the_worst_decides(checks: list[Check], code: ExitCode) -> None:
    """Damage before a finding, a finding before silence, silence before nothing."""
    assert exit_code(checks) is code


async def test_an_upstream_that_does_not_answer_is_exit_3(tmp_path: Path) -> None:
    """Nothing else is wrong: whoever runs it from a script can tell."""
    with refused_address() as nowhere:
        away = {
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": f"{nowhere}/api/v1",
            "OPENROUTER_API_KEY": "sk-or-v1-simulated",
        }
        commands = CommandLine({**command_line_in(tmp_path / "data").environ, **away})
        shown = await asyncio.to_thread(commands.run, "doctor")
    assert shown.exit_code == ExitCode.COULD_NOT_LOOK
    assert "✗" in shown.stdout


def test_a_data_directory_that_is_a_file_is_said(tmp_path: Path) -> None:
    """The cause, and which setting it is."""
    file = tmp_path / "data"
    file.write_text("not a directory")
    rows = {row["name"]: row for row in command_line_in(file).read("doctor")}
    assert rows["data directory"]["well"] is False
    assert "COBOT_METER_DATA_DIR must name one" in rows["data directory"]["detail"]
