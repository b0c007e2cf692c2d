"""What an audit says, for people and for machines."""

from __future__ import annotations

import dataclasses

from rich.console import Group, RenderableType
from rich.text import Text

from cobot_meter.cli.tables.balances import UNIT, plain_table
from cobot_meter.cli.wording import amount, usd
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.flows.audit.findings import AuditFigures, AuditReport, Finding


def audit_report(report: AuditReport) -> RenderableType:
    """Figures, then findings, then the verdict: the last line is what matters."""
    parts: list[RenderableType] = [_figures(report.figures)]
    if report.findings:
        parts.append(_findings("Findings", report.findings))
    if report.left_out:
        parts.append(Text(f"{report.left_out:,} more findings were left out"))
    if report.unchecked:
        parts.append(_findings("Not checked", report.unchecked))
    parts.append(verdict(report))
    return Group(*parts)


def verdict(report: AuditReport) -> Text:
    """One line."""
    if not report.sound:
        count = len(report.findings) + report.left_out
        return Text(f"✗ the books are wrong: {count:,} findings", style="bold red")
    if report.unchecked:
        return Text(
            "– nothing was found wrong, but not everything was checked", style="bold yellow"
        )
    return Text("✓ the books are right", style="bold green")


def audit_document(report: AuditReport) -> dict[str, object]:
    """An audit's report as a JSON object: the verdict, the findings and every figure."""
    return {
        "sound": report.sound,
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
        "left_out": report.left_out,
        "unchecked": [dataclasses.asdict(finding) for finding in report.unchecked],
        "figures": {
            **dataclasses.asdict(report.figures),
            "unexplained_pusd": report.figures.unexplained_pusd,
        },
    }


def _figures(figures: AuditFigures) -> RenderableType:
    table = plain_table("Audit")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in (
        ("journal entries", f"{figures.entries:,}"),
        ("transfers", f"{figures.transfers:,}"),
        ("accounts", f"{figures.accounts:,}"),
        ("escrows · top-ups", f"{figures.escrows:,} · {figures.topups:,}"),
        ("callers", f"{figures.callers:,}"),
        ("open reservations", f"{figures.open_holds:,}"),
        (
            "settlements that the node confirms",
            f"{figures.settlements_confirmed:,} of {figures.settlements:,}",
        ),
        *_elsewhere(figures),
        *(_totals(figures)),
        ("cost booked", usd(figures.cost_pusd)),
        ("upstream's usage since the books began", _usage(figures)),
    ):
        table.add_row(what, figure)
    return table


def _elsewhere(figures: AuditFigures) -> list[tuple[str, str]]:
    if not figures.settlements_elsewhere:
        return []
    return [("settlements on nodes left since", f"{figures.settlements_elsewhere:,}")]


def _totals(figures: AuditFigures) -> list[tuple[str, str]]:
    rows = []
    for total in figures.totals:
        unit = UNIT[Commodity(total.commodity)]
        debits = amount(total.commodity, total.debits_posted)
        credits_ = amount(total.commodity, total.credits_posted)
        rows.append((f"turnover in {unit}, debits = credits", f"{debits} = {credits_}"))
    return rows


def _usage(figures: AuditFigures) -> str:
    if figures.usage_pusd is None:
        return "not known: the upstream did not answer"
    if figures.unexplained_pusd is None or figures.baseline_pusd is None:
        return "not known: nothing was recorded at the start"
    since = usd(figures.usage_pusd - figures.baseline_pusd)
    if figures.unexplained_pusd == 0:
        return f"{since}, as booked"
    return f"{since}, {usd(figures.unexplained_pusd)} beyond"


def _findings(title: str, findings: tuple[Finding, ...]) -> RenderableType:
    table = plain_table(title)
    table.add_column("finding", no_wrap=True)
    table.add_column("where", overflow="fold", ratio=1)
    table.add_column("what", overflow="fold", ratio=2)
    for finding in findings:
        table.add_row(finding.code, finding.subject, finding.message)
    return table
