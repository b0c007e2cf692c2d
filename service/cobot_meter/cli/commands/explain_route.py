"""`explain-route`: who would answer a request, and why. Asks nobody."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cobot_meter.cli.commands.ledger import AsJson
from cobot_meter.cli.tables.balances import plain_table
from cobot_meter.cli.terminal import Terminal, terminal_of
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.money import ExchangeRate, usd_text
from cobot_meter.domain.privacy.faults import NobodyHere
from cobot_meter.domain.privacy.tiers import Privacy
from cobot_meter.domain.routing.decide import Considered, Decision, decide
from cobot_meter.domain.routing.hints import Hints, PrivacyTier
from cobot_meter.domain.routing.table import PPM
from cobot_meter.domain.routing.virtual import declared_task
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.offer.route_request import candidates, facts_of, refuse_virtual_others
from cobot_meter.http_api.chat.request import parse_chat_request
from cobot_meter.http_api.route_view import decision_document
from cobot_meter.wiring.opening.detector import look_of
from cobot_meter.wiring.opening.routing_table import routing_table
from cobot_meter.wiring.settings.settings import Settings

# Of a cap in USD, and of none, a rate decides nothing.
_ANY_RATE_USD_MICRO = 10**11
_OF_PPM = PPM // 1_000

Request = Annotated[Path, typer.Argument(help="A file with the request as JSON, hints in it.")]


def explain_route(context: typer.Context, file: Request, as_json: AsJson = False) -> None:
    """Say who would answer a request to cobot/auto or a private one, and why, from settings alone.

    The prices are those of the routing table, and no session or budget is known: a running service
    decides with the prices it has. Exit codes: 0 decided, 1 nobody could answer, or the request is
    wrong, 2 usage or settings, 3 the file cannot be read, 4 broken.
    """
    terminal = terminal_of(context)
    settings = terminal.settings()
    request = _read(file.read_bytes(), settings)
    if request.asks_panel:
        _print_panel(terminal, request, settings, as_json=as_json)
        return
    if request.privacy.tier is PrivacyTier.LOCAL:
        _print_private(terminal, request.privacy, settings, as_json=as_json)
        return
    decision = _decided(request, settings)
    if as_json:
        terminal.write_json({**decision_document(decision), "chain": decision.choice.chain})
    else:
        _print(terminal, decision)


def _read(content: bytes, settings: Settings) -> CompletionRequest:
    scans = settings.upstream.privacy.scans
    look = look_of(scans=scans, monotonic_ms=lambda: time.monotonic_ns() // 1_000_000)
    return parse_chat_request(content, look=look).completion


def _print_private(
    terminal: Terminal, privacy: Privacy, settings: Settings, *, as_json: bool
) -> None:
    """The model of this machine, whatever model was named. Raises NobodyHere without one."""
    model = settings.upstream.privacy.models.local
    if not model:
        raise NobodyHere(privacy, why="it has none that may")
    if as_json:
        told = {"tier": privacy.tier, "reason": privacy.reason, "signals": privacy.signals}
        terminal.write_json({"model": model, "chain": [model], "privacy": told})
    else:
        terminal.out.print(f"{model} answers: {privacy.reason}", soft_wrap=True)


def _print_panel(
    terminal: Terminal, request: CompletionRequest, settings: Settings, *, as_json: bool
) -> None:
    """Who is on the panel, and who named it. Raises RequestInvalid where nobody has, NobodyHere."""
    named = request.hints.panel
    members = named or settings.upstream.panel_models
    if not members:
        message = "This service has no panel of its own: name the models in cobot.panel."
        raise RequestInvalid(message, param="cobot.panel")
    here = {one.model_id for one in settings.upstream.local.models if one.on_this_machine}
    elsewhere = next((model for model in members if model not in here), "")
    if elsewhere and request.privacy.tier is PrivacyTier.LOCAL:
        raise NobodyHere(request.privacy, why=f"{elsewhere} is on the panel")
    named_by = "the request" if named else "the settings"
    if as_json:
        terminal.write_json({"model": request.model, "panel": members, "named_by": named_by})
    else:
        said = f"{', '.join(members)} answer together: the panel of {named_by}"
        terminal.out.print(said, soft_wrap=True)


def _decided(request: CompletionRequest, settings: Settings) -> Decision:
    refuse_virtual_others(request)
    table = routing_table(settings.routing_table)
    offered = settings.upstream.models
    listed = {name: model for name, model in table.listed.items() if not offered or name in offered}
    return decide(
        facts_of(request),
        request.hints,
        table.successes,
        candidates(
            request,
            table.successes,
            listed,
            rate=_rate(request.hints, settings),
            terms=settings.prices,
        ),
        declared=declared_task(request.model, request.hints),
    )


def _rate(hints: Hints, settings: Settings) -> ExchangeRate:
    """The rate of the settings. Raises RequestInvalid where only services could tell it."""
    told = settings.rate.static_usd_micro_per_btc
    if told is None and hints.max_cost is not None and hints.max_cost.msat is not None:
        message = (
            "What a cap in msat admits hangs on the exchange rate, and nobody is asked for it here;"
            " say max_cost in USD, or set COBOT_METER_RATE_USD_PER_BTC."
        )
        raise RequestInvalid(message, param="cobot.max_cost")
    return ExchangeRate(
        usd_micro_per_btc=told or _ANY_RATE_USD_MICRO, source="settings", fetched_at_ms=0
    )


def _print(terminal: Terminal, decision: Decision) -> None:
    out, bounds = terminal.out, decision.bounds
    chain = decision.choice.chain
    out.print(f"{decision.model} answers: {decision.choice.tier.word}", soft_wrap=True)
    out.print(f"task {decision.task} ({decision.task_source}), table {decision.table}")
    out.print(f"because: {', '.join(decision.reasons) or 'nothing else was said'}", soft_wrap=True)
    if len(chain) > 1:
        out.print(f"if it fails: {', '.join(chain[1:])}", soft_wrap=True)
    out.print(f"demanded at the task: {_share(bounds.bar_ppm)} of successes, at the lower bound")
    table = plain_table()
    for column in ("model", "tier", "lower bound", "at most", "barred by"):
        table.add_column(column)
    for one in sorted(decision.considered, key=lambda one: (bool(one.barred), one.ceiling_pusd)):
        table.add_row(*_row(one))
    terminal.print_rows(table)


def _row(one: Considered) -> tuple[str, ...]:
    most = f"${usd_text(one.ceiling_pusd)}" if one.ceiling_pusd else "-"
    return (one.model_id, one.tier.word, _share(one.lower_ppm), most, one.barred or "-")


def _share(ppm: int) -> str:
    tenths = ppm // _OF_PPM
    return f"{tenths // 10}.{tenths % 10} %"
