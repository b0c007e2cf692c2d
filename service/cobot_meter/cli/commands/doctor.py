"""`doctor`: looks at every part that the service needs, and says what is wrong with it.

It changes nothing, and each look has a time limit.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import httpx
import typer

from cobot_meter.adapters.storage.sqlite.files import free_bytes
from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.exit_codes import ExitCode
from cobot_meter.cli.operator_client import ask_service
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import CommandFailed, Terminal, code_of, run, terminal_of
from cobot_meter.cli.wording import account_words
from cobot_meter.domain.errors import CobotMeterError, SettingInvalid
from cobot_meter.domain.money import btc_usd_text
from cobot_meter.domain.outside import shown
from cobot_meter.domain.transitions.kinds import SWEPT
from cobot_meter.domain.upstream.usage import key_mark, usage_alarm
from cobot_meter.flows.operate.compare_costs import current_baseline
from cobot_meter.flows.operate.quarantine import LISTED_MAX
from cobot_meter.ports.ledger_reports import Standing
from cobot_meter.wiring.body_keys import look_at_body_keys
from cobot_meter.wiring.opening.databases import BOOKS_FILE, look_at_file, open_reports
from cobot_meter.wiring.opening.nodes import NODE_FILE, examined, open_node_to_look
from cobot_meter.wiring.opening.ports import KEY_FILE, look_at_secret
from cobot_meter.wiring.opening.rates import look_at_rates
from cobot_meter.wiring.opening.upstreams import missing_local_models, open_upstream
from cobot_meter.wiring.operator_offline import SOCKET_FILE
from cobot_meter.wiring.settings.local import LOCAL
from cobot_meter.wiring.settings.settings import Settings

LOOK_S = 10.0
# Of those, for the pages of the books' file.
PAGES_S = 6.0
MIB = 1_048_576
FREE_LEAST = 100 * MIB
NODE = "node"
CREDIT = "upstream credit"
USAGE = "upstream usage"
SETTLEMENTS = "settlements"
RATE = "exchange rate"
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look: `well` None when there is nothing to look at yet.

    `away` says that it is not well because nobody answered: what was asked about is not known.
    `broken`: not a part outside or a setting, but the books themselves.
    """

    name: str
    well: bool | None
    detail: str
    away: bool = False
    broken: bool = False


