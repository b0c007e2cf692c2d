"""`doctor`: looks at every part that the service needs, and says what is wrong with it.

It changes nothing, and each look has a time limit. Must not know: how a part is mended.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import httpx
import typer
from rich.text import Text

from service.cli.account_words import account_words
from service.cli.balance_tables import plain_table
from service.cli.ledger_commands import AsJson
from service.cli.operator_client import ask_service
from service.cli.terminal import FAILED, WRONG_SETTING, CommandFailed, run, terminal_of
from service.domain.errors import CobotMeterError, SettingInvalid
from service.domain.money import btc_usd_text
from service.domain.transitions import SWEPT
from service.domain.upstream_usage import key_mark, usage_alarm
from service.flows.usage_baseline import current_baseline
from service.wiring.databases import BOOKS_FILE, open_reports
from service.wiring.nodes import NODE_FILE, examined, open_node_to_look
from service.wiring.operator_doors import SOCKET_FILE
from service.wiring.rates import look_at_rates
from service.wiring.settings import Settings
from service.wiring.upstreams import missing_local_models, open_upstream

LOOK_S = 10.0
NODE = "node"
CREDIT = "upstream credit"
USAGE = "upstream usage"
SETTLEMENTS = "settlements"
RATE = "exchange rate"
LOCAL = "ollama"
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
MARKS = {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("–")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look: `well` None when there is nothing to look at yet."""

    name: str
    well: bool | None
    detail: str


