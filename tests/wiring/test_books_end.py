"""A service whose books have no writer any more is no service: its process ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.terminal import told
from cobot_meter.wiring.app import running_service
from cobot_meter.wiring.settings.settings import Settings, read_settings
from tests.cli.shop import command_line_in


async def serve_without_a_writer(settings: Settings) -> None:
    """Serve for ever; the thread that writes dies at once."""
    async with asyncio.timeout(30), running_service(settings) as running:
        cast("Any", running.service.parts.books)._writer._handed_over.put(object())
        await asyncio.Event().wait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_dies_ends_the_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error comes out of the service itself: one sentence, and exit 4."""
    settings = read_settings(command_line_in(tmp_path / "data").environ)
    serve = told(lambda: asyncio.run(serve_without_a_writer(settings)))
    with pytest.raises(typer.Exit) as ended:
        serve()
    assert ended.value.exit_code == ExitCode.BROKEN
    assert "the thread that writes the books has died" in capsys.readouterr().err


async def test_the_metrics_know_of_room_and_outages(tmp_path: Path) -> None:
    """Free bytes, the length of an outage and the answers that wait are gauges."""
    settings = read_settings(command_line_in(tmp_path / "data").environ)
    async with running_service(settings) as running:
        parts = running.service.parts
        read = parts.metrics.registry.get_sample_value
        assert (read("cobot_meter_data_free_bytes") or 0) > 0
        assert read("cobot_meter_books_away_seconds") == 0
        assert read("cobot_meter_unwritten_answers") == 0
        cast("Any", parts.books).outage.met("database or disk is full")
        assert (read("cobot_meter_books_away_seconds") or 0) > 0
