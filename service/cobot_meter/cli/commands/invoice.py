"""`invoices list`, `show` and `cancel`. Reading runs beside the service; cancelling asks it."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.lookup import PAGE, find_invoice
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.tables.tasks import earned_msat, parts_of_price
from cobot_meter.cli.terminal import CommandFailed, Misused, Terminal, run, terminal_of
from cobot_meter.cli.wording import account, age, event, moment, msat, name, sat, unit_amount, usd
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode, Progress
from cobot_meter.domain.money import btc_usd_text
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer, LedgerReports
from cobot_meter.wiring.opening.databases import open_reports
from cobot_meter.wiring.opening.nodes import open_node_to_look
from cobot_meter.wiring.settings.settings import Settings

LISTED = 20
LISTED_MAX = 100_000
ENTRIES_MAX = 10_000

Invoiced = Escrow | Topup
NEWEST = "newest"


def _asked_msat(row: Invoiced) -> int:
    if isinstance(row, Topup):
        return row.amount_msat
    return row.invoice.amount_msat if row.invoice else 0


SORTED: dict[str, Callable[[Invoiced], int]] = {
    NEWEST: lambda row: row.opened_at_ms,
    "oldest": lambda row: -row.opened_at_ms,
    "amount": _asked_msat,
    "paid": lambda row: row.paid_msat,
}
SORTS = ", ".join(SORTED)
STATES = tuple(sorted({*(one.value for one in Progress), *(one.value for one in TopupState)}))


def list_invoices(
    context: typer.Context,
    state: Annotated[str, typer.Option(help="Only those in this state, e.g. invoiced.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="How many.")] = LISTED,
    sort: Annotated[str, typer.Option(help=f"Which come first: {SORTS}.")] = NEWEST,
    as_json: AsJson = False,
) -> None:
    """List escrows and top-ups that have an invoice, newest first.

    The last line adds up what is listed.
    """
    terminal = terminal_of(context)
    settings = terminal.settings()
    _refuse_unless("--sort", sort, tuple(SORTED))
    _refuse_unless("--state", state, ("", *STATES))
    rows = run(_listed(settings, state=state, limit=limit, sort=sort))
    if as_json:
        terminal.write_json([document(row) for row in rows])
    else:
        terminal.print_rows(_list_table(rows, SystemClock().now_ms()))


def _refuse_unless(option: str, given: str, words: tuple[str, ...]) -> None:
    if given not in words:
        message = f"{option} {given} means nothing: say one of {', '.join(filter(None, words))}"
        raise Misused(message)


async def _listed(settings: Settings, *, state: str, limit: int, sort: str) -> list[Invoiced]:
    """The first `limit` in that order; only the newest are found without reading all of them."""
    async with open_reports(settings) as books, books.snapshot() as reports:
        best: list[Invoiced] = []
        async for row in _invoices(reports, state):
            best.append(row)
            if sort == NEWEST and len(best) == limit:
                break
            if len(best) > 2 * limit:
                best = heapq.nlargest(limit, best, key=SORTED[sort])
    return best if sort == NEWEST else heapq.nlargest(limit, best, key=SORTED[sort])


async def _invoices(reports: LedgerReports, state: str) -> AsyncIterator[Invoiced]:
    """Page by page, newest first."""
    before: int | None = None
    while True:
        page = await reports.invoice_page(state=state or None, before=before, limit=PAGE)
        for row in page.rows:
            yield row
        before = page.before
        if before is None:
            return


def _list_table(rows: list[Invoiced], now_ms: int) -> Table:
    table = plain_table(foot=True)
    table.add_column("opened (UTC)", footer=f"{len(rows):,} listed", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for header in ("for", "state", "caller"):
        table.add_column(header, no_wrap=True)
    asked_msat = sum(_asked_msat(row) for row in rows)
    paid_msat = sum(row.paid_msat for row in rows)
    table.add_column("invoice", footer=sat(asked_msat), justify="right", no_wrap=True)
    table.add_column("paid", footer=sat(paid_msat), justify="right", no_wrap=True)
    table.add_column("payment hash", no_wrap=True)
    for row in rows:
        table.add_row(
            moment(row.opened_at_ms),
            age(row.opened_at_ms, now_ms),
            name(_id_of(row)),
            row.progress,
            name(row.caller_id),
            sat(_asked_msat(row)),
            sat(row.paid_msat) if row.paid_msat else "",
            f"…{(row.payment_hash or '')[-10:]}",
        )
    return table


def show_invoice(
    context: typer.Context,
    invoice: Annotated[str, typer.Argument(help="Escrow id, top-up id or payment hash.")],
    as_json: AsJson = False,
) -> None:
    """Show one invoice: what it is for, its price taken apart, the node's word and its entries."""
    terminal = terminal_of(context)
    run(_show(terminal, invoice, as_json=as_json))


async def _show(terminal: Terminal, given: str, *, as_json: bool) -> None:
    settings = terminal.settings()
    async with open_reports(settings) as books, books.snapshot() as reports:
        row = await find_invoice(reports, given)
        entries = await entries_of(reports, row)
    said = await node_says(settings, row)
    if as_json:
        terminal.write_json({**document(row), "node": said, "entries": entries})
    else:
        terminal.out.print(details(row, said, entries))


async def entries_of(reports: LedgerReports, row: Invoiced) -> tuple[JournalEntry, ...]:
    """Its own entries, oldest first, out of its caller's."""
    entries = await reports.statement(row.caller_id, before=None, limit=ENTRIES_MAX)
    return tuple(entry for entry in reversed(entries) if entry.subject_id == _id_of(row))


