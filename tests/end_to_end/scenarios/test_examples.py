"""Every example, at one service: what it says is in the books, and can be decided again from them.

One caller plays them all; each test leaves books that balance, with every receipt in them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from cobot_meter.domain.budgets.depletion import DepletionPlan
from cobot_meter.domain.consensus.findings import read_findings
from cobot_meter.domain.consensus.panel import read_panel
from cobot_meter.domain.consensus.report import review
from cobot_meter.domain.consensus.wording import review_json
from cobot_meter.domain.routing.decide import OF_BUDGET
from cobot_meter.domain.routing.recheck import route_fault
from cobot_meter.domain.routing.stored import read_stored
from cobot_meter.http_api.chat.request import parse_chat_request
from cobot_meter.http_api.route_view import decision_document
from cobot_meter.wiring.opening.detector import look_of
from deploy.scenarios.books import read_scenario_books
from deploy.scenarios.review_answers import ANY
from deploy.scenarios.stage import open_stage
from deploy.scenarios.tour import SCENARIOS
from examples import budget_aware, model_benchmarks, private_requests, smart_routing
from examples.caller import run
from examples.graceful_degradation import CHAIN
from examples.multi_model_consensus import CHANGE, PANEL
from tests.architecture.source_tree import ROOT
from tests.end_to_end.live import free_port
from tests.end_to_end.scenarios.examples_rig import Played, WatchedCaller, scenario_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("examples")]
AT_ONCE = {"SIMULATOR_LAG_S": "0", "SIMULATOR_LATENCY_S": "0"}
MSAT = 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    """One service for all, on a simulator that does not dawdle."""
    async with open_stage(tmp_path_factory.mktemp("stage"), **AT_ONCE) as stage:
        one = Played(stage, tmp_path_factory.mktemp("asked"))
        try:
            yield one
        finally:
            one.caller.close()


async def prove_sold(played: Played, caller: WatchedCaller) -> None:
    """Each receipt is a stored sale's price, their sum the revenue, and the audit is content."""
    assert caller.receipts
    for receipt in caller.receipts:
        for generation_id in receipt.generation_ids:
            sale = await played.sale(generation_id)
            assert sale.price_msat == receipt.price_msat > 0
    books = await read_scenario_books(played.stage, caller)
    assert books.receipts_msat == books.revenue_msat
    assert books.balanced


def asked(model: str, text: str, tokens: int, **hints: object) -> dict[str, object]:
    """A request as an example makes it."""
    said = {"role": "user", "content": text}
    body: dict[str, object] = {"model": model, "max_tokens": tokens, "messages": [said]}
    return {**body, "cobot": hints} if hints else body


async def test_cobot_pays_cobot(played: Played) -> None:
    """The price of the 402 is the price of the receipt, and what is paid beyond it is credit."""
    caller = await played.play("cobot_pays_cobot")
    (cobot,) = caller.cobots
    assert caller.said("402") == [f"{cobot['cost']['price_msat']:,} msat, in escrow"]
    assert cobot["paid_msat"] - cobot["credited_msat"] == cobot["cost"]["price_msat"]
    await prove_sold(played, caller)


async def test_smart_routing(played: Played) -> None:
    """Three tiers; each decision is stored, makes itself again, and is what explain-route says."""
    caller = await played.play("smart_routing")
    assert [one["route"]["tier"] for one in caller.cobots] == ["cheap", "middle", "premium"]
    for cobot, (question, task) in zip(caller.cobots, smart_routing.ASKS, strict=True):
        sale = await played.sale(cobot["cost"]["generation_id"])
        assert route_fault(str(sale.route), asked_model=sale.quote.model) == ""
        assert cobot["route"] == decision_document(read_stored(str(sale.route)).decision)
        hints = {"task": task} if task else {}
        explained = await played.explained(asked("cobot/auto", question, 120, **hints))
        for name in ("model", "task", "task_source", "tier", "table", "reasons"):
            assert explained[name] == cobot["route"][name]
    await prove_sold(played, caller)


async def test_graceful_degradation(played: Played) -> None:
    """Three runs are stored in the chain's order, and the one that answered is paid for."""
    caller = await played.play("graceful_degradation")
    (cobot,) = caller.cobots
    assert cobot["model"] == CHAIN[-1]
    assert cobot["fallback"]["asked_model"] == CHAIN[0]
    told = [words.split(": ")[0] for words in caller.said("attempt")]
    assert told == list(CHAIN)
    runs = await played.stage.running.service.parts.books.runs_of(cobot["escrow_id"])
    assert [one.state.value for one in runs] == ["failed", "failed", "costed"]
    assert runs[-1].generation_id == cobot["cost"]["generation_id"]
    await prove_sold(played, caller)


