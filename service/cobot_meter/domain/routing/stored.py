"""A decision as it is stored with the sale that it led to, and read again.

It holds what the choice was made of, so that whoever has the row can make it again without the
table, the prices or the request of then. Must not know: databases, or who shows it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.routing.decide import Bounds, Choice, Considered, Decision
from cobot_meter.domain.routing.hints import Downgrade, Task
from cobot_meter.domain.routing.table import TIERS

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoute:
    """The decision, and the prices of its baseline then; None where that was not on offer."""

    decision: Decision
    baseline_price: ModelPrice | None


def stored_text(decision: Decision, baseline_price: ModelPrice | None) -> str:
    """One line of JSON in ASCII."""
    bounds, choice = decision.bounds, decision.choice
    price = baseline_price
    document = {
        "v": VERSION,
        "task": decision.task,
        "source": decision.task_source,
        "signals": decision.signals,
        "table": decision.table,
        "bar": bounds.bar_ppm,
        "cap": bounds.cap,
        "floor": bounds.floor.word if bounds.floor else None,
        "downgrade": bounds.downgrade,
        "considered": [
            [one.model_id, one.tier.word, one.lower_ppm, one.ceiling_pusd, one.barred]
            for one in decision.considered
        ],
        "chain": choice.chain,
        "tier": choice.tier.word,
        "reasons": choice.reasons,
        "baseline": decision.baseline,
        "baseline_pusd": price and [price.prompt_pusd, price.completion_pusd, price.request_pusd],
    }
    return json.dumps(document, separators=(",", ":"))


def read_stored(text: str) -> StoredRoute:
    """The decision in a row. Raises ValueError, KeyError or TypeError for what is none."""
    said: dict[str, Any] = json.loads(text)
    pusd = said["baseline_pusd"]
    decision = Decision(
        task=Task(said["task"]),
        task_source=said["source"],
        signals=tuple(said["signals"]),
        table=said["table"],
        bounds=Bounds(
            bar_ppm=said["bar"],
            cap=said["cap"],
            floor=TIERS[said["floor"]] if said["floor"] else None,
            downgrade=Downgrade(said["downgrade"]) if said["downgrade"] else None,
        ),
        considered=tuple(
            Considered(
                model_id=model_id,
                tier=TIERS[tier],
                lower_ppm=lower_ppm,
                ceiling_pusd=ceiling_pusd,
                barred=barred,
            )
            for model_id, tier, lower_ppm, ceiling_pusd, barred in said["considered"]
        ),
        baseline=said["baseline"],
        choice=Choice(
            chain=tuple(said["chain"]), tier=TIERS[said["tier"]], reasons=tuple(said["reasons"])
        ),
    )
    price = None
    if pusd is not None:
        prompt, completion, request = pusd
        price = ModelPrice(prompt_pusd=prompt, completion_pusd=completion, request_pusd=request)
    return StoredRoute(decision=decision, baseline_price=price)