Look = Callable[[Settings], Awaitable[tuple[bool | None, str]]]


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Look at settings, data, books, node, upstream and rate; exit 0 when nothing is wrong.

    Exit codes: 0 nothing is wrong, 1 a finding, 2 usage or settings, 3 a part does not answer, 4
    broken.
    """
    terminal = terminal_of(context)
    try:
        settings = terminal.settings()
    except SettingInvalid as wrong:
        checks = [Check(name="settings", well=False, detail=wrong.message)]
        code = ExitCode.USAGE
    else:
        checks = run(examine(settings))
        code = exit_code(checks)
    if as_json:
        terminal.write_json([asdict(check) for check in checks])
    else:
        _show(terminal, checks)
    if code:
        raise typer.Exit(code)


def exit_code(checks: list[Check]) -> ExitCode:
    """Damage says more than a finding, and a finding more than a part that did not answer."""
    wrong = [check for check in checks if check.well is False]
    if any(check.broken for check in wrong):
        return ExitCode.BROKEN
    if any(not check.away for check in wrong):
        return ExitCode.FINDING
    return ExitCode.COULD_NOT_LOOK if wrong else ExitCode.RIGHT


def _show(terminal: Terminal, checks: list[Check]) -> None:
    table = plain_table()
    table.add_column("")
    table.add_column("part", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for check in checks:
        sign, style = MARKS[check.well]
        table.add_row(terminal.mark(sign, style=style), check.name, check.detail)
    terminal.out.print(table)


async def examine(settings: Settings) -> list[Check]:
    """Every check, one after the other."""
    looks: tuple[tuple[str, Look], ...] = (
        ("data directory", _data_dir),
        ("disk", _disk),
        ("secret key", _secret),
        ("books", _books),
        ("body keys", look_at_body_keys),
        ("releases", _releases),
        ("quarantine", _quarantine),
        ("service", _service),
        ("metrics", _metrics),
        *((("macaroon file", _macaroon_file),) if settings.node.lnd else ()),
        (NODE, _node),
        ("upstream", _upstream),
        (CREDIT, _credit),
        (USAGE, _usage),
        (SETTLEMENTS, _settlements),
        *(((LOCAL, _local),) if settings.upstream.local.models else ()),
    )
    checks = [
        Check(name="settings", well=True, detail="all known and well-formed"),
        *(
            Check(name=f"risk: {risk.word}", well=None, detail=f"accepted: {risk.sentence}")
            for risk in settings.risks
        ),
    ]
    for name, look in looks:
        checks.append(await _looked(name, look, settings))
        if name == NODE and settings.node.lnd is not None:
            checks += [
                Check(name=f"node: {one.name}", well=one.well, detail=one.detail)
                for one in await examined(settings.node.lnd)
            ]
    return checks + await _rates(settings)


async def _looked(name: str, look: Look, settings: Settings) -> Check:
    try:
        async with asyncio.timeout(LOOK_S):
            well, detail = await look(settings)
    except TimeoutError:
        return Check(name=name, well=False, detail="does not answer", away=True)
    except CobotMeterError as fault:
        code = code_of(fault)
        away, broken = code is ExitCode.COULD_NOT_LOOK, code is ExitCode.BROKEN
        return Check(name=name, well=False, detail=fault.message, away=away, broken=broken)
    except CommandFailed as fault:
        away = fault.code is ExitCode.COULD_NOT_LOOK
        return Check(name=name, well=False, detail=str(fault), away=away)
    except OSError as fault:
        return Check(name=name, well=False, detail=f"{fault.strerror or fault}", away=True)
    return Check(name=name, well=well, detail=detail)


async def _data_dir(settings: Settings) -> tuple[bool | None, str]:
    path = settings.data_dir
    if not path.exists():
        return None, f"{path} is not there yet; `cobot-meter serve` makes it"
    if not path.is_dir():
        return False, f"{path} is no directory: COBOT_METER_DATA_DIR must name one"
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return False, f"{path} cannot be written by this user (its number is {os.geteuid()})"
    if path.stat().st_mode & OPEN_TO_OTHERS:
        return False, f"{path} is open to others; run: chmod 700 {path}"
    return True, str(path.absolute())


async def _secret(settings: Settings) -> tuple[bool | None, str]:
    if await look_at_secret(settings) is None:
        return None, f"{KEY_FILE} is made by the first `cobot-meter serve`"
    return True, f"{KEY_FILE} is there; keep a copy of it apart from the books"


async def _macaroon_file(settings: Settings) -> tuple[bool | None, str]:
    lnd = settings.node.lnd
    if lnd is None:
        return None, "there is none with the development node"
    if lnd.macaroon_path.stat().st_mode & stat.S_IRWXO:
        return None, f"warning: {lnd.macaroon_path} is open to others; run: chmod 600 on it"
    return True, f"{lnd.macaroon_path} is closed to others"


async def _books(settings: Settings) -> tuple[bool | None, str]:
    path = settings.data_dir / BOOKS_FILE
    if not settings.database.url and not path.exists():
        return None, "none yet; `cobot-meter serve` begins them"
    pages = "" if settings.database.url else await look_at_file(settings, within_s=PAGES_S)
    async with open_reports(settings) as reports:
        accounts = len(await reports.trial_balance())
    where = settings.database.shown or path.name
    return True, f"{where} is readable{pages}, {accounts} lines in the trial balance"


async def _disk(settings: Settings) -> tuple[bool | None, str]:
    free = free_bytes(settings.data_dir)
    if free < 0:
        return None, f"what is free at {settings.data_dir} cannot be said"
    said = f"{free / MIB:,.0f} MiB free at {settings.data_dir}"
    if free < FREE_LEAST:
        return False, f"{said}: make room before it is full; sales stop then, and go on afterwards"
    return True, said


async def _releases(settings: Settings) -> tuple[bool | None, str]:
    standing = await _stands(settings)
    if standing is None:
        return None, "no books yet"
    if standing.releases.stopped:
        return False, (
            f"nothing is sold or released: {shown(standing.releases.reason)}; look with "
            "`cobot-meter audit`, then `cobot-meter releases open --reason …`"
        )
    return True, "completions are sold and released"


async def _quarantine(settings: Settings) -> tuple[bool | None, str]:
    standing = await _stands(settings)
    if standing is None:
        return None, "no books yet"
    if standing.quarantined:
        count = len(standing.quarantined)
        return False, f"{count} cannot be booked: `cobot-meter quarantine list` says which and why"
    return True, "everything could be booked"


async def _stands(settings: Settings) -> Standing | None:
    if not settings.database.url and not (settings.data_dir / BOOKS_FILE).exists():
        return None
    async with open_reports(settings) as reports:
        return await reports.alarms(limit=LISTED_MAX)


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


async def _metrics(settings: Settings) -> tuple[bool | None, str]:
    if settings.metrics.listen is None:
        return None, "off"
    url = f"{settings.metrics.listen.url}/metrics"
    if not await _runs(settings):
        return None, f"will be at {url}"
    try:
        async with httpx.AsyncClient(timeout=LOOK_S, trust_env=False) as http:
            answer = await http.get(url)
    except httpx.TransportError:
        return False, f"do not answer at {url}; set COBOT_METER_METRICS_LISTEN to a free address"
    return answer.status_code == httpx.codes.OK, f"at {url}"


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
        found = [(one.name, await one.account()) for one in upstream.account_holders()]
    left = [account.left_pusd for _, account in found]
    well = all(one is None or one > settings.upstream.reserve_pusd for one in left)
    return well, "\n".join(f"{name}: {account_words(account)}" for name, account in found)


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
