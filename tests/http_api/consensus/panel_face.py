"""A face whose upstream has four models, each with an answer of its own to one review."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.retention import Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import FREE_MODEL, Completes, Outcome, fake_model
from tests.http_api.face_rig import FaceRig, open_face

PANEL = ["anthropic/one", "google/two", "openai/three"]
FOURTH = "qwen/four"
COSTS = ["0.0002", "0.00010000001", "0.0003"]
CODE = "def f(count, limit):\n    if count < limit:\n        return count / 0\n"
DIVIDES = {"file": "a.py", "line_start": 3, "severity": "critical", "claim": "Division by zero."}
RACES = {"file": "a.py", "line_start": 2, "severity": "high", "claim": "Two callers race past it."}


def answer_of(*findings: object, cost: str = "0.0001") -> Completes:
    """A member that answers with these findings."""
    return Completes(cost=cost, answer=orjson.dumps(list(findings)).decode())


def panel_upstream(*outcomes: Outcome) -> FakeUpstream:
    """Four models at round prices; the first three answer so, or all three alike."""
    upstream = FakeUpstream()
    price = ModelPrice(prompt_pusd=1_500_000, completion_pusd=6_000_000)
    upstream.offered = (*(fake_model(name, price=price) for name in (*PANEL, FOURTH)), FREE_MODEL)
    told = outcomes or (
        answer_of(DIVIDES, cost=COSTS[0]),
        answer_of(DIVIDES, RACES, cost=COSTS[1]),
        answer_of(DIVIDES, cost=COSTS[2]),
    )
    upstream.by_model = dict(zip(PANEL, told, strict=False))
    return upstream


@contextlib.asynccontextmanager
async def panel_face(
    folder: Path, *outcomes: Outcome, panel: str = ",".join(PANEL)
) -> AsyncIterator[FaceRig]:
    """The face; its own panel is the first three, unless the setting says otherwise."""
    upstream = panel_upstream(*outcomes)
    async with open_face(folder, upstream=upstream, PANEL_MODELS=panel) as rig:
        yield rig


def review(*, panel: list[Any] | None = None, kind: str = ":review", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A request for a consensus, of the operator's panel where none is named."""
    hints = {} if panel is None else {"cobot": {"panel": panel}}
    return {
        "model": f"cobot/consensus{kind}",
        "messages": [{"role": "user", "content": CODE}],
        "max_tokens": 500,
        **hints,
        **more,
    }


def summed_pusd(*costs: str) -> int:
    """What these come to."""
    return sum(pusd_from_text(cost) for cost in costs)


async def audited(rig: FaceRig) -> list[str]:
    """What an audit finds in the books."""
    audit = AuditLedger(
        reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
    )
    return [f"{finding.code}: {finding.message}" for finding in (await audit.audit()).findings]
