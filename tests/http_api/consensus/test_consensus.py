"""A consensus is asked, sold, explained and refused as any other completion."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from cobot_meter.domain.consensus.panel import CONSENSUS_NAMES, INSTRUCTIONS
from cobot_meter.domain.errors import BodyKeysUnusable
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.money import msat_from_pusd, usd_text
from cobot_meter.domain.pricing.prices import PriceTerms, charged_pusd
from tests.fakes.upstream_outcomes import Completes, Failed, Outcome, Refused, Unknown, Unreachable
from tests.http_api.consensus.panel_face import (
    COSTS,
    DIVIDES,
    FOURTH,
    PANEL,
    answer_of,
    audited,
    panel_face,
    review,
    summed_pusd,
)
from tests.http_api.face_rig import FaceRig, ask_of

TERMS = PriceTerms()


def price_msat(rig: FaceRig, cost_pusd: int) -> int:
    """One rounding of a cost with both fees."""
    return msat_from_pusd(cost_pusd, rig.last.quote.rate, TERMS.credit_fee_bps, TERMS.markup_bps)


async def test_one_invoice_with_a_receipt_for_each_and_one_rounding_of_the_sum(
    tmp_path: Path,
) -> None:
    """The 402 says who was asked and what each cost; the answer is the report in both forms."""
    async with panel_face(tmp_path) as rig:
        asked = await rig.ask(review())
        assert asked.status == 402, asked.body
        receipts = asked.json()["cobot"]["attempts"]
        assert [one["model"] for one in receipts] == PANEL
        assert [one["cost_usd"] for one in receipts] == [usd_text(summed_pusd(c)) for c in COSTS]
        assert all(one["billed"] and one["generation_id"] for one in receipts)
        assert {one["status"] for one in receipts} == {"ok"}
        cost_pusd = summed_pusd(*COSTS)
        price = price_msat(rig, cost_pusd)
        assert rig.last.price_msat == price
        assert price <= rig.last.quote.ceiling_msat
        token = await rig.pay(asked)
        bought = (await rig.ask(review(), token=token)).json()
        assert bought["model"] == "cobot/consensus:review"
        told, said = bought["cobot"], bought["choices"][0]["message"]["content"]
        assert told["attempts"] == receipts
        assert told["cost"]["upstream_usd"] == usd_text(cost_pusd)
        assert (told["cost"]["price_msat"], told["cost"]["runs"]) == (price, 3)
        report = told["consensus"]
        assert report["members"] == PANEL
        assert [one["said_by"] for one in report["agreed"]] == [PANEL]
        assert [one["said_by"] for one in report["unique"]] == [[PANEL[1]]]
        assert report["failed"] == []
        assert "Agreed by all" in said
        assert "Two callers race past it." in said
        assert bought["usage"]["total_tokens"] == 63
        for receipt in receipts:
            named = f"/v1/generation?id={receipt['generation_id']}"
            record = (await rig.get(named, token=token)).json()["data"]
            assert record["model"] == receipt["model"]
            alone = price_msat(rig, summed_pusd(receipt["cost_usd"]))
            assert record["total_cost"] == float(usd_text(charged_pusd(alone, rig.last.quote.rate)))
        assert rig.upstream.spent_pusd == cost_pusd
        assert await audited(rig) == []


async def test_the_members_are_asked_at_once_and_told_what_to_answer(tmp_path: Path) -> None:
    """All three are on their way before one has answered; each reads the same, ours added."""
    gate = asyncio.Event()
    outcomes = [Completes(answer="[]", gate=gate) for _ in PANEL]
    async with panel_face(tmp_path, *outcomes) as rig:
        asked = asyncio.create_task(rig.ask(review()))
        async with asyncio.timeout(5):
            while rig.upstream.posts < len(PANEL):  # noqa: ASYNC110
                await asyncio.sleep(0)
        gate.set()
        assert (await asked).status == 402
        bodies = [orjson.loads(run.body) for run in rig.upstream.runs]
        assert sorted(run.call.model for run in rig.upstream.runs) == PANEL
        for body in bodies:
            assert body["messages"][-1]["content"] in INSTRUCTIONS.values()
            assert "cobot" not in body


async def test_a_verdict_counts_short_answers(tmp_path: Path) -> None:
    """Votes, margin and disagreement, and each whole answer."""
    outcomes = [
        Completes(answer="It settles.\nThe answer is yes."),
        Completes(answer="The answer is Yes"),
        Completes(answer="The answer is no."),
    ]
    async with panel_face(tmp_path, *outcomes) as rig:
        bought, _ = await rig.buy(review(kind=":verdict"))
        report = bought.json()["cobot"]["consensus"]
        assert (report["verdict"], report["margin"], report["disagreement"]) == ("yes", 1, True)
        assert [vote["verdict"] for vote in report["votes"]] == ["yes", "yes", "no"]
        assert bought.json()["choices"][0]["message"]["content"].startswith("**yes** (2 of 3")


FAULTS: list[Outcome] = [
    Refused(status=429),
    Refused(status=402),
    Unreachable(),
    Failed(cost="0.00005", says_cost=True),
    Failed(),
    Unknown(announced=False),
    Unknown(words=1),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", [0, 2])
async def test_a_member_that_fails_is_named_and_not_billed(
    tmp_path: Path, fault: Outcome, place: int
) -> None:
    """Two of three still answer, and the price is theirs alone; the books balance."""
    outcomes: list[Outcome] = [answer_of(DIVIDES, cost="0.0002") for _ in PANEL]
    outcomes[place] = fault
    async with panel_face(tmp_path, *outcomes) as rig:
        bought, _ = await rig.buy(review())
        told = bought.json()["cobot"]
        assert rig.last.price_msat == price_msat(rig, summed_pusd("0.0002", "0.0002"))
        assert [one["billed"] for one in told["attempts"]] == [at != place for at in range(3)]
        assert told["attempts"][place]["status"] not in {"ok", "requested"}
        (failed,) = told["consensus"]["failed"]
        assert failed["model"] == PANEL[place]
        assert PANEL[place] in bought.json()["choices"][0]["message"]["content"]
        assert PANEL[place] not in told["consensus"]["members"]
        assert await audited(rig) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_answer_is_no_consensus_and_nothing_is_billed(
    tmp_path: Path, fault: Outcome
) -> None:
    """The sale fails as a completion does: the same again at once is the same failure."""
    async with panel_face(tmp_path, answer_of(DIVIDES), fault, fault) as rig:
        asked = await rig.ask(review())
        assert asked.status in {429, 502, 503, 504}, asked.body
        assert "1 answered" in asked.error["message"]
        assert rig.last.state is EscrowState.FAILED
        assert (rig.last.price_msat, rig.last.invoice) == (0, None)
        posts = rig.upstream.posts
        assert (await rig.ask(review())).status == asked.status
        assert rig.upstream.posts == posts
        assert await audited(rig) == []


BAD = [
    ({"panel": [PANEL[0], "no/such"]}, "cobot.panel", "no/such"),
    ({"panel": [PANEL[0], PANEL[0]]}, "cobot.panel", "twice"),
    ({"panel": [PANEL[0]]}, "cobot.panel", "2 to 8"),
    ({"panel": [f"a/{at}" for at in range(9)]}, "cobot.panel", "2 to 8"),
    ({"panel": [PANEL[0], "cobot/auto"]}, "cobot.panel", "cobot/auto"),
    ({"panel": [PANEL[0], "cobot/private"]}, "cobot.panel", "cobot/private"),
    ({"panel": [PANEL[0], 7]}, "cobot.panel", "model ids"),
    ({"panel": "a/b"}, "cobot.panel", "list"),
    ({"panel": PANEL, "model": PANEL[0]}, "cobot.panel", "cobot/consensus"),
    ({"kind": ":votes"}, "model", "cobot/consensus:verdict"),
    ({"kind": "s"}, "model", "not offered"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "leave it out"),
    ({"models": [FOURTH]}, "models", "cobot.panel"),
    ({"response_format": {"type": "json_object"}}, "response_format", "leave it out"),
    ({"plugins": [{"id": "web"}]}, "plugins", ""),
]


@pytest.mark.parametrize(("fields", "param", "says"), BAD)
async def test_bad_input_gets_one_sentence_and_nothing_is_sent(
    tmp_path: Path, fields: dict[str, Any], param: str, says: str
) -> None:
    """400 and what to do; no row, no run, no reservation."""
    async with panel_face(tmp_path) as rig:
        reply = await rig.ask(review(**fields))
        wanted = 404 if fields.get("kind") == "s" else 400
        assert (reply.status, reply.error["param"]) == (wanted, param), reply.body
        assert says in reply.error["message"]
        assert rig.upstream.posts == 0
        assert rig.escrows == []


async def test_a_panel_above_the_callers_most_is_refused(tmp_path: Path) -> None:
    """With what would fit, as of any other request."""
    async with panel_face(tmp_path) as rig:
        low = await rig.ask(review(), headers={"X-Cobot-Max-Cost": "1 msat"})
        assert low.status == 400, low.body
        assert "X-Cobot-Max-Cost allows" in low.error["message"]
        one = await rig.ask({**ask_of("x"), "model": PANEL[0], "max_tokens": 500})
        alone_msat = rig.last.quote.ceiling_msat
        assert one.status == 402
        await rig.ask(review())
        assert rig.last.quote.ceiling_msat > 2 * alone_msat
        assert rig.last.quote.ceiling_pusd == sum(run.most_pusd or 0 for run in rig.last.runs)


async def test_what_must_stay_here_reaches_no_member(tmp_path: Path) -> None:
    """422 before anything is sent, declared or not; `zdr` sends its flags to each."""
    async with panel_face(tmp_path) as rig:
        local = await rig.ask(review(), headers={"X-Cobot-Privacy": "local"})
        assert (local.status, local.error["code"]) == (422, "privacy_unroutable")
        assert rig.upstream.posts == 0
        assert (await rig.ask(review(), headers={"X-Cobot-Privacy": "zdr"})).status == 402
        flags = [orjson.loads(run.body)["provider"] for run in rig.upstream.runs]
        assert flags == [{"zdr": True, "data_collection": "deny"}] * 3


async def test_a_key_pays_from_credit_and_reads_a_replay(tmp_path: Path) -> None:
    """The sum of the ceilings is reserved, the price captured; a stream is the report at once."""
    async with panel_face(tmp_path) as rig:
        key, proof = await rig.key(1_000)
        token = f"Bearer {key}"
        streamed = await rig.ask(
            review(stream=True, stream_options={"include_usage": True}), token=token
        )
        assert streamed.status == 200, streamed.body
        events = [
            orjson.loads(line[6:])
            for line in streamed.body.split(b"\n\n")
            if line.startswith(b"data: {")
        ]
        said = "".join(
            choice["delta"].get("content", "") for one in events for choice in one["choices"]
        )
        assert "Agreed by all" in said
        told = events[-1]["cobot"]
        assert told["consensus"]["members"] == PANEL
        assert told["mode"] == "panel"
        left = (await rig.get("/v1/credits", token=proof)).json()["cobot"]["available_msat"]
        assert left == 1_000_000 - price_msat(rig, summed_pusd(*COSTS))
        posts = rig.upstream.posts
        again = await rig.ask(review(), token=token, headers={"Idempotency-Key": "k"})
        assert again.status == 200
        assert rig.upstream.posts == posts + 3
        repeated = await rig.ask(review(), token=token, headers={"Idempotency-Key": "k"})
        assert repeated.json()["id"] == again.json()["id"]
        assert rig.upstream.posts == posts + 3
        assert await audited(rig) == []


async def test_budgets_and_credit_bound_the_sum_of_the_ceilings(tmp_path: Path) -> None:
    """Too little of either is a 402 before anybody is asked; a member's budget counts the whole."""
    async with panel_face(tmp_path) as rig:
        poor, _ = await rig.key(100)
        short = await rig.ask(review(max_tokens=16_000), token=f"Bearer {poor}")
        assert (short.status, short.error["code"]) == (402, "insufficient_credits")
        key, proof = await rig.key(50_000)
        quoted = (await rig.send("POST", "/v1/quotes", review())).json()["ceiling"]["msat"]
        day = {"scope": "model", "model": PANEL[2], "period": "day"}
        for limit_msat, status in ((quoted - 1, 402), (quoted, 200)):
            budgets = {"budgets": [{**day, "amount_msat": limit_msat}]}
            told = await rig.send("PUT", "/v1/budgets", budgets, token=proof)
            assert told.status == 200, told.body
            asked = await rig.ask(review(), token=f"Bearer {key}")
            assert asked.status == status, asked.body
            assert rig.upstream.posts == (3 if status == 200 else 0)
        (stands,) = (await rig.get("/v1/budgets", token=proof)).json()["data"]
        assert (stands["spent_msat"], stands["reserved_msat"]) == (rig.last.price_msat, 0)
        assert await audited(rig) == []


