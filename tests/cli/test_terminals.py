"""Every command on every terminal: any encoding, a dumb one, a pipe that is closed too soon."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cobot_meter.cli.command_groups import loaded
from cobot_meter.cli.command_table import COMMANDS, Entry
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.main import command_line
from cobot_meter.cli.streams import fitting_text, prepare_streams
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import HUNG_UP, PlainConsole, Terminal
from tests.architecture.source_tree import ROOT
from tests.cli.shop import CommandLine

ENCODINGS = ("ascii", "latin-1", "cp1252", "koi8-r", "utf-8")
CODES = {int(code) for code in ExitCode}
# What a command needs to do something; any other one is called without a word.
GIVEN = {
    "pay": ("lnbcrt1",),
    "topup": ("100", "--pay"),
    "invoices show": ("{escrow}",),
    "invoices cancel": ("{escrow}",),
    "tasks show": ("{escrow}",),
    "callers cap": ("{caller}", "7"),
    "callers block": ("{caller}",),
    "callers unblock": ("{caller}",),
    "ledger": ("--caller", "{caller}"),
    "invoices set-aside": ("--all", "--reason", "they are of books that are gone"),
    "quarantine show": ("{escrow}",),
    "quarantine retry": ("{escrow}",),
    "quarantine write-off": ("{escrow}", "--reason", "it can never be booked"),
    "releases open": ("--reason", "the books are right"),
    "upstream rebase": ("--reason", "the key is another one"),
    "db backup": ("{folder}/copy.sqlite3",),
    "bench run": ("--models", "openai/gpt-5-mini", "--items", "1"),
    "bench watch": ("--models", "openai/gpt-5-mini"),
    "bench table": ("--out", "{folder}/table.json"),
    "budgets set": ("service", "day", "1000sat"),
    "budgets clear": ("service", "day"),
    "budgets plan": ("60", "25"),
    "explain-route": ("{folder}/no-request.json",),
}
# They run until a signal comes, or a story is told: tests of their own.
LASTING = {"serve", "simulator", "demo"}
LIGHT = """
import sys
from cobot_meter.cli.main import main
sys.argv = ["cobot-meter", {word!r}]
try:
    main()
except SystemExit:
    print(*sorted(sys.modules))
"""
COLLECTS = """
import gc, sys
from cobot_meter.cli.main import main
sys.argv = {words!r}
try:
    main()
except SystemExit:
    print(gc.isenabled(), gc.get_freeze_count())
"""


def leaves(entries: Mapping[str, Entry], before: str = "") -> Iterator[tuple[str, Entry]]:
    """Every command by the words that call it."""
    for name, entry in entries.items():
        words = f"{before} {name}".strip()
        if entry.commands:
            yield from leaves(entry.commands, words)
        else:
            yield words, entry


EVERY = dict(leaves(COMMANDS))


def words_for(commands: CommandLine, command: str) -> list[str]:
    """The command with what it needs from these books."""
    (open_one,) = commands.read("invoices", "list", "--state", "invoiced")
    known = {
        "escrow": open_one["escrow_id"],
        "caller": open_one["caller_id"],
        "folder": commands.environ["COBOT_METER_DATA_DIR"],
    }
    return [*command.split(), *(word.format(**known) for word in GIVEN.get(command, ()))]


@pytest.mark.parametrize("command", EVERY)
def test_a_command_is_where_the_table_says_and_does_what_it_says(command: str) -> None:
    """It can be loaded, and the table's sentence is the first of its own explanation."""
    entry = EVERY[command]
    real = loaded(command.rpartition(" ")[2], entry.where)
    assert " ".join(real.help.split("\n\n")[0].split()) == entry.help


@pytest.mark.parametrize("command", sorted(EVERY.keys() - LASTING))
def test_a_command_speaks_to_every_terminal(shop: CommandLine, command: str) -> None:
    """Whatever the encoding: no traceback, and the same exit code as on a modern one."""
    words = words_for(shop, command)
    codes = set()
    for encoding in ENCODINGS:
        shown = CliRunner(charset=encoding).invoke(command_line(), words, env=dict(shop.environ))
        assert isinstance(shown.exception, SystemExit | None), (encoding, shown.exception)
        codes.add(shown.exit_code)
        shown.stdout_bytes.decode(encoding)
        if command in {"callers block", "db backup", "invoices cancel", "lnd adopt"}:
            break  # what it changes would be another answer the second time
    assert len(codes) == 1
    assert codes < CODES


