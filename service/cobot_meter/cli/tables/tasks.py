"""Tasks as tables: their prices taken apart, and what of them their sellers have earned."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.wording import moment, msat, name
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import usd_text

_TITLE_CHARS = 24
_AMOUNTS = ("models", "service's fee", "own fee", "price", "earned")


def parts_of_price(task: Escrow) -> tuple[int, int, int, int]:
    """Models, service's fee, seller's fee, and the price that they add up to, in msat.

    Of an open task what it has come to until now, of a failed one nothing.
    """
    if task.state is EscrowState.FAILED:
        return 0, 0, 0, 0
    price, fee_msat = task.price, task.fee_msat
    service_msat = price.price_msat - price.cost_msat
    return price.cost_msat, service_msat, fee_msat, price.price_msat + fee_msat


def earned_msat(task: Escrow) -> int:
    """What its seller has been credited: the fee, once the answer was handed over."""
    return task.fee_msat if task.state is EscrowState.RELEASED else 0


def tasks_table(title: str, tasks: Sequence[Escrow], *, whole: bool) -> Table:
    """A line each, newest first, and sums below; `whole` says too who sells, and under which title.

    Without that it fits beside a statement.
    """
    table = plain_table(title, foot=True)
    count = f"{len(tasks):,} task{'' if len(tasks) == 1 else 's'}"
    table.add_column("opened (UTC)", footer=count, no_wrap=True)
    for header in ("task", *(("seller",) if whole else ()), "state"):
        table.add_column(header, no_wrap=True)
    if whole:
        table.add_column("title", overflow="ellipsis", max_width=_TITLE_CHARS)
    table.add_column("runs", justify="right", no_wrap=True)
    rows = [(*parts_of_price(task), earned_msat(task)) for task in tasks]
    for number, header in enumerate(_AMOUNTS):
        total = msat(sum(row[number] for row in rows))
        table.add_column(header, footer=total, justify="right", no_wrap=True)
    for task, amounts in zip(tasks, rows, strict=True):
        terms = task.task
        seller = (name(terms.seller_id if terms else ""),) if whole else ()
        table.add_row(
            moment(task.opened_at_ms),
            name(task.escrow_id),
            *seller,
            task.task_state,
            *((terms.title if terms else "",) if whole else ()),
            f"{task.runs_made - 1:,}",
            *(msat(one) if one else "" for one in amounts),
        )
    return table


def task_document(task: Escrow) -> dict[str, object]:
    """A task as JSON: who sells it, and its price taken apart."""
    models_msat, service_msat, fee_msat, price_msat = parts_of_price(task)
    return {
        "task": task.escrow_id,
        "seller_id": task.task.seller_id if task.task else None,
        "buyer_id": task.caller_id,
        "title": task.task.title if task.task else "",
        "state": task.task_state,
        "opened_at_ms": task.opened_at_ms,
        "runs": task.runs_made - 1,
        "cost_usd": usd_text(task.priced_pusd),
        "cost_msat": models_msat,
        "service_fee_msat": service_msat,
        "seller_fee_msat": fee_msat,
        "price_msat": price_msat,
        "earned_msat": earned_msat(task),
        "payment_hash": task.payment_hash,
    }