async def test_a_quote_binds_the_panel(tmp_path: Path) -> None:
    """It says who is on it and the ceiling; asked with it, the members are those of then."""
    async with panel_face(tmp_path) as rig:
        quoted = (await rig.send("POST", "/v1/quotes", review())).json()
        assert [one["model"] for one in quoted["panel"]["members"]] == PANEL
        assert [one["model"] for one in quoted["models"]] == PANEL
        rig.service.flows.route_request.quote_panel._default = (FOURTH, PANEL[0])
        asked = await rig.ask(review(), headers={"X-Cobot-Quote": quoted["quote"]})
        assert asked.status == 402, asked.body
        assert rig.last.quote.ceiling_msat == quoted["ceiling"]["msat"]
        assert [one["model"] for one in asked.json()["cobot"]["panel"]["members"]] == PANEL
        other = await rig.ask(review(panel=PANEL[:2]), headers={"X-Cobot-Quote": quoted["quote"]})
        assert (other.status, other.error["param"]) == (400, "X-Cobot-Quote")


async def test_another_panel_is_another_request(tmp_path: Path) -> None:
    """The same question to others is asked anew, and to the same it is one sale."""
    async with panel_face(tmp_path) as rig:
        first = await rig.ask(review(panel=PANEL))
        again = await rig.ask(review(panel=PANEL))
        assert first.json()["invoice"] == again.json()["invoice"]
        other = await rig.ask(review(panel=[PANEL[0], FOURTH]))
        assert other.status == 402
        assert other.json()["invoice"] != first.json()["invoice"]
        assert len(rig.escrows) == 2