@pytest.mark.parametrize(
    "terminal",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii", "TERM": "dumb"},
        {"PYTHONIOENCODING": "ascii:strict", "NO_COLOR": "1"},
    ],
    ids=lambda terminal: " ".join(terminal.values()),
)
def test_a_process_of_its_own_does_too(sold: CommandLine, terminal: dict[str, str]) -> None:
    """Marks become ones that can be shown; the verdict and the exit code stay."""
    audit = sold.spawn("audit", **terminal)
    assert (audit.returncode, audit.stderr) == (0, "")
    assert audit.stdout.rstrip().endswith("+ the books are right")
    helped = sold.spawn("pay", "--help", **terminal)
    assert (helped.returncode, helped.stderr) == (0, "")
    refused = sold.spawn("pay", "lnbcrt\N{PILE OF POO}", **terminal)
    assert refused.returncode == ExitCode.COULD_NOT_LOOK
    assert refused.stderr.startswith("cobot-meter: ")
    assert refused.stderr.count("\n") == 1


def test_a_table_keeps_its_columns_in_ascii(sold: CommandLine) -> None:
    """What stands for a sign is as wide as the sign."""
    shown = sold.spawn("invoices", "list", PYTHONIOENCODING="ascii").stdout.splitlines()
    rows = [line for line in shown if "esc_~" in line]
    assert len({row.index(" c_~") for row in rows}) == 1
    (head,) = (line for line in shown if "payment hash" in line)
    assert rows[0].index(" c_~") + 1 == head.index("caller")


def test_json_is_json_in_every_encoding() -> None:
    """What cannot be written is escaped, so that the same is read back."""
    said = 'print_(\'{"a": "\\u2713 \\u00e9 \\U0001f4a9 \\u202e"}\')'
    program = (
        "import json, os, sys\n"
        "from cobot_meter.cli.terminal import open_terminal\n"
        "print_ = lambda text: open_terminal(os.environ).write_json(json.loads(text))\n" + said
    )
    for encoding in ENCODINGS:
        environ = {**os.environ, "PYTHONIOENCODING": encoding}
        shown = subprocess.run(
            [sys.executable, "-c", program], env=environ, cwd=ROOT, capture_output=True, check=True
        )
        text = shown.stdout.decode(encoding)
        assert json.loads(text) == {"a": "✓ é \N{PILE OF POO} \u202e"}
        assert "\u202e" not in text


