"""Every command: its name, where it is, and one sentence about it.

A command is loaded when it is called and not before: all of them together take a second of CPU,
`--help` and `--version` a fifth of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`where` is `module:function`, or empty for a group, which has entries of its own."""

    help: str
    where: str = ""
    commands: Mapping[str, Entry] = field(default_factory=dict)


INVOICES = {
    "list": Entry(
        where="cobot_meter.cli.commands.invoice:list_invoices",
        help="List escrows and top-ups that have an invoice, newest first.",
    ),
    "show": Entry(
        where="cobot_meter.cli.commands.invoice:show_invoice",
        help="Show one invoice: what it is for, its price taken apart, the node's word and its "
        "entries.",
    ),
    "cancel": Entry(
        where="cobot_meter.cli.commands.invoice:cancel_invoice",
        help="Cancel an unpaid invoice at the node; what the node answers is booked.",
    ),
    "set-aside": Entry(
        where="cobot_meter.cli.commands.set_aside:set_aside",
        help="Say that payments at the node are none of these books' business: no money is booked.",
    ),
}
TASKS = {
    "list": Entry(
        where="cobot_meter.cli.commands.task:list_tasks",
        help="List tasks, newest first: who sells each, its runs, its price taken apart, what is "
        "earned.",
    ),
    "show": Entry(
        where="cobot_meter.cli.commands.task:show_task",
        help="Show one task: its seller, every run, its price taken apart, its invoice and its "
        "entries.",
    ),
}
CALLERS = {
    "list": Entry(
        where="cobot_meter.cli.commands.caller:list_callers",
        help="List callers with their credit, what they owe and their cap, newest first.",
    ),
    "cap": Entry(
        where="cobot_meter.cli.commands.caller:cap_caller",
        help="Fix what a caller may have open and unpaid, or go back to the formula.",
    ),
    "block": Entry(
        where="cobot_meter.cli.commands.caller:block_caller",
        help="Refuse new asks of this caller; what it has paid for is still delivered.",
    ),
    "unblock": Entry(
        where="cobot_meter.cli.commands.caller:unblock_caller",
        help="Take new asks of this caller again.",
    ),
}
LND = {
    "bake": Entry(
        where="cobot_meter.cli.commands.lnd:bake",
        help="Print the lncli line that makes the least macaroon, and what to do with it.",
    ),
    "adopt": Entry(
        where="cobot_meter.cli.commands.lnd:adopt",
        help="Go on with the node that is there now; what was open on the one before is closed.",
    ),
}
DATABASE = {
    "upgrade": Entry(
        where="cobot_meter.cli.commands.database:upgrade",
        help="Give the books the tables of this version; stop the services that use them first.",
    ),
    "check": Entry(
        where="cobot_meter.cli.commands.database:check",
        help="Say which schema the books have and whether they add up; exit 0 when all is well.",
    ),
    "backup": Entry(
        where="cobot_meter.cli.commands.database:backup",
        help="Copy the SQLite books to a file that only you can read, also while a service runs.",
    ),
    "copy": Entry(
        where="cobot_meter.cli.commands.database:copy",
        help="Copy the SQLite file into the empty database of COBOT_METER_DATABASE_URL, and "
        "prove it.",
    ),
}
QUARANTINE = {
    "list": Entry(
        where="cobot_meter.cli.commands.quarantine:list_quarantine",
        help="List escrows and top-ups that could not be booked, and wait for you.",
    ),
    "show": Entry(
        where="cobot_meter.cli.commands.quarantine:show_quarantine",
        help="Show what could not be booked of one escrow or top-up, and where it stands.",
    ),
    "retry": Entry(
        where="cobot_meter.cli.commands.quarantine:retry_quarantine",
        help="Let one go on where it was; what still cannot be booked puts it back, and exits 1.",
    ),
    "write-off": Entry(
        where="cobot_meter.cli.commands.quarantine:write_off_quarantine",
        help="End one: what was paid becomes the caller's credit, what it cost us stays an "
        "expense.",
    ),
}
RELEASES = {
    "show": Entry(
        where="cobot_meter.cli.commands.quarantine:show_releases",
        help="Say whether completions are sold and released; exit 1 while they are not.",
    ),
    "open": Entry(
        where="cobot_meter.cli.commands.quarantine:open_releases",
        help="Sell and release again, after you have looked at the books.",
    ),
}
BENCH = {
    "run": Entry(
        where="cobot_meter.cli.bench.commands:bench_run",
        help="Ask the set of models on a prepaid key, and keep a record of each answer.",
    ),
    "report": Entry(
        where="cobot_meter.cli.bench.commands:bench_report",
        help="Show what each model did, with intervals, and what moved since last week.",
    ),
    "watch": Entry(
        where="cobot_meter.cli.bench.commands:bench_watch",
        help="Ask each model sixty items, once a day, and say whether it fell or slowed down.",
    ),
    "table": Entry(
        where="cobot_meter.cli.bench.table_command:bench_table",
        help="Write the table of successes that routing reads, out of the records.",
    ),
}
UPSTREAM = {
    "rebase": Entry(
        where="cobot_meter.cli.commands.upstream:rebase",
        help="Count costs from the key's usage of now on: after another key, or a counter begun "
        "anew.",
    ),
}
BUDGETS = {
    "list": Entry(
        where="cobot_meter.cli.commands.budget:list_budgets",
        help="List the operator's budgets: spent, reserved, left, and when each begins anew.",
    ),
    "set": Entry(
        where="cobot_meter.cli.commands.budget:set_budget",
        help="Set a budget of a key, a caller, a model, a task, or of the whole service.",
    ),
    "plan": Entry(
        where="cobot_meter.cli.commands.budget:plan_budgets",
        help="Say how dear a model may be with what is left of the operator's budgets of callers "
        "and keys.",
    ),
    "clear": Entry(
        where="cobot_meter.cli.commands.budget:clear_budget",
        help="Take one budget away, said as it was set but for its amount; or every one.",
    ),
}
COMMANDS = {
    "serve": Entry(
        where="cobot_meter.cli.commands.serving:serve",
        help="Sell completions until SIGTERM or Ctrl-C, then finish what runs and stop.",
    ),
    "demo": Entry(
        where="cobot_meter.cli.demo.demo:demo",
        help="Watch an agent buy two completions and let a third lapse; exit 0 when the books "
        "balance.",
    ),
    "pay": Entry(
        where="cobot_meter.cli.commands.market:pay",
        help="Pay an invoice with the development wallet (play money) and print the preimage.",
    ),
    "topup": Entry(
        where="cobot_meter.cli.commands.topup:topup",
        help="Buy credit of a service, and with --key the API key that spends it.",
    ),
    "models": Entry(
        where="cobot_meter.cli.commands.market:models",
        help="Show every model on offer with the upstream's price and ours, for a million tokens.",
    ),
    "explain-route": Entry(
        where="cobot_meter.cli.commands.explain_route:explain_route",
        help="Say who would answer a request to cobot/auto or a private one, and why, from "
        "settings alone.",
    ),
    "ledger": Entry(
        where="cobot_meter.cli.commands.ledger:ledger",
        help="Show the trial balance in msat and USD, and with --caller a caller's statement.",
    ),
    "audit": Entry(
        where="cobot_meter.cli.commands.ledger:audit",
        help="Hold the books against themselves, the node and the upstream.",
    ),
    "doctor": Entry(
        where="cobot_meter.cli.commands.doctor:doctor",
        help="Look at settings, data, books, node, upstream and rate; exit 0 when nothing is "
        "wrong.",
    ),
    "simulator": Entry(
        where="cobot_meter.cli.commands.serving:simulator",
        help="Run the simulated OpenRouter alone, for a service that is told to use it.",
    ),
    "invoices": Entry(help="List, show and cancel invoices.", commands=INVOICES),
    "tasks": Entry(help="List and show what sellers sell.", commands=TASKS),
    "callers": Entry(help="List callers, fix their caps, block them.", commands=CALLERS),
    "budgets": Entry(help="What may be spent in which time.", commands=BUDGETS),
    "quarantine": Entry(help="What could not be booked, and waits for you.", commands=QUARANTINE),
    "releases": Entry(help="Say whether anything is sold; sell again.", commands=RELEASES),
    "lnd": Entry(help="Connect a real lnd.", commands=LND),
    "bench": Entry(help="Measure models, and watch them.", commands=BENCH),
    "upstream": Entry(help="Say which usage upstream costs count against.", commands=UPSTREAM),
    "db": Entry(help="Update, check, back up and copy the books.", commands=DATABASE),
}