async def test_the_names_are_listed_at_what_the_panel_charges_together(tmp_path: Path) -> None:
    """The sum of its members for each token; without a panel that is offered there is none."""
    async with panel_face(tmp_path) as rig:
        rows = {row["id"]: row for row in (await rig.get("/v1/models")).json()["data"]}
        assert set(CONSENSUS_NAMES) <= rows.keys()
        for price in ("prompt", "completion"):
            one = float(rows[PANEL[0]]["pricing"][price])
            assert float(rows["cobot/consensus"]["pricing"][price]) == pytest.approx(3 * one)
        assert (await rig.get("/v1/models/cobot/consensus:review")).status == 200
    async with panel_face(tmp_path / "none", panel="none") as rig:
        ids = {row["id"] for row in (await rig.get("/v1/models")).json()["data"]}
        assert ids.isdisjoint(CONSENSUS_NAMES)
        nobody = await rig.ask(review())
        assert (nobody.status, nobody.error["param"]) == (400, "cobot.panel")
        assert (await rig.ask(review(panel=PANEL))).status == 402


async def test_an_answer_without_a_cost_is_waited_for_and_priced_by_its_record(
    tmp_path: Path,
) -> None:
    """Late records are waited for; one that never comes is priced by what its answer said."""
    outcomes = [
        Completes(answer="[]", cost="0.0002", lookups_before_record=5),
        Completes(answer="[]", cost="0.0003", inline_cost="0.0001", lookups_before_record=100),
        Completes(answer="[]", cost="0.0001", says_cost=False),
    ]
    async with panel_face(tmp_path, *outcomes) as rig:
        asked = await rig.ask(review())
        assert asked.status == 402, asked.body
        assert rig.last.price_msat == price_msat(rig, summed_pusd("0.0002", "0.0001", "0.0001"))
        standings = [one["standing"] for one in asked.json()["cobot"]["attempts"]]
        assert standings == ["confirmed", "provisional", "confirmed"]
        assert await audited(rig) == []


