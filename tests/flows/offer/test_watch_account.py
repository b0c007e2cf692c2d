"""Our account upstream: asks are refused before it runs dry, and strangers read no figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cobot_meter.domain.errors import UpstreamCreditLow, UpstreamUnreachable
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.flows.offer.gates import WatchedAccount
from tests.fakes.upstream_outcomes import FAKE, Completes, Refused, Unreachable
from tests.flows.rigs.chains import LOCAL
from tests.http_api.face_rig import FaceRig, ask_of, open_face

RESERVE_PUSD = 100_000_000_000


def watched(rig: FaceRig) -> WatchedAccount:
    """The one account that is watched."""
    return rig.service.flows.watch_account.by_upstream[FAKE]


async def left(rig: FaceRig, pusd: int | None, *, credit: int | None = None) -> None:
    """Let the upstream say that so much is left beyond the reserve, and look."""
    rig.upstream.says_of_account = UpstreamAccount(
        usage_pusd=0,
        limit_pusd=10**12,
        limit_remaining_pusd=None if pusd is None else RESERVE_PUSD + pusd,
        limit_reset="daily",
        credit_left_pusd=None if credit is None else RESERVE_PUSD + credit,
    )
    await rig.service.flows.watch_account.look()


async def ceiling(rig: FaceRig) -> int:
    """What one ask can cost at most."""
    assert (await rig.ask(ask_of("How dear?"))).status == 402
    await rig.service.flows.watch_account.look()
    return rig.last.quote.ceiling_pusd


async def test_an_ask_that_would_not_last_is_refused(tmp_path: Path) -> None:
    """503 with Retry-After and a code of its own; nothing is run or booked, no figure is told."""
    async with open_face(tmp_path) as rig:
        enough = await ceiling(rig)
        before = len(rig.escrows)
        await left(rig, enough - 1)
        refused = await rig.ask(ask_of("Too late."))
        assert (refused.status, refused.error["code"]) == (503, "upstream_credit_low")
        assert refused.header("retry-after") == "60"
        assert not any(letter.isdigit() for letter in refused.error["message"])
        assert "credit" not in refused.error["message"]
        assert (len(rig.escrows), rig.upstream.posts) == (before, 1)
        await left(rig, enough)
        assert (await rig.ask(ask_of("Too late."))).status == 402


@pytest.mark.parametrize(("key", "credit"), [(None, -1), (10**12, 0), (0, 10**12), (-5, None)])
async def test_the_smaller_of_limit_and_credit_decides(
    tmp_path: Path, key: int | None, credit: int | None
) -> None:
    """The key's limit and the account's credit both bound what can be run; `/readyz` says so."""
    async with open_face(tmp_path) as rig:
        await left(rig, key, credit=credit)
        assert (await rig.ask()).error["code"] == "upstream_credit_low"
        with pytest.raises(UpstreamCreditLow):
            await rig.service.flows.watch_account.ping()


async def test_what_costs_us_no_credit_is_run_instead(tmp_path: Path) -> None:
    """A chain with a local model goes there at once, and says why; nothing is sent to the rest."""
    async with open_face(tmp_path) as rig:
        rig.upstream.offered = (*rig.upstream.offered, LOCAL)
        await rig.service.flows.catalogue.refresh()
        await left(rig, 0)
        asked = {**ask_of("Anybody?"), "models": [LOCAL.model_id]}
        assert (await rig.ask(asked)).status == 402
        assert rig.last.quote.model == LOCAL.model_id
        fallback = rig.last.fallback
        assert fallback is not None
        assert (fallback.reason, fallback.continues) == ("upstream_credit_low", None)
        assert rig.upstream.posts == 1


async def test_what_is_not_known_refuses_nothing(tmp_path: Path) -> None:
    """Before the first look, and where neither limit nor credit is told."""
    async with open_face(tmp_path) as rig:
        assert watched(rig).left_pusd is None
        assert (await rig.ask()).status == 402
        await rig.service.flows.watch_account.look()
        assert watched(rig).left_pusd is None
        await rig.service.flows.watch_account.ping()


async def test_what_is_in_flight_counts(tmp_path: Path) -> None:
    """Of ten asks at once only as many run as there is credit for, whatever they cost later."""
    async with open_face(tmp_path) as rig:
        one = await ceiling(rig)
        await left(rig, 3 * one)
        gate = asyncio.Event()
        rig.upstream.usually = Completes(gate=gate)
        async with asyncio.TaskGroup() as tasks:
            asks = [
                tasks.create_task(
                    rig.ask(ask_of(f"Ask {n:05}"), headers={"Prefer": "respond-async"})
                )
                for n in range(10)
            ]
        statuses = sorted(task.result().status for task in asks)
        assert statuses == [202] * 3 + [503] * 7
        assert watched(rig).in_flight_pusd == 3 * one
        assert rig.service.flows.watch_account.low
        gate.set()
        await rig.until(Progress.INVOICED)
        await rig.service.flows.runs.drain(1)


async def test_what_has_run_counts_until_a_look_has_seen_it(tmp_path: Path) -> None:
    """Ended runs stay at their ceilings until the upstream's own figure has them."""
    async with open_face(tmp_path) as rig:
        one = await ceiling(rig)
        await left(rig, 2 * one)
        assert (await rig.ask(ask_of("Ask 00001"))).status == 402
        assert watched(rig).in_flight_pusd == rig.last.quote.ceiling_pusd > 0
        await left(rig, 2 * one)
        assert watched(rig).in_flight_pusd == 0


