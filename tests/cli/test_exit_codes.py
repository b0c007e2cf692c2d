"""Exit codes have one meaning each, and `audit` gives the one that its report deserves."""

from __future__ import annotations

import pytest

from cobot_meter.cli.commands.ledger import exit_code
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.flows.audit.findings import AuditFigures, AuditReport, Finding
from tests.cli.shop import CommandLine

NOTHING = AuditFigures(
    entries=0,
    transfers=0,
    accounts=0,
    escrows=0,
    topups=0,
    callers=0,
    open_holds=0,
    settlements=0,
    settlements_elsewhere=0,
    settlements_confirmed=0,
    totals=(),
    cost_pusd=0,
    baseline_pusd=None,
    usage_pusd=None,
)
WRONG = (Finding(code="account_differs", subject="revenue", message="it differs"),)
UNSEEN = (Finding(code="upstream_unreachable", subject="upstream", message="it is away"),)


def test_the_five_codes_are_what_scripts_were_told() -> None:
    """0 right, 1 a finding, 2 usage or settings, 3 could not look, 4 broken."""
    assert [(code.name, int(code)) for code in ExitCode] == [
        ("RIGHT", 0),
        ("FINDING", 1),
        ("USAGE", 2),
        ("COULD_NOT_LOOK", 3),
        ("BROKEN", 4),
    ]


@pytest.mark.parametrize(
    ("findings", "unchecked", "code"),
    [
        ((), (), ExitCode.RIGHT),
        (WRONG, (), ExitCode.FINDING),
        ((), UNSEEN, ExitCode.COULD_NOT_LOOK),
        (WRONG, UNSEEN, ExitCode.FINDING),
    ],
)
def test_an_audit_exits_with_what_it_found(
    findings: tuple[Finding, ...], unchecked: tuple[Finding, ...], code: ExitCode
) -> None:
    """A part that was not looked at is never exit 0, and a finding outweighs it."""
    report = AuditReport(findings=findings, left_out=0, unchecked=unchecked, figures=NOTHING)
    assert exit_code(report) is code


def test_an_upstream_that_does_not_answer_is_exit_3(sold: CommandLine) -> None:
    """K3.4: with the upstream away the audit says so, and is not exit 0."""
    away = {**sold.environ, "COBOT_METER_UPSTREAM": "openrouter"}
    away |= {"OPENROUTER_API_KEY": "sk-or-v1-0", "COBOT_METER_UPSTREAM_URL": "http://127.0.0.1:9"}
    shown = CommandLine(away).run("audit")
    assert "upstream_unreachable" in shown.stdout
    assert shown.exit_code == ExitCode.COULD_NOT_LOOK


@pytest.mark.parametrize("command", ["audit", "ledger"])
def test_help_says_the_exit_codes(sold: CommandLine, command: str) -> None:
    """Whoever writes a script reads them where the command is explained."""
    shown = sold.run(command, "--help")
    words = " ".join(shown.stdout.split())
    assert "Exit codes: 0" in words
    assert "4 broken" in words