async def test_models_of_this_machine_make_a_private_panel(tmp_path: Path) -> None:
    """All of them here: answered. One of them elsewhere: sent to nobody."""
    async with panel_face(tmp_path) as rig:
        here = [replace(model, on_this_machine=True) for model in rig.upstream.offered[:2]]
        rig.upstream.offered = (*here, *rig.upstream.offered[2:])
        await rig.service.flows.catalogue.refresh()
        local = {"X-Cobot-Privacy": "local"}
        mixed = await rig.ask(review(panel=PANEL), headers=local)
        assert (mixed.status, mixed.error["code"]) == (422, "privacy_unroutable")
        assert PANEL[2] in mixed.error["message"]
        assert rig.upstream.posts == 0
        assert (await rig.ask(review(panel=PANEL[:2]), headers=local)).status == 402
        assert sorted(run.call.model for run in rig.upstream.runs) == PANEL[:2]


async def test_a_key_asks_those_that_it_may(tmp_path: Path) -> None:
    """The name alone is the operator's panel; a panel of its own takes each member."""
    async with panel_face(tmp_path) as rig:
        virtual, _ = await rig.key(50_000, models=["cobot/consensus:review"])
        assert (await rig.ask(review(), token=f"Bearer {virtual}")).status == 200
        own = await rig.ask(review(panel=[PANEL[0], FOURTH]), token=f"Bearer {virtual}")
        assert own.error["code"] == "model_not_allowed"
        two, _ = await rig.key(50_000, models=PANEL[:2])
        assert (await rig.ask(review(panel=PANEL[:2]), token=f"Bearer {two}")).status == 200
        assert (await rig.ask(review(), token=f"Bearer {two}")).status == 400
        assert rig.upstream.posts == 5


