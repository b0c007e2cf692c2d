"""`invoices set-aside`: the operator's word on payments that are in no book and name no caller."""

from __future__ import annotations

from typing import Annotated

import typer

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.operator_client import operate
from cobot_meter.cli.terminal import CommandFailed, run, terminal_of

Hash = Annotated[str, typer.Argument(help="Payment hash, as `audit` shows it.")]
Reason = Annotated[str, typer.Option(help="Why: it stays in the journal.")]
All = Annotated[bool, typer.Option("--all", help="Every one that there is now.")]


def set_aside(
    context: typer.Context,
    reason: Reason,
    payment_hash: Hash = "",
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Say that payments at the node are none of these books' business: no money is booked.

    They are on invoices of a service like this one, in no book, and from before invoices named
    their callers. Credit their payers by hand if they are yours. Exit codes: 0 done, 1 refused,
    2 usage or settings, 3 the node or the database is away, 4 broken.
    """
    terminal = terminal_of(context)
    if bool(payment_hash) == everything:
        message = "say one payment hash, or --all"
        raise CommandFailed(message)
    named = {} if everything else {"payment_hash": payment_hash}
    said = run(operate(terminal.settings(), "set_aside", reason=reason, **named))
    if as_json:
        terminal.write_json(said)
        return
    hashes = said.get("payment_hashes")
    for one in hashes if isinstance(hashes, list) else []:
        terminal.out.print(f"set aside: {one}", soft_wrap=True)
