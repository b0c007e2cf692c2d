"""Log lines: one for each sale, readable by machines and people, and nothing secret in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cobot_meter.wiring.logs import event_logger
from tests.architecture.source_tree import ROOT

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PROGRAM = """
import logging, sys
from cobot_meter.wiring.logs import event_logger, set_up_logs
set_up_logs({level!r}, {form!r})
event_logger().info("sold", escrow_id="esc_1", price_msat=17, odd="half \\ud83d \\x1b[2J")
logging.getLogger("elsewhere").warning("it said %s", "\\udce9\\x1b[2J")
logging.getLogger("httpx").info("not worth a line")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("elsewhere").exception("it broke")
"""


def lines_of(form: str, level: str = "info") -> list[str]:
    """What a process with these logs writes to standard error."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, form=form)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == b""
    return ended.stderr.decode().splitlines()


@pytest.mark.parametrize("form", ["json", "auto"])
def test_a_pipe_gets_a_json_object_a_line(form: str) -> None:
    """Our events and other libraries' lines alike, with a time that has a zone."""
    sold, said, broke = (json.loads(line) for line in lines_of(form))
    assert (sold["message"], sold["escrow_id"], sold["price_msat"]) == ("sold", "esc_1", 17)
    assert (sold["level"], said["level"], broke["level"]) == ("info", "warning", "error")
    assert said["name"] == "elsewhere"
    assert "ZeroDivisionError" in broke["exception"]
    assert all(ISO.fullmatch(line["at"]) for line in (sold, said, broke))


def test_a_person_gets_lines_to_read() -> None:
    """Fields stand behind their names, and nothing in them moves the cursor."""
    text = "\n".join(lines_of("plain"))
    assert "escrow_id=esc_1" in text
    assert "it broke" in text
    assert "\x1b" not in text


def test_a_level_keeps_what_is_below_it_out() -> None:
    """On `error` a sale is no line."""
    (broke,) = (json.loads(line) for line in lines_of("json", level="error"))
    assert broke["message"] == "it broke"


def test_without_logs_events_go_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A test or a library that set up nothing sees nothing on its streams."""
    event_logger().error("sold", escrow_id="esc_1")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["json", "plain"])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(form: str) -> None:
    """A full disk or a reader that is gone never reaches who books a sale."""
    program = PROGRAM.format(level="info", form=form) + "print('booked')"
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert ended.stdout == b"booked\n"
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=closed,
            timeout=60,
            check=False,
        )
    assert ended.stdout == b"booked\n"