async def test_a_panel_shows_where_it_stands_and_what_its_members_came_to(tmp_path: Path) -> None:
    """By its id, before and after it was paid for; a late payment buys the report all the same."""
    async with panel_face(tmp_path) as rig:
        asked = await rig.ask(review())
        status = (await rig.get(f"/v1/escrows/{rig.last.escrow_id}")).json()
        assert (status["model"], status["mode"]) == ("cobot/consensus:review", "panel")
        assert [one["model"] for one in status["attempts"]] == PANEL
        token = await rig.pay(asked)
        read = await rig.get(f"/v1/escrows/{rig.last.escrow_id}/completion", token=token)
        assert read.json()["cobot"]["consensus"]["members"] == PANEL
        assert (await rig.ask(review(), token=token)).json()["id"] == read.json()["id"]
        assert rig.upstream.posts == 3


STRANGE = [
    "\ud83d broken emoji",
    "[" * 5_000,
    '[{"claim": "' + "x" * 50_000 + '", "severity": 7, "line_start": -1e400}]',
    "\x00\u202e<script>alert(1)</script>",
    "",
]


@pytest.mark.parametrize("kind", [":review", ":verdict"])
@pytest.mark.parametrize("said", STRANGE)
async def test_whatever_a_member_says_there_is_a_report(
    tmp_path: Path, said: str, kind: str
) -> None:
    """Broken, deep, long or empty: it is kept as a text, and the report is sold as JSON."""
    outcomes = [Completes(answer=said.encode("utf-8", "replace").decode()), *_two_answers()]
    async with panel_face(tmp_path, *outcomes) as rig:
        bought, _ = await rig.buy(review(kind=kind))
        assert bought.json()["cobot"]["consensus"]["failed"] == []
        assert bought.json()["choices"][0]["message"]["content"]


def _two_answers() -> list[Completes]:
    return [Completes(answer="[]"), Completes(answer="The answer is 4.")]


async def test_without_a_report_nothing_is_sold(tmp_path: Path) -> None:
    """What cannot be sealed was not stored: the sale fails, and what it cost is ours."""
    async with panel_face(tmp_path) as rig:

        async def fails(*_: object, **__: object) -> bytes:
            raise BodyKeysUnusable("the keys are away", why="a test")

        rig.service.flows.vault.seal_completion = fails  # type: ignore[method-assign]
        asked = await rig.ask(review())
        assert (asked.status, asked.error["code"]) == (502, "outcome_unknown"), asked.body
        assert "before there was a report" in asked.error["message"]
        assert rig.last.state is EscrowState.FAILED
        assert await audited(rig) == []
