"""The trial balance and a caller's statement as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cobot_meter.cli.wording import amount, event, moment, msat, name
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.ledger.accounts import REVENUES, Commodity, available, receivable
from cobot_meter.domain.ledger.transfers import TransferKind
from cobot_meter.ports.ledger_reports import Balance, JournalEntry

UNIT = {Commodity.MSAT: "msat", Commodity.PUSD: "USD"}

_REVENUES = frozenset(account.code for account in REVENUES)


def plain_table(title: str | None = None, *, foot: bool = False) -> Table:
    """The one look of every table."""
    return Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="bold",
        footer_style="bold",
        show_footer=foot,
        pad_edge=False,
    )


def trial_balance(rows: Sequence[Balance]) -> RenderableType:
    """One table for each commodity: every account on its side, and equal sums under them."""
    return Group(*(_commodity_table(rows, commodity) for commodity in Commodity))


def sides(rows: Sequence[Balance], commodity: str) -> tuple[int, int]:
    """What stands in debit and what stands in credit, over all accounts of a commodity."""
    nets = [row.net for row in rows if row.commodity == commodity]
    return sum(net for net in nets if net > 0), -sum(net for net in nets if net < 0)


def _commodity_table(rows: Sequence[Balance], commodity: Commodity) -> Table:
    table = plain_table(f"Trial balance in {UNIT[commodity]}", foot=True)
    own = [row for row in rows if row.commodity == commodity]
    debits, credits_ = sides(rows, commodity)
    equal = debits == credits_
    table.add_column("account", footer="balanced" if equal else "NOT BALANCED", ratio=2)
    table.add_column("nature")
    style = "green" if equal else "red"
    for header, total in (("debit", debits), ("credit", credits_)):
        text = Text(amount(commodity, total), style=style)
        table.add_column(header, footer=text, justify="right", no_wrap=True)
    table.add_column("reserved", justify="right", no_wrap=True, style="dim")
    for row in sorted(own, key=lambda row: (row.nature, row.account)):
        reserved = row.debits_pending + row.credits_pending
        if row.net or reserved:
            table.add_row(
                row.account,
                row.nature,
                amount(commodity, row.net) if row.net > 0 else "",
                amount(commodity, -row.net) if row.net < 0 else "",
                amount(commodity, reserved) if reserved else "",
            )
    return table


def statement(caller_id: str, entries: Iterable[JournalEntry]) -> Table:
    """A caller's entries that moved its money, reservations included: what each changed.

    `open` is what is reserved or invoiced and unpaid. What buyers pay for a task that the caller
    sells is no payment of its own.
    """
    table = plain_table(f"Statement of {name(caller_id)}, in msat")
    for header in ("time (UTC)", "event", "of"):
        table.add_column(header, no_wrap=True)
    for header in ("paid", "spent", "credit", "open"):
        table.add_column(header, justify="right", no_wrap=True)
    for entry in entries:
        bought = () if entry.seller_id == caller_id else entry.transfers
        paid = sum(one.amount for one in bought if one.debit.startswith("ln/node/"))
        spent = sum(one.amount for one in bought if one.credit in _REVENUES)
        credit = -moved(entry, available(caller_id).code)
        owed = moved(entry, receivable(caller_id).code)
        if paid or spent or credit or owed:
            table.add_row(
                moment(entry.at_ms),
                event(entry.kind),
                name(entry.subject_id),
                *(f"{change:+,}" if change else "" for change in (paid, spent, credit, owed)),
            )
    return table


def moved(entry: JournalEntry, account: str) -> int:
    """What an entry adds to debits less credits of an account, reservations included."""
    total = 0
    for transfer in entry.transfers:
        reserved = transfer.held if transfer.kind != TransferKind.PENDING else 0
        change = transfer.amount - reserved
        if transfer.debit == account:
            total += change
        elif transfer.credit == account and transfer.kind == TransferKind.POSTED:
            total -= change
    return total


def standing_line(standing: CallerStanding) -> str:
    """A caller's figures in one line."""
    return (
        f"credit {msat(standing.available_msat)} · open {msat(standing.open_msat)} · "
        f"settled {msat(standing.settled_msat)} · lapsed {msat(standing.lapsed_msat)} msat"
    )