def hung_up(commands: CommandLine, *words: str, both: bool = False) -> tuple[int, bytes]:
    """Exit code and standard error with a closed pipe on standard output, or on both."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "cobot_meter", *words],
            env={**os.environ, **commands.environ},
            cwd=ROOT,
            stdout=closed,
            stderr=closed if both else subprocess.PIPE,
            timeout=60,
            check=False,
        )
    return ended.returncode, ended.stderr or b""


@pytest.mark.parametrize("words", [("audit",), ("--help",), ("invoices", "list", "--json")])
def test_a_pipe_that_is_closed_ends_it_without_a_word(
    sold: CommandLine, words: tuple[str, ...]
) -> None:
    """As `| head -0` does: no traceback, and of a command never the exit code of a finding."""
    assert hung_up(sold, *words) == (1 if words == ("--help",) else HUNG_UP, b"")


def test_a_refusal_keeps_its_exit_code_though_nobody_reads_it(sold: CommandLine) -> None:
    """As `2>&1 | head -0` does."""
    assert hung_up(sold, "ledger", "--caller", "c_nobody99", both=True) == (ExitCode.FINDING, b"")


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(EVERY.keys() - LASTING))
def test_no_command_minds_a_closed_pipe(shop: CommandLine, command: str) -> None:
    """Each of them: what it says is lost, and no traceback is written instead."""
    code, said = hung_up(shop, *words_for(shop, command))
    assert b"Traceback" not in said
    assert said.count(b"\n") <= 1
    assert code in {*CODES, HUNG_UP}


@settings(derandomize=True)
@given(text=st.text())
def test_any_text_fits_any_encoding(text: str) -> None:
    """Nothing raises; ASCII stays as it is, and a sign keeps its width."""
    prepare_streams()
    for encoding in ENCODINGS:
        fitted = fitting_text(text, encoding)
        assert fitted.encode(encoding).decode(encoding) == fitted
        if text.isascii():
            assert fitted == text
        assert len(fitted) == len(text)


@pytest.mark.parametrize("word", ["--version", "--help", "-h"])
def test_what_needs_no_command_loads_none(word: str) -> None:
    """Neither a database nor a server nor an HTTP client is loaded for a version or a help."""
    shown = subprocess.run(
        [sys.executable, "-c", LIGHT.format(word=word)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = set(shown.stdout.splitlines()[-1].split())
    assert "cobot_meter.cli.command_table" in modules
    heavy = {"httpx", "sqlalchemy", "fastapi", "uvicorn", "asyncio", "rich.table", "orjson"}
    assert modules & heavy == set()
    assert {name for name in modules if name.startswith("cobot_meter.wiring")} == set()


def test_a_command_collects_its_garbage(nothing: CommandLine) -> None:
    """None is looked for while it is loaded, and nothing loaded is looked at; but then it is."""
    program = COLLECTS.format(words=["cobot-meter", "ledger"])
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **nothing.environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    collects, frozen = shown.stdout.split()[-2:]
    assert collects == "True"
    assert int(frozen) > 10_000


@pytest.mark.parametrize("command", EVERY)
def test_every_command_explains_itself(sold: CommandLine, command: str) -> None:
    """`-h` as well as `--help`, with exit 0."""
    short, long = (sold.run(*command.split(), word) for word in ("-h", "--help"))
    assert (short.exit_code, short.stdout) == (0, long.stdout)


def test_the_help_cuts_no_sentence_off(sold: CommandLine) -> None:
    """Each command's whole sentence, however long it is."""
    words = " ".join(sold.run("--help").stdout.split())
    for name, entry in COMMANDS.items():
        assert f"{name} {entry.help}" in words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(tmp_path: Path, shell: str) -> None:
    """The script that it asks for is there, and completing loads no command."""
    environ = {**os.environ, "HOME": str(tmp_path), "_COBOT_METER_COMPLETE": f"source_{shell}"}
    command = [sys.executable, "-m", "cobot_meter"]
    script = subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert script.returncode == 0
    assert "_COBOT_METER_COMPLETE" in script.stdout
    environ |= {
        "_COBOT_METER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "cobot-meter inv",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "cobot-meter inv",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    offered = subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "invoices" in offered.stdout


def test_a_fault_of_ours_is_one_sentence_and_exit_4(tmp_path: Path) -> None:
    """The traceback lies in a file that only its owner can read; the sentence says where."""
    program = (
        "import sys\n"
        "from cobot_meter.cli.unforeseen import end_unforeseen\n"
        "sys.excepthook = end_unforeseen\n"
        "raise ZeroDivisionError('canary')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == ExitCode.BROKEN
    (kept,) = tmp_path.iterdir()
    assert ended.stderr == (
        "cobot-meter: ZeroDivisionError: this is a fault of the program, and its traceback is in "
        f"{kept}\n"
    )
    assert "canary" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_what_others_wrote_moves_no_cursor(sold: CommandLine) -> None:
    """A word of the command line comes back without what a terminal would act on."""
    refused = sold.run("invoices", "show", "esc_\x1b[2J\x9b\u202e\nnobody")
    assert refused.exit_code == ExitCode.FINDING
    assert refused.stderr.count("\n") == 1
    assert not {"\x1b", "\x9b", "\u202e"} & set(refused.stderr)


def test_a_narrow_terminal_cuts_no_name() -> None:
    """What is to be typed again stands there whole, however narrow it is."""
    table = plain_table()
    table.add_column("for", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_row("esc_" + "a" * 40, "invoiced")
    shown = io.StringIO()
    out = PlainConsole(width=20, file=shown, highlight=False, markup=False, emoji=False)
    Terminal(environ={}, out=out).print_rows(table)
    assert "esc_" + "a" * 40 in shown.getvalue()
    assert "invoiced" in shown.getvalue()
