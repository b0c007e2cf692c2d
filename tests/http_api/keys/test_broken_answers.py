"""Answers that break off upstream are ours, and how much of a day's a key may have is bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cobot_meter.domain.ledger.accounts import key_losses
from cobot_meter.domain.money import PUSD_PER_USD
from cobot_meter.domain.retention import DAY_MS, Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.fakes.upstream_outcomes import COST, NEVER, Completes, Failed, Outcome, Unknown
from tests.http_api.face_rig import FaceRig, ask_of, open_face
from tests.http_api.keys.test_keys import bearer

SAT = 50_000
COST_PUSD = round(float(COST) * PUSD_PER_USD)
# Room for two answers that broke off, and not for a third.
BOUND = f"{2 * float(COST) - 1e-9:.12f}"
MANY = 12


def streamed(text: str) -> dict[str, Any]:
    """An ask for words as they come."""
    return ask_of(text, stream=True)


def lost_pusd(rig: FaceRig) -> int:
    """What stands on the account of the newest key's losses of the newest sale's day."""
    account = key_losses(str(rig.last.key_id), rig.last.quote.day)
    return rig.books.rows.ledger.of(account).net


async def looked_up(rig: FaceRig) -> None:
    """Let the upstream's record of the newest run be asked for."""
    await rig.drive(rig.last)


async def broken(rig: FaceRig, key: str, outcome: Outcome, *, asks: int = MANY) -> list[int]:
    """The statuses of so many asks, each another one, to an upstream that breaks every answer."""
    statuses = []
    for number in range(asks):
        rig.upstream.then(outcome)
        reply = await rig.ask(streamed(f"ask {number}"), token=bearer(key))
        statuses.append(reply.status)
        if reply.status == 200:
            assert b'"finish_reason":"error"' in reply.body
            await looked_up(rig)
    return statuses


@pytest.mark.parametrize("outcome", [Unknown(words=2), Failed(cost=COST, says_cost=True)])
async def test_an_upstream_that_breaks_every_stream_costs_no_more_than_the_bound(
    tmp_path: Path, outcome: Outcome
) -> None:
    """An agent that asks for ever is answered twice and then refused; its bill is nothing."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, proof = await rig.key(SAT)
        posts = rig.upstream.posts
        statuses = await broken(rig, key, outcome)
        assert statuses[2:] == [400] * (MANY - 2)
        assert 400 not in statuses[:2]
        assert rig.upstream.posts == posts + 2
        assert lost_pusd(rig) == 2 * COST_PUSD
        credit = (await rig.get("/v1/credits", token=proof)).json()["cobot"]
        assert (credit["available_msat"], credit["reserved_msat"]) == (SAT * 1_000, 0)


async def test_the_refusal_says_what_was_lost_and_stops_every_agent(tmp_path: Path) -> None:
    """400 of no type that anybody repeats, with both figures and what to do."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, _ = await rig.key(SAT)
        await broken(rig, key, Unknown(words=2), asks=2)
        refused = await rig.ask(streamed("more"), token=bearer(key))
        assert (refused.status, refused.error["code"]) == (400, "broken_answers_limit")
        assert refused.error["type"] == "invalid_request_error"
        assert refused.header("x-should-retry") == "false"
        assert refused.header("retry-after") is None
        for said in ("broke off", f"{2 * float(COST):g}", "midnight UTC"):
            assert said in refused.error["message"]


async def test_the_bound_is_that_of_one_key_and_one_day(tmp_path: Path) -> None:
    """Another key asks on, and the next day the same one does."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, _ = await rig.key(SAT)
        other, _ = await rig.key(SAT)
        assert (await broken(rig, key, Unknown(words=2)))[-1] == 400
        assert (await rig.ask(streamed("mine"), token=bearer(other))).status == 200
        assert (await rig.ask(streamed("more"), token=bearer(key))).status == 400
        await rig.later(DAY_MS)
        assert (await rig.ask(streamed("more"), token=bearer(key))).status == 200


async def test_what_may_have_cost_something_counts_as_its_ceiling_until_that_is_known(
    tmp_path: Path,
) -> None:
    """No record yet: the key waits, and goes on when the record says that it was little."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, _ = await rig.key(SAT)
        rig.upstream.then(Unknown(words=1, lookups_before_record=1))
        await rig.ask(streamed("first"), token=bearer(key))
        assert lost_pusd(rig) == rig.last.quote.ceiling_pusd > 2 * COST_PUSD
        assert (await rig.ask(streamed("second"), token=bearer(key))).status == 400
        for _ in range(2):
            await rig.later(60_000)
            await looked_up(rig)
        assert lost_pusd(rig) == COST_PUSD
        assert (await rig.ask(streamed("second"), token=bearer(key))).status == 200


async def test_an_upstream_that_never_says_what_it_was_leaves_the_ceiling(tmp_path: Path) -> None:
    """Unknown is not nothing."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, _ = await rig.key(SAT)
        outcome = Unknown(words=1, announced=False, lookups_before_record=NEVER)
        assert await broken(rig, key, outcome, asks=3) == [200, 400, 400]
        assert lost_pusd(rig) == rig.last.quote.ceiling_pusd


async def test_what_is_sold_or_was_never_charged_is_no_loss(tmp_path: Path) -> None:
    """Good answers do not count, however many; the account is not even opened for them."""
    async with open_face(tmp_path, BROKEN_PER_KEY_DAY_USD=BOUND) as rig:
        key, _ = await rig.key(SAT)
        for number in range(4):
            rig.upstream.then(Completes())
            assert (await rig.ask(streamed(f"{number}"), token=bearer(key))).status == 200
        account = key_losses(str(rig.last.key_id), rig.last.quote.day)
        assert account.code not in rig.books.rows.ledger.accounts


async def test_the_audit_counts_what_every_key_has_lost(tmp_path: Path) -> None:
    """Unknown, failed and confirmed ones: the account is what the events add up to."""
    async with open_face(tmp_path) as rig:
        key, _ = await rig.key(SAT)
        await broken(rig, key, Unknown(words=2), asks=2)
        await broken(rig, key, Failed(cost=COST, says_cost=True), asks=1)
        assert lost_pusd(rig) >= 2 * COST_PUSD
        audit = AuditLedger(
            reports=rig.books, node=lambda: rig.node, upstream=None, retention=Retention()
        )
        report = await audit.audit()
        assert report.findings == ()
        assert report.figures.entries > 10
