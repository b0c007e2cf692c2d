"""Tells the demonstration: what was asked, offered, paid and released, and what the books say."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.demo.agent import Purchase
from cobot_meter.cli.tables.audit import audit_report
from cobot_meter.cli.tables.balances import UNIT, sides, standing_line, statement, trial_balance
from cobot_meter.cli.wording import amount, msat, name, sat, usd
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.flows.audit.findings import AuditReport
from cobot_meter.ports.ledger_reports import Balance, JournalEntry

ANSWER_LINES = 3
ANSWER_WIDTH = 76
INVOICE_HEAD = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksShown:
    """What the books say at the end; `credit_drop_pusd` is what the simulator charged."""

    caller: CallerStanding
    entries: tuple[JournalEntry, ...]
    balances: tuple[Balance, ...]
    report: AuditReport
    credit_drop_pusd: int

    @property
    def sums(self) -> tuple[tuple[Commodity, int, int], ...]:
        """Both sides of the trial balance, for each commodity."""
        return tuple((commodity, *sides(self.balances, commodity)) for commodity in Commodity)

    @property
    def balanced(self) -> bool:
        """Whether everything agrees: both commodities, the audit, and the upstream's credit."""
        figures = self.report.figures
        return (
            self.report.sound
            and not self.report.unchecked
            and all(debits == credits_ for _, debits, credits_ in self.sums)
            and figures.cost_pusd == self.credit_drop_pusd
        )


def tell_begin(out: Console, *, face: str, simulator: str, node: str) -> None:
    """What runs where."""
    out.print(Text("cobot-meter: one agent buys completions from another", style="bold"))
    table = steps()
    table.add_row("service", f"{face}/v1/chat/completions", "")
    table.add_row("upstream", f"{simulator}/api/v1 (a simulated OpenRouter)", "")
    table.add_row("wallet", f"{node}/pay (play money on regtest)", "")
    out.print(table)


def tell_purchase(out: Console, number: int, bought: Purchase) -> None:
    """Ask, 402, invoice, payment, release, each with its time."""
    _tell_ask(out, number, bought)
    table = steps()
    _add_challenge(table, bought)
    if bought.payment is not None:
        table.add_row(
            "payment",
            f"{sat(bought.payment.amount_msat)} paid, preimage {bought.payment.preimage[:16]}…",
            _ms(bought.payment_ms),
        )
        usage = bought.answer["usage"]
        table.add_row(
            "release",
            f"200, {usage['completion_tokens']:,} tokens, finished by {_finish(bought.answer)}",
            _ms(bought.release_ms),
        )
    out.print(table)
    if bought.answer:
        out.print(Padding(_first_lines(bought.text), (0, 0, 0, 11)), style="italic dim")


def tell_lapse(out: Console, *, state: str, waited_ms: int) -> None:
    """What became of the unpaid one."""
    table = steps()
    table.add_row("payment", "none: the agent has changed its mind", "")
    outcome = {"expired": "the node canceled the invoice; the cost is ours, and lowers the cap"}
    table.add_row("lapse", f"{state}: {outcome.get(state, 'unexpected')}", _ms(waited_ms))
    out.print(table)


def tell_books(out: Console, books: BooksShown) -> None:
    """Statement, trial balance, audit, and the lines that matter last."""
    out.print()
    out.print(statement(books.caller.caller_id, reversed(books.entries)))
    out.print(f"{standing_line(books.caller)}\n")
    tell_balance(out, books)


def tell_balance(out: Console, books: BooksShown) -> None:
    """Trial balance and audit, and whether all of it agrees."""
    out.print(trial_balance(books.balances))
    out.print(audit_report(books.report))
    out.print()
    _tell_verdict(out, books)


def _tell_verdict(out: Console, books: BooksShown) -> None:
    figures = books.report.figures
    for commodity, debits, credits_ in books.sums:
        tell_equal(
            out,
            f"{UNIT[commodity]:<4} debits",
            amount(commodity, debits),
            "credits",
            amount(commodity, credits_),
            equal=debits == credits_,
        )
    drop = books.credit_drop_pusd
    tell_equal(
        out,
        "cost in the ledger",
        usd(figures.cost_pusd),
        "credit drop of the simulator",
        usd(drop),
        equal=figures.cost_pusd == drop,
    )
    if books.balanced:
        out.print(Text("✓ the books balance", style="bold green"))
    else:
        out.print(Text("✗ the books do not balance", style="bold red"))


def tell_equal(out: Console, one: str, left: str, other: str, right: str, *, equal: bool) -> None:
    """One line that says whether two figures agree."""
    sign, style = ("=", "green") if equal else ("≠", "bold red")
    out.print(Text(f"{one} {left} {sign} {other} {right}", style=style))


def _tell_ask(out: Console, number: int, bought: Purchase) -> None:
    order = bought.order
    out.print()
    out.print(Text(f"{number}. {order.title}", style="bold"))
    table = steps()
    table.add_row("ask", f"“{order.prompt}”", "")
    table.add_row("", f"{order.model}, at most {order.max_tokens:,} tokens", "")
    out.print(table)


def _add_challenge(table: Table, bought: Purchase) -> None:
    escrow, cost = bought.escrow, bought.escrow["cost"]
    table.add_row(
        "402",
        f"run and kept in escrow {name(escrow['id'])} until it is paid",
        _ms(bought.challenge_ms),
    )
    table.add_row("", f"cost {_dollars(cost['upstream_usd'])}, {cost['standing']}", "")
    for part in _price_lines(cost):
        table.add_row("", part, "")
    invoice = str(bought.challenge["invoice"])
    table.add_row("invoice", f"{sat(cost['amount_msat'])}  {invoice[:INVOICE_HEAD]}…", "")


def _price_lines(cost: dict[str, Any]) -> Sequence[str]:
    parts = (
        f"cost {msat(cost['upstream_msat'])} + credit fee {msat(cost['credit_fee_msat'])} + "
        f"markup {msat(cost['markup_msat'])}"
    )
    lines = [f"price {msat(cost['price_msat'])} msat = {parts}"]
    if cost["credit_used_msat"]:
        lines.append(f"of which {msat(cost['credit_used_msat'])} msat from credit")
    if cost["rounding_msat"]:
        lines.append(f"rounded up to a whole sat: {msat(cost['rounding_msat'])} msat are credit")
    return lines


def steps() -> Table:
    """Step, what happened, and how long it took."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=9, style="cyan", no_wrap=True)
    table.add_column(min_width=ANSWER_WIDTH, max_width=ANSWER_WIDTH, overflow="fold")
    table.add_column(justify="right", style="dim", no_wrap=True)
    return table


def _first_lines(text: str) -> Text:
    lines = textwrap.wrap(text, ANSWER_WIDTH)
    more = "…" if len(lines) > ANSWER_LINES else ""
    return Text("\n".join(lines[:ANSWER_LINES]) + more)


def _finish(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["finish_reason"])


def _dollars(text: str) -> str:
    return f"${text}"


def _ms(took: int) -> str:
    return f"{took:,} ms"
