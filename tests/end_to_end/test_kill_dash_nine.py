"""The serving process is really killed in every state of an escrow, and started again.

Whatever the moment, the books end as they would have: paid is delivered, unpaid is not, nothing
is booked twice, and the ledger's cost equals what the upstream took.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from decimal import Decimal

import httpx
import pytest

from cobot_meter.domain.money import pusd_from_text
from tests.end_to_end.live import PROGRESS, Live, ask_body, proof_of

pytestmark = pytest.mark.slow

BODY = ask_body("Tell me about harbours.")
WITHIN_S = 20.0


def rows_of(live: Live, sql: str) -> list[tuple[object, ...]]:
    """Read the books beside the service."""
    path = live.data_dir / "books.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
        return books.execute(sql).fetchall()


async def until(live: Live, sql: str, wanted: object) -> None:
    """Wait until the first column of the first row is what is wanted."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            rows = rows_of(live, sql)
            if rows and rows[0][0] == wanted:
                return
            await asyncio.sleep(0.02)


async def until_state(live: Live, state: str) -> None:
    """Wait until the only escrow has this state."""
    await until(live, PROGRESS, state)


async def until_posted(live: Live) -> None:
    """Wait until the run has reached the upstream: that it is requested is stored before."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            if (await live.upstream_book())["posts"] == 1:
                return
            await asyncio.sleep(0.02)


async def killed_in(live: Live, state: str) -> None:
    """Ask, wait for the state, kill, start again."""
    asking = asyncio.ensure_future(live.ask(BODY))
    await until_state(live, state)
    await until_posted(live)
    live.kill()
    with contextlib.suppress(httpx.TransportError):
        await asking
    await live.start()


async def bought(live: Live) -> str:
    """Ask the same again, pay, claim; the answer's text."""
    challenge = await live.ask(BODY)
    assert challenge.status_code == httpx.codes.PAYMENT_REQUIRED, challenge.text
    preimage = await live.pay(challenge.json()["invoice"])
    answer = await live.ask(BODY, **proof_of(challenge, preimage))
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


async def check_books(live: Live, *, posts: int) -> None:
    """Balanced, one run per ask, and Σ ledger cost == what the upstream took."""
    book = await live.upstream_book()
    assert book["posts"] == posts
    costs = rows_of(
        live, "SELECT sum(debits_posted - credits_posted) FROM account WHERE code LIKE 'cost/%'"
    )
    spent = Decimal(str(book["spent_usd"]))
    assert (costs[0][0] or 0) == pusd_from_text(format(spent, "f"))
    sums = rows_of(
        live, "SELECT sum(debits_posted - credits_posted) FROM account GROUP BY commodity"
    )
    assert [total for (total,) in sums] == [0] * len(sums)


async def test_killed_while_generated(live: Live) -> None:
    """The answer was stored: the restart finds its cost and sells it without a second run."""
    await live.control_upstream("timing", lag_s=3)
    await killed_in(live, "generated")
    assert await bought(live)
    await check_books(live, posts=1)


async def test_killed_while_costed(live: Live) -> None:
    """The node's answers were lost: the restart finds the invoice under the same payment hash."""
    await live.control_node(lost_add_replies=999)
    await killed_in(live, "costed")
    await until_state(live, "invoiced")
    assert await bought(live)
    await check_books(live, posts=1)


async def test_killed_while_invoiced(live: Live) -> None:
    """The same invoice is shown again, and paying it buys."""
    first = await live.ask(BODY)
    live.kill()
    await live.start()
    again = await live.ask(BODY)
    assert again.json()["invoice"] == first.json()["invoice"]
    assert await bought(live)
    await check_books(live, posts=1)


async def test_killed_while_settled(live: Live) -> None:
    """Paid and not yet claimed: the old proof claims it after the restart."""
    challenge = await live.ask(BODY)
    preimage = await live.pay(challenge.json()["invoice"])
    await until_state(live, "settled")
    live.kill()
    await live.start()
    answer = await live.ask(BODY, **proof_of(challenge, preimage))
    assert answer.status_code == httpx.codes.OK
    await check_books(live, posts=1)


async def test_paid_while_the_service_was_dead(live: Live) -> None:
    """Killed between the node's settling and our booking: the sweep finds the payment."""
    challenge = await live.ask(BODY)
    await live.control_node(silent_streams=True)
    preimage = await live.pay(challenge.json()["invoice"])
    live.kill()
    await live.start()
    await until_state(live, "settled")
    answer = await live.ask(BODY, **proof_of(challenge, preimage))
    assert answer.status_code == httpx.codes.OK
    await check_books(live, posts=1)


async def test_killed_while_released(live: Live) -> None:
    """Delivered, perhaps not received: the same proof gets the same bytes again."""
    challenge = await live.ask(BODY)
    preimage = await live.pay(challenge.json()["invoice"])
    first = await live.ask(BODY, **proof_of(challenge, preimage))
    live.kill()
    await live.start()
    again = await live.ask(BODY, **proof_of(challenge, preimage))
    assert again.content == first.content
    await check_books(live, posts=1)


async def test_killed_while_requested_with_an_id(live: Live) -> None:
    """A8: the id was stored, so what the lost run cost is looked up and booked as failed."""
    await live.control_upstream("faults", next=["hang_mid_stream"])
    asking = asyncio.ensure_future(live.ask(BODY))
    await until(live, "SELECT generation_id IS NOT NULL FROM run", 1)
    live.kill()
    with contextlib.suppress(httpx.TransportError):
        await asking
    await live.start()
    await until_state(live, "failed")
    repeated = await live.ask(BODY)
    assert repeated.status_code == httpx.codes.BAD_GATEWAY
    assert repeated.json()["error"]["code"] == "outcome_unknown"
    assert repeated.headers["x-should-retry"] == "false"
    await until(live, "SELECT cost_pusd > 0 FROM run", 1)
    await check_books(live, posts=1)
    unattributed = "SELECT count(*) FROM transfer WHERE debit = 'cost/unattributed'"
    assert rows_of(live, unattributed) == [(0,)]


async def test_killed_while_requested_without_an_id(live: Live) -> None:
    """A8b and A13: no id was ever seen, so comparing with the upstream's usage finds the cost."""
    await live.control_upstream("faults", next=["hang"])
    await killed_in(live, "requested")
    await until_state(live, "failed")
    await until(
        live,
        "SELECT debits_posted - credits_posted > 0 FROM account WHERE code='cost/unattributed'",
        1,
    )
    await until(live, "SELECT budget_held_pusd FROM run", 0)
    await check_books(live, posts=1)