async def test_what_was_not_charged_is_given_back(tmp_path: Path) -> None:
    """Refused and unreachable runs, and asks that the books refuse, hold nothing."""
    async with open_face(tmp_path) as rig:
        for outcome in (Refused(status=400), Unreachable()):
            rig.upstream.then(outcome, outcome, outcome)
            assert (await rig.ask(ask_of(f"{outcome}"))).status in {400, 503}
        assert watched(rig).in_flight_pusd == 0
    async with open_face(tmp_path, UNPAID_DAY_USD="0") as rig:
        assert (await rig.ask()).status == 429
        assert watched(rig).in_flight_pusd == 0


@pytest.mark.parametrize("status", [402, 403])
async def test_a_run_without_credit_makes_the_watch_look_at_once(
    tmp_path: Path, status: int
) -> None:
    """402 and 403 of a run end the wait for the next look."""
    async with open_face(tmp_path) as rig:
        account = rig.service.flows.watch_account
        await account.look()
        waiting = asyncio.timeout(5)
        async with waiting, asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(account.look_soon(3_600))
            rig.upstream.then(Refused(status=status))
            assert (await rig.ask()).status == 502
            await looking
        assert rig.upstream.looks == 2


async def test_a_look_that_fails_keeps_the_count(tmp_path: Path) -> None:
    """The last figures stay and what runs goes on being counted against them."""
    async with open_face(tmp_path) as rig:
        one = await ceiling(rig)
        await left(rig, 2 * one)
        assert (await rig.ask(ask_of("Ask 00001"))).status == 402
        rig.upstream.reachable = False
        with pytest.raises(UpstreamUnreachable):
            await rig.service.flows.watch_account.look()
        rig.upstream.reachable = True
        assert watched(rig).in_flight_pusd > 0
        assert watched(rig).left_pusd == 2 * one - watched(rig).in_flight_pusd


async def test_the_metrics_tell_the_operator(tmp_path: Path) -> None:
    """Left, limit, used today, in flight and low; -1 for what is not known."""
    async with open_face(tmp_path) as rig:
        await left(rig, 0)
        body = (await rig.get("/metrics")).body.decode()
        for line in (
            'cobot_meter_upstream_key_left_pusd{upstream="fake"} 1e+11',
            'cobot_meter_upstream_key_limit_pusd{upstream="fake"} 1e+12',
            'cobot_meter_upstream_credit_pusd{upstream="fake"} -1.0',
            'cobot_meter_upstream_credit_low{upstream="fake"} 1.0',
        ):
            assert line in body
