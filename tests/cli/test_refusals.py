"""Whatever goes wrong as expected is one line, and its exit code says who must act."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_meter.cli.terminal import CommandFailed, CouldNotLook, Misused, told
from cobot_meter.domain.errors import (
    BooksBusy,
    LedgerUnbalanced,
    NodeUnavailable,
    RequestInvalid,
    SettingInvalid,
)
from cobot_pay.errors import PaymentFailed, PaymentUnknown
from tests.cli.shop import CommandLine

NEEDS_BOOKS = (
    ("ledger",),
    ("audit",),
    ("invoices", "list"),
    ("invoices", "show", "esc_12345678"),
    ("invoices", "cancel", "esc_12345678"),
    ("callers", "list"),
    ("callers", "block", "c_12345678"),
)
EVERY = (*NEEDS_BOOKS, ("serve",), ("simulator",), ("models",), ("pay", "lnbcrt1"))


def one_line(text: str) -> str:
    """The one line on standard error."""
    assert text.startswith("cobot-meter: ")
    assert text.count("\n") == 1
    return text


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_wrong_setting_stops_every_command(nothing: CommandLine, words: tuple[str, ...]) -> None:
    """An unknown variable is named in one line, and the exit code is 2."""
    refused = nothing.run(*words, COBOT_METER_LISTN="x")
    assert refused.exit_code == 2
    assert "COBOT_METER_LISTN" in one_line(refused.stderr)


def test_the_doctor_shows_a_wrong_setting(nothing: CommandLine) -> None:
    """`doctor` shows it as a failed check, with the exit code of a setting."""
    shown = nothing.run("doctor", COBOT_METER_LISTN="x")
    assert shown.exit_code == 2
    assert "COBOT_METER_LISTN" in shown.stdout
    assert "✗" in shown.stdout


@pytest.mark.parametrize("words", NEEDS_BOOKS, ids=" ".join)
def test_books_that_are_not_there_are_not_made(
    nothing: CommandLine, words: tuple[str, ...]
) -> None:
    """Reading or changing nothing says so in one line and leaves no directory behind."""
    refused = nothing.run(*words)
    assert refused.exit_code == 2
    assert "no books" in one_line(refused.stderr)
    assert not Path(nothing.environ["COBOT_METER_DATA_DIR"]).exists()


@pytest.mark.parametrize("words", [("ledger",), ("audit",), ("callers", "block", "c_12345678")])
def test_a_file_that_is_no_database_is_refused(
    nothing: CommandLine, words: tuple[str, ...]
) -> None:
    """Garbage in the books' place is one line with the file's name, and doctor's ✗."""
    folder = Path(nothing.environ["COBOT_METER_DATA_DIR"])
    folder.mkdir(mode=0o700)
    (folder / "books.sqlite3").write_text("these are no books" * 100)
    refused = nothing.run(*words)
    assert refused.exit_code == 4
    assert "books.sqlite3" in one_line(refused.stderr)
    assert nothing.run("doctor").exit_code == 4


@pytest.mark.parametrize(
    "words",
    [
        ("ledger", "--caller", "c_nobody99"),
        ("invoices", "show", "esc_nobody99"),
        ("invoices", "cancel", "esc_nobody99"),
        ("callers", "block", "c_nobody99"),
        ("callers", "cap", "c_nobody99"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_one_line(sold: CommandLine, words: tuple[str, ...]) -> None:
    """An unknown name exits 1 without a traceback; half a command exits 2."""
    refused = sold.run(*words)
    assert refused.exit_code == (2 if words[1] == "cap" else 1)
    one_line(refused.stderr)


@pytest.mark.parametrize("words", [("pay", "lnbcrt1"), ("models",)], ids=" ".join)
def test_who_does_not_answer_is_no_finding(sold: CommandLine, words: tuple[str, ...]) -> None:
    """The wallet or the upstream is away: one line, and exit 3."""
    refused = sold.run(*words)
    assert refused.exit_code == 3
    one_line(refused.stderr)


def test_a_released_invoice_cannot_be_canceled(shop: CommandLine) -> None:
    """The refusal says the state that it is in."""
    released = shop.read("invoices", "list", "--state", "released")[0]
    refused = shop.run("invoices", "cancel", released["escrow_id"])
    assert refused.exit_code == 1
    assert "released" in one_line(refused.stderr)


def test_no_command_prints_a_traceback(nothing: CommandLine) -> None:
    """In a process of its own too: one line on standard error, nothing on standard output."""
    refused = nothing.spawn("audit")
    assert refused.returncode == 2
    assert refused.stdout == ""
    one_line(refused.stderr)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SettingInvalid("set it"), 2),
        (NodeUnavailable("it is down"), 3),
        (BooksBusy("later"), 3),
        (CommandFailed("no"), 1),
        (Misused("no such word"), 2),
        (CouldNotLook("silence"), 3),
        (RequestInvalid("no such command"), 1),
        (PaymentFailed("no"), 1),
        (PaymentUnknown("who knows"), 3),
        (PermissionError(13, "Permission denied", "books"), 3),
        (LedgerUnbalanced("damage"), 4),
        (ExceptionGroup("several", [ExceptionGroup("tasks", [SettingInvalid("set it")])]), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_expected_error_has_its_exit_code(
    fault: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when a task group has wrapped it."""

    def failing() -> None:
        raise fault

    with pytest.raises(Exception, match=str(code)) as stopped:
        told(failing)()
    assert stopped.type.__name__ == "Exit"
    one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "fault",
    [ZeroDivisionError(), ExceptionGroup("several", [CommandFailed("no"), ZeroDivisionError()])],
    ids=lambda value: type(value).__name__,
)
def test_what_nobody_expected_is_not_hidden(fault: Exception) -> None:
    """A bug keeps its traceback, alone or beside an expected error."""

    def failing() -> None:
        raise fault

    with pytest.raises(type(fault)):
        told(failing)()
