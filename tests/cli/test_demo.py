"""The demonstration: it runs with no settings, ends with books that balance, and cleans up."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cobot_meter.cli.demo.story import BooksShown, tell_books, tell_lapse
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.flows.audit.findings import AuditFigures, AuditReport, CommodityTotals, Finding
from cobot_meter.ports.ledger_reports import Balance
from tests.architecture.source_tree import ROOT

FIGURES = AuditFigures(
    entries=1,
    transfers=1,
    accounts=2,
    escrows=1,
    topups=0,
    callers=1,
    open_holds=0,
    settlements=0,
    settlements_elsewhere=0,
    settlements_confirmed=0,
    totals=(
        CommodityTotals(
            commodity="pusd",
            debits_posted=5,
            credits_posted=5,
            debits_pending=0,
            credits_pending=0,
        ),
    ),
    cost_pusd=5,
    baseline_pusd=0,
    usage_pusd=5,
)
FINDING = Finding(code="account_differs", subject="cost/upstream", message="wrong")


def balance(account: str, net: int) -> Balance:
    """One account in USD."""
    return Balance(
        account=account,
        commodity="pusd",
        nature="expense",
        debits_posted=max(net, 0),
        credits_posted=max(-net, 0),
        debits_pending=0,
        credits_pending=0,
    )


BOOKS = BooksShown(
    caller=CallerStanding(caller_id="c_1"),
    entries=(),
    balances=(balance("cost/upstream", 5), balance("upstream/openrouter/credits", -5)),
    report=AuditReport(findings=(), left_out=0, unchecked=(), figures=FIGURES),
    credit_drop_pusd=5,
)


def told(books: BooksShown) -> list[str]:
    """The lines of the story's end."""
    out = Console(width=100, markup=False, highlight=False, record=True, quiet=True)
    out.quiet = False
    with out.capture() as captured:
        tell_books(out, books)
    return captured.get().splitlines()


def test_balanced_books_end_the_story_well() -> None:
    """The last lines show both sides of what balances, and say so."""
    lines = told(BOOKS)
    assert lines[-1] == "✓ the books balance"
    assert lines[-2] == (
        "cost in the ledger $0.000000000005 = credit drop of the simulator $0.000000000005"
    )
    assert lines[-3] == "USD  debits $0.000000000005 = credits $0.000000000005"


@pytest.mark.parametrize(
    "books",
    [
        replace(BOOKS, credit_drop_pusd=6),
        replace(BOOKS, balances=BOOKS.balances[:1]),
        replace(BOOKS, report=replace(BOOKS.report, findings=(FINDING,))),
        replace(BOOKS, report=replace(BOOKS.report, unchecked=(FINDING,))),
    ],
    ids=["cost", "trial balance", "finding", "unchecked"],
)
def test_books_that_do_not_balance_are_not_glossed_over(books: BooksShown) -> None:
    """A difference anywhere is shown and turns the verdict."""
    assert not books.balanced
    assert told(books)[-1] == "✗ the books do not balance"


def test_an_invoice_that_did_not_lapse_is_told_as_it_is() -> None:
    """The story says the state that it saw, not the one it hoped for."""
    out = Console(width=100, markup=False)
    with out.capture() as captured:
        tell_lapse(out, state="settled", waited_ms=1)
    assert "settled: unexpected" in captured.get()


def environ_in(folder: Path) -> dict[str, str]:
    """Temporary files in `folder`, and a setting that the demonstration must not mind."""
    plain = {name: value for name, value in os.environ.items() if "COBOT_METER" not in name}
    return {**plain, "TMPDIR": str(folder), "COBOT_METER_LISTEN": "nonsense"}


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✓"), ("ascii", "+")])
def test_the_demonstration_runs_with_no_settings_and_leaves_nothing(
    tmp_path: Path, encoding: str, mark: str
) -> None:
    """Three asks, two payments, one lapse; the books balance, exit 0, and no file is left."""
    shown = subprocess.run(
        [sys.executable, "-m", "cobot_meter", "demo"],
        env={**environ_in(tmp_path), "PYTHONIOENCODING": encoding},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.stderr == ""
    assert shown.returncode == 0
    lines = shown.stdout.rstrip().splitlines()
    assert lines[-1] == f"{mark} the books balance"
    assert sum(line.startswith("402 ") for line in lines) == 3
    assert sum(line.startswith("release ") for line in lines) == 2
    assert sum(line.startswith("lapse      expired") for line in lines) == 1
    assert max(len(line) for line in lines) <= 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_demonstration_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM in the middle of it stops every part and removes the directory."""
    stopped = subprocess.Popen(
        [sys.executable, "-m", "cobot_meter", "demo"],
        env={**environ_in(tmp_path), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline().startswith("cobot-meter")
        assert len(list(tmp_path.iterdir())) == 1
        stopped.terminate()
        _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 143
    assert said == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_demonstrations_that_begin_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    """Each finds the default ports free, and one has them a moment later: all of them end well."""
    began = [
        subprocess.Popen(
            [sys.executable, "-m", "cobot_meter", "demo"],
            env=environ_in(tmp_path),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [(one.communicate(timeout=100), one.returncode) for one in began]
    assert [(said, code) for (_, said), code in told] == [("", 0)] * len(began)
    assert list(tmp_path.iterdir()) == []