async def node_says(settings: Settings, row: Invoiced) -> str:
    """The node's own word on its invoice, or why there is none."""
    if not row.payment_hash:
        return "has no invoice yet"
    try:
        async with open_node_to_look(settings) as node:
            invoice = await node().look_up(row.payment_hash)
    except NodeUnavailable as fault:
        return f"unknown: {fault.message}"
    return invoice.state.value if invoice else "knows no such invoice"


def details(row: Invoiced, said: str, entries: tuple[JournalEntry, ...]) -> RenderableType:
    """What it is, line by line, and its journal."""
    facts = plain_table()
    facts.add_column("what", no_wrap=True)
    facts.add_column("value", overflow="fold")
    for what, value in (*_common(row, said), *(_price(row) if isinstance(row, Escrow) else ())):
        facts.add_row(what, value)
    journal = plain_table("Journal")
    journal.add_column("time (UTC)", no_wrap=True)
    journal.add_column("event", no_wrap=True)
    journal.add_column("transfers", overflow="fold")
    for entry in entries:
        moved = "\n".join(_transfer_line(one) for one in entry.transfers)
        journal.add_row(moment(entry.at_ms), event(entry.kind), moved)
    return Group(facts, journal)


def _transfer_line(one: JournalTransfer) -> str:
    moved = unit_amount(one.commodity, one.amount or one.held)
    return f"{one.kind} {moved}: {account(one.debit)} → {account(one.credit)}"


def _common(row: Invoiced, said: str) -> list[tuple[str, str]]:
    return [
        ("id", _id_of(row)),
        ("caller", row.caller_id),
        ("state", row.progress),
        ("the node says", said),
        ("payment hash", row.payment_hash or ""),
        ("invoice", sat(_asked_msat(row))),
        ("paid", sat(row.paid_msat)),
        ("payment request", _payment_request(row)),
    ]


def _price(escrow: Escrow) -> list[tuple[str, str]]:
    rows = _price_of_task(escrow) if escrow.task else _price_of_run(escrow)
    if escrow.failure is not None:
        rows.append(("failure", f"{escrow.failure.code}: {escrow.failure.message}"))
    return rows


def _price_of_task(task: Escrow) -> list[tuple[str, str]]:
    """Who sells it, and what its runs and both fees come to."""
    terms, quote = task.task, task.quote
    models_msat, service_msat, fee_msat, price_msat = parts_of_price(task)
    parts = f"models {msat(models_msat)} + service's fee {msat(service_msat)}"
    return [
        ("title", terms.title if terms else ""),
        ("seller", terms.seller_id if terms else ""),
        ("runs", f"{task.runs_made - 1:,}, {usd(task.priced_pusd)}"),
        ("ceiling", f"{msat(quote.ceiling_msat)} msat ({usd(quote.ceiling_pusd)})"),
        ("fee at most", f"{msat(terms.max_fee_msat if terms else 0)} msat"),
        ("rate", f"{btc_usd_text(quote.rate)} USD per BTC, {quote.rate.source}"),
        ("price", f"{msat(price_msat)} msat = {parts} + seller's fee {msat(fee_msat)}"),
        ("seller has earned", f"{msat(earned_msat(task))} msat"),
    ]


def _price_of_run(escrow: Escrow) -> list[tuple[str, str]]:
    quote, price = escrow.quote, escrow.price
    rows = [
        ("model", escrow.quote.model if escrow.mode is Mode.PANEL else escrow.model),
        ("ceiling", f"{msat(quote.ceiling_msat)} msat ({usd(quote.ceiling_pusd)})"),
        ("rate", f"{btc_usd_text(quote.rate)} USD per BTC, {quote.rate.source}"),
    ]
    cost = f"{usd(escrow.cost_pusd)}, {escrow.run.cost.standing}" if escrow.run.cost else ""
    if escrow.closing is not None:
        cost = f"{usd(escrow.priced_pusd)}, of {escrow.runs_made} models"
    if cost:
        parts = (
            f"cost {msat(price.cost_msat)} + credit fee {msat(price.credit_fee_msat)} + markup "
            f"{msat(price.markup_msat)}"
        )
        rows += [
            ("cost", cost),
            ("price", f"{msat(price.price_msat)} msat = {parts}"),
            ("credit used", f"{msat(escrow.credit_used_msat)} msat"),
        ]
    return rows


def cancel_invoice(
    context: typer.Context,
    invoice: Annotated[str, typer.Argument(help="Escrow id, top-up id or payment hash.")],
    as_json: AsJson = False,
) -> None:
    """Cancel an unpaid invoice at the node; what the node answers is booked."""
    terminal = terminal_of(context)
    outcome = run(_cancel(terminal.settings(), invoice))
    if as_json:
        terminal.write_json(outcome)
    elif outcome.get("invoice_state") == "CANCELED":
        terminal.out.print(f"canceled: {outcome['subject_id']} is {outcome['subject_state']}")
    else:
        message = (
            f"not canceled: the node says {outcome.get('invoice_state')}, "
            f"{outcome['subject_id']} is {outcome['subject_state']}"
        )
        raise CommandFailed(message)


async def _cancel(settings: Settings, given: str) -> dict[str, object]:
    async with open_reports(settings) as reports:
        row = await find_invoice(reports, given)
    return dict(await operate(settings, "cancel_invoice", name=_id_of(row)))


def document(row: Invoiced) -> dict[str, object]:
    """An escrow or top-up as JSON, every field of it."""
    return {"kind": "escrow" if isinstance(row, Escrow) else "topup", **dataclasses.asdict(row)}


def _id_of(row: Invoiced) -> str:
    return row.escrow_id if isinstance(row, Escrow) else row.topup_id


def _payment_request(row: Invoiced) -> str:
    if isinstance(row, Topup):
        return row.payment_request
    return row.invoice.payment_request if row.invoice else ""
