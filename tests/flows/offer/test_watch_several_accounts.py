"""Several accounts upstream: each is counted under its own name, and one does not hide another."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.domain.errors import UpstreamCreditLow, UpstreamUnreachable
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.upstream.accounts import UpstreamAccount
from cobot_meter.flows.offer.gates import WatchAccount
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import PRICED_MODEL
from tests.flows.rigs.chains import LOCAL
from tests.http_api.face_rig import open_face

FIRST = replace(PRICED_MODEL, upstream="first")
SECOND = replace(PRICED_MODEL, upstream="second")


def holder(name: str, left_pusd: int) -> FakeUpstream:
    """An upstream of this name, with so much credit."""
    upstream = FakeUpstream()
    upstream.name = name
    upstream.says_of_account = UpstreamAccount(usage_pusd=0, credit_left_pusd=left_pusd)
    return upstream


class Two:
    """Two accounts, and an escrow that wants room on one of them."""

    def __init__(self, escrow: Escrow, *, first: int, second: int) -> None:
        """What is left is given in ceilings of that escrow."""
        self.escrow = escrow
        self.ceiling_pusd = escrow.quote.ceiling_pusd
        self.first = holder("first", first * self.ceiling_pusd)
        self.second = holder("second", second * self.ceiling_pusd)
        self.watch = WatchAccount(holders=(self.first, self.second), reserve_pusd=0)

    def run(self, upstream: str) -> Run:
        """The escrow's run, at the upstream of this name."""
        return replace(self.escrow.run, upstream=upstream)


async def two(folder: Path, *, first: int, second: int) -> Two:
    """Looked at once."""
    async with open_face(folder) as rig:
        assert (await rig.ask()).status == 402
        accounts = Two(rig.last, first=first, second=second)
    await accounts.watch.look()
    return accounts


async def test_a_chain_skips_only_the_account_that_is_low(tmp_path: Path) -> None:
    """Whoever keeps no account is never skipped, and where nobody can pay nobody is."""
    accounts = await two(tmp_path, first=0, second=1)
    chain = (FIRST, SECOND, LOCAL)
    assert accounts.watch.payable(chain, accounts.ceiling_pusd) == (SECOND, LOCAL)
    assert accounts.watch.payable(chain, 2 * accounts.ceiling_pusd) == (LOCAL,)
    assert accounts.watch.payable((FIRST, SECOND), 2 * accounts.ceiling_pusd) == (FIRST, SECOND)


async def test_a_run_is_counted_where_it_runs(tmp_path: Path) -> None:
    """Room on the second account takes nothing of the first, and is given back there."""
    accounts = await two(tmp_path, first=1, second=1)
    watch, first, second = accounts.watch, *accounts.watch.by_upstream.values()
    with watch.room(accounts.run("second"), accounts.ceiling_pusd):
        assert (first.in_flight_pusd, second.in_flight_pusd) == (0, accounts.ceiling_pusd)
        with (
            pytest.raises(UpstreamCreditLow),
            watch.room(accounts.run("second"), accounts.ceiling_pusd),
        ):
            pytest.fail("there was no room")
    watch.over(accounts.escrow.run.run_id)
    assert second.in_flight_pusd == accounts.ceiling_pusd
    await watch.look()
    assert (first.in_flight_pusd, second.in_flight_pusd) == (0, 0)


async def test_who_keeps_no_account_is_always_given_room(tmp_path: Path) -> None:
    """And nothing is counted for it."""
    accounts = await two(tmp_path, first=0, second=0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            accounts.watch.room(accounts.run(LOCAL.upstream), accounts.ceiling_pusd)
        )
        assert [one.in_flight_pusd for one in accounts.watch.by_upstream.values()] == [0, 0]


async def test_selling_stops_when_no_account_is_left(tmp_path: Path) -> None:
    """One that is low leaves the service ready: the other still pays."""
    accounts = await two(tmp_path, first=0, second=1)
    await accounts.watch.ping()
    accounts.second.says_of_account = UpstreamAccount(usage_pusd=0, credit_left_pusd=0)
    await accounts.watch.look()
    with pytest.raises(UpstreamCreditLow):
        await accounts.watch.ping()


async def test_one_that_does_not_answer_does_not_hide_the_next(tmp_path: Path) -> None:
    """Its last figure stays, the other's is new, and the fault is told all the same."""
    accounts = await two(tmp_path, first=1, second=1)
    accounts.first.reachable = False
    accounts.second.says_of_account = UpstreamAccount(usage_pusd=0, credit_left_pusd=7)
    with pytest.raises(UpstreamUnreachable):
        await accounts.watch.look()
    first, second = accounts.watch.by_upstream.values()
    assert (first.left_pusd, second.left_pusd) == (accounts.ceiling_pusd, 7)
