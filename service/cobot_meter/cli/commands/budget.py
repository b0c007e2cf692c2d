"""`budgets list`, `set`, `clear` and `plan`: what the operator lets be spent, and in which time."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.table import Table

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import Misused, Terminal, run, terminal_of
from cobot_meter.cli.wording import name
from cobot_meter.domain.budgets.budget import amount_text
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.operator_api.commands import Document

SERVICE, EVERY = "service", "every"
SCOPES = ("key", "caller", "model", "task")
OFF, USUAL = "off", "usual"
UNITS = {"sat": "amount_sat", "usd": "amount_usd"}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(sat|usd)")

Whose = Annotated[
    str,
    typer.Argument(help="service for all that is sold, or key:ID, caller:ID, model:ID, task:WORD."),
]
Zone = Annotated[str, typer.Option(help="An IANA time zone, by which it begins anew.")]


def list_budgets(context: typer.Context, as_json: AsJson = False) -> None:
    """List the operator's budgets: spent, reserved, left, and when each begins anew."""
    terminal = terminal_of(context)
    _show(terminal, run(operate(terminal.settings(), "budgets_list")), as_json=as_json)


def set_budget(
    context: typer.Context,
    whose: Whose,
    period: Annotated[str, typer.Argument(help="hour, day, week or month.")],
    amount: Annotated[str, typer.Argument(help="At most so much, such as 5000sat or 1.50usd.")],
    zone: Zone = "UTC",
) -> None:
    """Set a budget of a key, a caller, a model, a task, or of the whole service.

    Set again it has another amount, and what is spent of it stays spent.
    """
    found = _AMOUNT.fullmatch(amount.lower())
    if found is None:
        message = f"{amount!r} is no amount: write 5000sat or 1.50usd"
        raise Misused(message)
    number, unit = found.groups()
    if unit == "sat" and "." in number:
        message = "a budget in sat is a whole number of them"
        raise Misused(message)
    said = {UNITS[unit]: int(number) if unit == "sat" else number}
    _told(context, "budgets_set", **_scope(whose), **said, period=period, zone=zone)


def clear_budget(
    context: typer.Context,
    whose: Annotated[
        str, typer.Argument(help="As it was set: service, key:ID, model:ID and so on; or every.")
    ],
    period: Annotated[str | None, typer.Argument(help="hour, day, week or month.")] = None,
    unit: Annotated[str, typer.Option(help="The unit that it was set in: sat or usd.")] = "sat",
    zone: Zone = "UTC",
) -> None:
    """Take one budget away, said as it was set but for its amount; or every one."""
    if (whose == EVERY) != (period is None):
        message = "say whose budget and of which period to take away, or every"
        raise Misused(message)
    if whose == EVERY:
        _told(context, "budgets_clear", every=True)
        return
    if unit not in UNITS:
        message = f"--unit {unit} means nothing: say sat or usd"
        raise Misused(message)
    _told(context, "budgets_clear", **_scope(whose), period=period, zone=zone, **{UNITS[unit]: 1})


def plan_budgets(
    context: typer.Context,
    premium: Annotated[
        str,
        typer.Argument(help="Premium models while more parts of a hundred are left; off, usual."),
    ],
    middle: Annotated[int | None, typer.Argument(help="Middle ones while more are left.")] = None,
) -> None:
    """Say how dear a model may be with what is left of the operator's budgets of callers and keys.

    `off` lets every model be chosen while a budget has room for it; `usual` is 60 and 25.
    """
    plan: object = {OFF: OFF, USUAL: None}.get(premium)
    if (premium in {OFF, USUAL}) != (middle is None) or not (middle is None or premium.isdigit()):
        message = "say two shares, such as 60 25, or off, or usual"
        raise Misused(message)
    if middle is not None:
        plan = {"premium_above": int(premium), "middle_above": middle}
    terminal = terminal_of(context)
    answer = run(operate(terminal.settings(), "budgets_plan", plan=plan))
    terminal.out.print(_plan_text(answer.get("plan")))


def _plan_text(plan: object) -> str:
    if not isinstance(plan, dict):
        return "what is left of a budget bars no model"
    premium, middle = plan["premium_above"], plan["middle_above"]
    return f"premium models above {premium} % left, middle ones above {middle} %, cheap ones below"


def _scope(whose: str) -> dict[str, str]:
    if whose == SERVICE:
        return {"scope": "operator"}
    scope, _, subject = whose.partition(":")
    if scope not in SCOPES or not subject:
        message = f"{whose!r} is nobody's: say service, or key:ID, caller:ID, model:ID, task:WORD"
        raise Misused(message)
    return {"scope": scope, scope: subject}


def _told(context: typer.Context, command: str, **request: object) -> None:
    terminal = terminal_of(context)
    _show(terminal, run(operate(terminal.settings(), command, **request)), as_json=False)


def _show(terminal: Terminal, answer: Document, *, as_json: bool) -> None:
    found = answer.get("budgets")
    budgets: list[dict[str, Any]] = found if isinstance(found, list) else []
    if as_json:
        terminal.write_json(budgets)
    elif budgets:
        terminal.print_rows(_table(budgets))
    else:
        terminal.out.print("the operator has set no budget")


def _table(budgets: list[dict[str, Any]]) -> Table:
    table = plain_table()
    for header in ("budget of", "period", "zone"):
        table.add_column(header, no_wrap=True)
    for header in ("limit", "spent", "reserved", "left", "used"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("begins anew", no_wrap=True)
    for one in budgets:
        unit = Commodity(one["commodity"])
        amounts = (
            amount_text(unit, one[column]) for column in ("limit", "spent", "reserved", "left")
        )
        whose = f"{one['scope']} {name(one['subject'])}" if one["subject"] else "the service"
        used = f"{one['used_percent']} %"
        table.add_row(whose, one["period"], one["zone"], *amounts, used, one["resets_at"])
    return table