Look = Callable[[Settings], Awaitable[tuple[bool | None, str]]]


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Look at settings, data, books, node, upstream and rate; exit 0 when nothing is wrong."""
    terminal = terminal_of(context)
    try:
        settings = terminal.settings()
    except SettingInvalid as wrong:
        checks = [Check(name="settings", well=False, detail=wrong.message)]
        code = WRONG_SETTING
    else:
        checks = run(examine(settings))
        code = FAILED if any(check.well is False for check in checks) else 0
    if as_json:
        terminal.write_json([asdict(check) for check in checks])
    else:
        table = plain_table()
        table.add_column("")
        table.add_column("part", no_wrap=True)
        table.add_column("what was found", overflow="fold")
        for check in checks:
            table.add_row(MARKS[check.well], check.name, check.detail)
        terminal.out.print(table)
    if code:
        raise typer.Exit(code)


async def examine(settings: Settings) -> list[Check]:
    """Every check, one after the other."""
    looks: tuple[tuple[str, Look], ...] = (
        ("data directory", _data_dir),
        ("books", _books),
        ("service", _service),
        (NODE, _node),
        ("upstream", _upstream),
        (CREDIT, _credit),
        (USAGE, _usage),
        (SETTLEMENTS, _settlements),
        *(((LOCAL, _local),) if settings.upstream.local.models else ()),
    )
    checks = [Check(name="settings", well=True, detail="all known and well-formed")]
    for name, look in looks:
        well, detail = await _looked(look, settings)
        checks.append(Check(name=name, well=well, detail=detail))
        if name == NODE and settings.node.lnd is not None:
            checks += [
                Check(name=f"node: {one.name}", well=one.well, detail=one.detail)
                for one in await examined(settings.node.lnd)
            ]
    return checks + await _rates(settings)


async def _looked(look: Look, settings: Settings) -> tuple[bool | None, str]:
    try:
        async with asyncio.timeout(LOOK_S):
            return await look(settings)
    except TimeoutError:
        return False, "does not answer"
    except CobotMeterError as fault:
        return False, fault.message
    except CommandFailed as fault:
        return False, str(fault)
    except OSError as fault:
        return False, f"{fault.strerror or fault}"


async def _data_dir(settings: Settings) -> tuple[bool | None, str]:
    path = settings.data_dir
    if not path.exists():
        return None, f"{path} is not there yet; `cobot-meter serve` makes it"
    if path.stat().st_mode & OPEN_TO_OTHERS:
        return False, f"{path} is open to others; run: chmod 700 {path}"
    return True, str(path.absolute())


async def _books(settings: Settings) -> tuple[bool | None, str]:
    path = settings.data_dir / BOOKS_FILE
    if not settings.database.url and not path.exists():
        return None, "none yet; `cobot-meter serve` begins them"
    async with open_reports(settings) as reports:
        accounts = len(await reports.trial_balance())
    where = settings.database.shown or path.name
    return True, f"{where} is readable, {accounts} lines in the trial balance"


async def _service(settings: Settings) -> tuple[bool | None, str]:
    if not await _runs(settings):
        return None, "not running"
    url = settings.face.listen.url
    try:
        async with httpx.AsyncClient(timeout=LOOK_S, trust_env=False) as http:
            answer = await http.get(f"{url}/readyz")
    except httpx.TransportError:
        return False, f"runs, but does not answer at {url}"
    ready = answer.status_code == httpx.codes.OK
    return ready, f"runs at {url}" if ready else f"runs, but is not ready: {answer.text[:200]}"


async def _runs(settings: Settings) -> bool:
    try:
        answer = await ask_service(settings.data_dir / SOCKET_FILE, {"command": "ping"})
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return answer.get("ok") is True


async def _node(settings: Settings) -> tuple[bool | None, str]:
    if settings.node.lnd is None and not (settings.data_dir / NODE_FILE).exists():
        return None, "the development node begins with the first `cobot-meter serve`"
    async with open_node_to_look(settings) as node:
        identity = await node().identity()
    return True, f"{identity.alias} on {identity.network}, {identity.pubkey[:16]}…"


async def _upstream(settings: Settings) -> tuple[bool | None, str]:
    if settings.upstream.simulated and not await _runs(settings):
        return None, "the simulator runs inside `cobot-meter serve`"
    async with open_upstream(settings) as upstream:
        await upstream.ping()
        models = len(await upstream.models())
    return True, f"{settings.upstream.base_url} takes our key and lists {models} models"


async def _credit(settings: Settings) -> tuple[bool | None, str]:
    if settings.upstream.simulated and not await _runs(settings):
        return None, "the simulator runs inside `cobot-meter serve`"
    async with open_upstream(settings) as upstream:
        account = await upstream.account()
    left_pusd = account.left_pusd
    well = left_pusd is None or left_pusd > settings.upstream.reserve_pusd
    return well, account_words(account)


async def _local(settings: Settings) -> tuple[bool | None, str]:
    url, missing = settings.upstream.local.base_url, await missing_local_models(settings)
    if missing:
        return False, f"{url} lacks {', '.join(missing)}; there, run: ollama pull {missing[0]}"
    return True, f"{url} answers and has our models ({len(settings.upstream.local.models)})"


async def _usage(settings: Settings) -> tuple[bool | None, str]:
    """Whether our costs can be held against the key's usage; the service rings for it too."""
    if not settings.database.url and not (settings.data_dir / BOOKS_FILE).exists():
        return None, "no books yet"
    async with open_reports(settings) as reports:
        baseline = await current_baseline(reports)
    if baseline is None:
        return None, "no run has been sold yet, so nothing is compared"
    async with open_upstream(settings) as upstream:
        usage_pusd = await upstream.usage_pusd()
    mark = key_mark(settings.upstream.api_key.reveal())
    alarm = usage_alarm(baseline, key=mark, usage_pusd=usage_pusd)
    if alarm is not None:
        return False, alarm.message
    return True, f"grows since baseline {baseline.number}, counted for the key {mark}"


async def _settlements(settings: Settings) -> tuple[bool | None, str]:
    """What the last sweep of the node's list came to that booked or said anything."""
    if not settings.database.url and not (settings.data_dir / BOOKS_FILE).exists():
        return None, "no books yet"
    async with open_reports(settings) as reports:
        number = await reports.numbered(SWEPT)
        facts = await reports.entry_facts(f"{SWEPT}/{number - 1}") if number else None
    if facts is None:
        return None, "the node's list was never held against the books; `serve` does"
    if facts.get("unnamed"):
        detail = "payments at the node name no caller; see cobot-meter audit, and say set-aside"
        return False, f"{facts['unnamed']} {detail}"
    found = f", and {facts['found']} payments were found and credited" if facts.get("found") else ""
    return True, f"the books know what the node was paid{found}"


async def _rates(settings: Settings) -> list[Check]:
    """The rate, and each source behind it; every source has a time limit of its own."""
    found = await look_at_rates(settings.rate)
    rate = found.standing.rate
    detail = f"1 BTC = {btc_usd_text(rate)} USD ({rate.source})" if rate else found.standing.why
    return [
        Check(name=RATE, well=rate is not None, detail=detail),
        *(
            Check(name=f"{RATE}: {one.name}", well=one.wrong is None, detail=one.wrong or one.said)
            for one in found.sources
        ),
    ]
