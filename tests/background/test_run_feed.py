"""What a run hears, for whoever follows it: from the start, and at their own pace."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from cobot_meter.background.run_feed import FeedBounds, RunFeed
from cobot_meter.domain.errors import OutcomeUnknown, ServiceBusy, UpstreamFailed
from cobot_meter.domain.upstream.deltas import Deltas
from cobot_meter.flows.answer.read_answer import read_answer
from cobot_meter.ports.escrow_runs import FellBehind, Follower
from tests.contracts.upstream.answer_feeds import FakePiece, joined, spoken
from tests.contracts.upstream.upstream_bench import Heard, ask
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream_outcomes import PRICED_MODEL, Completes, Failed, Unknown

HEAD = {"id": "gen-1", "model": "a/b"}
TEXT = "Lightning settles in a second."
PATIENT = FeedBounds(bytes_max=100, patience_s=30.0)


async def test_a_run_that_all_have_left_is_deserted_after_its_grace() -> None:
    """Not at once, since agents repeat at once; not one that nobody has ever followed."""
    feed = RunFeed(FeedBounds(grace_s=0.05))
    seen = [feed.deserted]
    first, second = followed(feed), followed(feed)
    await first.aclose()
    await asyncio.sleep(0.06)
    seen.append(feed.deserted)
    await second.aclose()
    seen.append(feed.deserted)
    await asyncio.sleep(0.06)
    assert feed.deserted
    again = followed(feed)
    seen.append(feed.deserted)
    await again.aclose()
    feed.keep()
    await asyncio.sleep(0.06)
    seen.append(feed.deserted)
    assert not any(seen)


async def test_who_fell_behind_has_not_left() -> None:
    """It is told to ask again, and gets the whole answer then."""
    feed = RunFeed(FeedBounds(bytes_max=1, patience_s=0.0, grace_s=0.0))
    followed(feed)
    for piece in pieces():
        if feed.hear(piece):
            await feed.room()
    assert not feed.deserted


def pieces() -> list[FakePiece]:
    """Five words and an end, of 64 bytes each."""
    return list(spoken(TEXT, head=HEAD, finish_reason="stop"))


def followed(feed: RunFeed) -> Follower:
    """One who follows something that is still said."""
    follower = feed.follow()
    assert follower is not None
    return follower


async def text_of(follower: Follower) -> str:
    """All that it hears, joined; what is said anew replaces what was said before."""
    said: list[Deltas] = []
    async for deltas in follower:
        said = [] if deltas.anew else [*said, deltas]
    return str(joined(itertools.chain(*(one.deltas for one in said))).said.get("content", ""))


async def ran(feed: RunFeed, upstream: FakeUpstream) -> None:
    """One attempt, read to its end."""
    answer = upstream.complete(ask(PRICED_MODEL), price_cap=PRICED_MODEL.price, on_started=Heard())
    await read_answer(answer, feed)


@pytest.mark.parametrize("joins_after", range(6))
async def test_whoever_joins_hears_all_of_it(joins_after: int) -> None:
    """At every piece: what was said before comes as one, the rest as it comes."""
    feed = RunFeed()
    early = followed(feed)
    for piece in pieces()[:joins_after]:
        feed.hear(piece)
    late = followed(feed)
    for piece in pieces()[joins_after:]:
        feed.hear(piece)
    feed.end()
    assert await text_of(early) == await text_of(late) == TEXT


async def test_several_follow_a_run_each_at_its_own_pace() -> None:
    """One reads as it comes, one when all is said; neither takes anything from the other."""
    feed, upstream = RunFeed(), FakeUpstream()
    upstream.then(Completes(answer=TEXT))
    at_once, later = followed(feed), followed(feed)
    async with asyncio.TaskGroup() as tasks:
        heard = tasks.create_task(text_of(at_once))
        await ran(feed, upstream)
    assert heard.result() == await text_of(later) == TEXT
    assert feed.follow() is None


async def test_who_goes_away_does_not_stop_the_run() -> None:
    """Closed in the middle, it holds up nobody and hears nothing more."""
    feed, upstream, gate = RunFeed(PATIENT), FakeUpstream(), asyncio.Event()
    upstream.then(Completes(answer=TEXT * 50, gate=gate))
    leaving = followed(feed)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(ran(feed, upstream))
        gate.set()
        await anext(leaving)
        assert not run.done()
        await leaving.aclose()
    assert upstream.left == 0
    assert feed.follow() is None


async def test_a_full_follower_holds_up_the_upstream_until_it_reads() -> None:
    """More than the bound never waits for it; nothing is asked of the upstream meanwhile."""
    feed = RunFeed(PATIENT)
    slow = followed(feed)
    said = pieces()
    assert [feed.hear(piece) for piece in said[:2]] == [False, True]
    async with asyncio.TaskGroup() as tasks:
        held_up = tasks.create_task(feed.room())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not held_up.done()
        await anext(slow)
    await anext(slow)
    assert not feed.hear(said[2])


async def test_a_run_waits_for_a_follower_only_so_long() -> None:
    """Then it goes on without it; what waits for the follower is read, and then it is told."""
    feed, upstream = RunFeed(FeedBounds(bytes_max=100, patience_s=0.05)), FakeUpstream()
    upstream.then(Completes(answer=TEXT))
    slow, quick = followed(feed), followed(feed)
    async with asyncio.TaskGroup() as tasks:
        heard = tasks.create_task(text_of(quick))
        await ran(feed, upstream)
    assert heard.result() == TEXT
    assert [len((await anext(slow)).deltas) for _ in range(2)] == [1, 1]
    with pytest.raises(FellBehind):
        await anext(slow)


async def test_another_attempt_voids_what_was_said() -> None:
    """Whoever heard something is told so; whoever comes later hears nothing of it."""
    feed, upstream = RunFeed(), FakeUpstream()
    upstream.then(Unknown(words=3), Failed(), Completes(answer=TEXT))
    early = followed(feed)
    with pytest.raises(OutcomeUnknown):
        await ran(feed, upstream)
    with pytest.raises(UpstreamFailed):
        await ran(feed, upstream)
    late = followed(feed)
    await ran(feed, upstream)
    assert await text_of(early) == await text_of(late) == TEXT


async def test_nothing_is_kept_where_nobody_follows() -> None:
    """Of ten thousand pieces the last alone is known, and none once it has ended."""
    feed = RunFeed()
    piece = pieces()[0]
    assert not any(feed.hear(piece) for _ in range(10_000))
    late = followed(feed)
    feed.end()
    assert [one.deltas async for one in late] == [piece.so_far().deltas]
    assert feed.follow() is None


async def test_only_so_many_may_follow() -> None:
    """The next one is refused, and may when another has gone."""
    feed = RunFeed(FeedBounds(followers_max=2))
    first, _ = followed(feed), followed(feed)
    with pytest.raises(ServiceBusy):
        feed.follow()
    await first.aclose()
    followed(feed)
