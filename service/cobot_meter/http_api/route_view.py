"""Who was asked and why, as callers read it beside what it cost.

Must not know: headers, or how a decision is made.
"""

from __future__ import annotations

from typing import Any

from cobot_meter.domain.consensus.panel import Panel, read_panel
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.money import BASIS_POINTS, usd_text
from cobot_meter.domain.pricing.prices import charged_pusd, unit_price_pusd
from cobot_meter.domain.routing.decide import Decision
from cobot_meter.domain.routing.stored import StoredRoute, read_stored
from cobot_meter.domain.run.record import Run

ALTERNATIVES_MAX = 3


def route_members(escrow: Escrow) -> dict[str, Any]:
    """`route`, and `baseline` once it has run; nothing for a request that named its model."""
    if escrow.route is None:
        return {}
    if escrow.mode is Mode.PANEL:
        return panel_members(escrow.route)
    stored = read_stored(escrow.route)
    members: dict[str, Any] = {"route": decision_document(stored.decision)}
    baseline = _baseline(escrow, stored)
    return members if baseline is None else {**members, "baseline": baseline}


def run_route_members(run: Run) -> dict[str, Any]:
    """`route` of a run of a task whose model was chosen for it; nothing for any other."""
    if run.instead is None or run.instead.route is None:
        return {}
    return {"route": decision_document(read_stored(run.instead.route).decision)}


def panel_members(route: str) -> dict[str, Any]:
    """`panel`: who was asked and for what; and `route` where a decision named them."""
    panel = read_panel(route)
    members: dict[str, Any] = {"panel": panel_document(panel)}
    if panel.decision:
        members["route"] = decision_document(read_stored(panel.decision).decision)
    return members


def panel_document(panel: Panel) -> dict[str, Any]:
    """The members, each with what it may cost at most; all before our fee."""
    return {
        "kind": panel.kind.value,
        "members": [
            {"model": one.model, "max_cost_usd": usd_text(one.most_pusd)} for one in panel.members
        ],
    }


def decision_document(decision: Decision) -> dict[str, Any]:
    """The decision, and who else could have answered at what cost at most."""
    return {
        "task": decision.task.value,
        "task_source": decision.task_source,
        "tier": decision.choice.tier.word,
        "model": decision.model,
        "table": decision.table,
        "reasons": list(decision.reasons),
        "alternatives": [
            {"model": one.model_id, "max_cost_usd": usd_text(one.ceiling_pusd)}
            for one in sorted(decision.considered, key=lambda one: one.ceiling_pusd)
            if not one.barred and one.model_id != decision.model
        ][:ALTERNATIVES_MAX],
    }


def _baseline(escrow: Escrow, stored: StoredRoute) -> dict[str, Any] | None:
    """What the best model would have charged for as many tokens: an estimate, and called one.

    Another model writes another number of tokens, and a fallback has made the saving smaller.
    """
    price, summary = stored.baseline_price, escrow.run.summary
    if price is None or summary is None or not escrow.price_msat:
        return None
    cost_pusd = (
        price.request_pusd
        + summary.prompt_tokens * price.prompt_pusd
        + summary.completion_tokens * price.completion_pusd
    )
    base_pusd = unit_price_pusd(cost_pusd, escrow.quote.terms)
    if not base_pusd:
        return None
    saved_pusd = base_pusd - charged_pusd(escrow.price_msat, escrow.quote.rate)
    return {
        "model": stored.decision.baseline,
        "usd": usd_text(base_pusd),
        "saving": _share_text(saved_pusd * BASIS_POINTS // base_pusd),
        "kind": "estimate",
    }


def _share_text(bps: int) -> str:
    sign, (whole, rest) = "-" if bps < 0 else "", divmod(abs(bps), BASIS_POINTS)
    return f"{sign}{whole}.{rest:04d}"