async def test_multi_model_consensus(played: Played) -> None:
    """One sale of three runs; the report says what is stored, and comes out of it again."""
    caller = await played.play("multi_model_consensus")
    (cobot,) = caller.cobots
    report = cobot["consensus"]
    assert report["members"] == list(PANEL)
    assert [one["said_by"] for one in report["agreed"]] == [list(PANEL)]
    assert [(one["severity"], one["said_by"]) for one in report["unique"]] == [
        ("critical", [PANEL[1]])
    ]
    assert len(caller.receipts[-1].generation_ids) == len(PANEL)
    books = played.stage.running.service.parts.books
    sale = await books.escrow(cobot["escrow_id"])
    assert sale is not None
    assert sale.price_msat == caller.receipts[-1].price_msat
    assert [one.model for one in read_panel(sale.route).members] == list(PANEL)
    body = asked("cobot/consensus:review", CHANGE, 400, panel=list(PANEL))
    assert (await played.explained(body))["panel"] == list(PANEL)
    assert [one["model"] for one in cobot["panel"]["members"]] == list(PANEL)
    runs = await books.runs_of(sale.escrow_id)
    assert [run.generation_id for run in runs] == list(caller.receipts[-1].generation_ids)
    given = scenario_of("multi_model_consensus").answers
    answers = [read_findings(model, given[model][ANY]) for model in PANEL]
    assert report == {**review_json(review(answers, CHANGE)), "failed": []}
    await prove_sold(played, caller)


async def test_budget_aware(played: Played) -> None:
    """Premium, then middle, then cheap, then a refusal; each tier follows from what was left."""
    caller = await played.play("budget_aware")
    tiers = [one["route"]["tier"] for one in caller.cobots]
    assert tiers == ["premium"] * 3 + ["middle"] * 2 + ["cheap"]
    left_msat = budget_aware.DAY_SAT * MSAT
    for cobot in caller.cobots:
        sale = await played.sale(cobot["cost"]["generation_id"])
        decision = read_stored(str(sale.route)).decision
        assert route_fault(str(sale.route), asked_model=sale.quote.model) == ""
        share = 100 * left_msat / (budget_aware.DAY_SAT * MSAT)
        plan = DepletionPlan()
        barred = {one.tier.word for one in decision.considered if one.barred == OF_BUDGET}
        assert ("premium" in barred) == (share <= plan.premium_above)
        assert ("middle" in barred) == (share <= plan.middle_above)
        assert (OF_BUDGET in cobot["route"]["reasons"]) == bool(barred)
        left_msat -= cobot["cost"]["price_msat"]
        assert cobot["budget"][0]["left_msat"] == left_msat
    (refused,) = caller.said("refused")
    assert re.search(r"402: .* max_tokens \d+ would fit; it begins anew at .*T00:00:00\+0", refused)
    first = asked("cobot/auto:reasoning", "Prove it.", budget_aware.TOKENS[0])
    assert (await played.explained(first))["tier"] == "premium"
    await prove_sold(played, caller)


async def test_private_requests(played: Played) -> None:
    """The tier is what detector and declaration make of the request, and its run was sent there."""
    caller = await played.play("private_requests")
    look = look_of(scans=True, monotonic_ms=lambda: 0)
    before = len(played.stage.ollama.requests)
    for cobot, (question, tier) in zip(caller.cobots, private_requests.ASKS, strict=True):
        hints = {"privacy": tier} if tier else {}
        body = asked("cobot/auto:factual", question, 60, **hints)
        found = parse_chat_request(orjson.dumps(body), look=look).completion.privacy
        told = cobot.get("privacy", {"tier": "public", "declared": False, "signals": []})
        assert (told["tier"], tuple(told["signals"])) == (found.tier, found.signals)
        sale = await played.sale(cobot["cost"]["generation_id"])
        assert (sale.run.upstream == "ollama") == (found.tier == "local")
        explained = await played.explained(body)
        assert explained["model"] == cobot["model"]
        assert explained.get("privacy", {"tier": "public"})["tier"] == told["tier"]
    assert before == len(played.stage.ollama.requests) >= 2
    await prove_sold(played, caller)


@pytest.mark.slow  # the benchmark is a process of its own
async def test_model_benchmarks(played: Played) -> None:
    """Every item is a sale of its own, and each model has its share with an interval."""
    caller = await played.play("model_benchmarks")
    count = len(model_benchmarks.MODELS) * model_benchmarks.ITEMS
    assert caller.said("receipts")[0].startswith(f"{count}, ")
    worse, better = model_benchmarks.MODELS
    assert caller.said("measured") == [
        f"{worse}: 6 of 10 right (31.2 % to 83.1 %)",
        f"{better}: 9 of 10 right (59.5 % to 98.2 %)",
    ]
    await prove_sold(played, caller)


async def test_every_example_is_played_by_the_tour_and_named_where_it_is_looked_for() -> None:
    """A file for each scenario; README and examples/README.md lead to each of them."""
    files = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"__init__", "caller"}
    assert {one.play.__name__ for one in SCENARIOS} == files
    for document in ("README.md", "examples/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert all(f"{name}.py" in text for name in files), document


async def test_without_a_service_an_example_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what it exits with says so too."""
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr("sys.argv", ["smart_routing", url])
    with pytest.raises(SystemExit, match=f"^Nobody answers at {url}; `make serve` starts"):
        run(smart_routing.smart_routing)
