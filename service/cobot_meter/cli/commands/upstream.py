"""`upstream rebase`: the operator's word on which usage our costs count against."""

from __future__ import annotations

from typing import Annotated

import typer

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.terminal import run, terminal_of
from cobot_meter.cli.wording import usd

Reason = Annotated[str, typer.Option(help="Why: it stays in the journal.")]


def rebase(context: typer.Context, reason: Reason, as_json: AsJson = False) -> None:
    """Count costs from the key's usage of now on: after another key, or a counter begun anew.

    Look at the account upstream first: what was spent there and is in no book is not booked by
    this. Exit codes: 0 done, 1 refused, 2 usage or settings, 3 the upstream or the database is
    away, or runs are in flight, 4 broken.
    """
    terminal = terminal_of(context)
    said = dict(run(operate(terminal.settings(), "rebase_usage", reason=reason)))
    if as_json:
        terminal.write_json(said)
        return
    used, booked = usd(_number(said, "usage_pusd")), usd(_number(said, "booked_pusd"))
    terminal.out.print(
        f"baseline {said['number']}: the key {said['key']} had used {used}, and {booked} were "
        "booked; costs are compared from here on",
        soft_wrap=True,
    )


def _number(said: dict[str, object], name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) else 0
