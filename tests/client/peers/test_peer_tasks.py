"""Tasks given to others: what is asked, what of their bills is paid, and what the user hears."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.peers.asked import AskedFiles, AskedUnreadable, Course, Line
from cobot_pay.peers.bill_payer import BillPayer
from cobot_pay.peers.blocks import (
    ANSWER_HEAD,
    Ask,
    Bill,
    Block,
    Delivered,
    Notice,
    read_block,
    with_block,
)
from cobot_pay.peers.peer_tasks import PeerTasks, PeerTerms
from cobot_pay.spending.limits import Amounts, BudgetLimits, Limits
from cobot_pay.spending.stored_budget import StoredBudget
from cobot_pay.wallet import Payment
from tests.client.seller import invoice_text

BOB = Line(channel_type="filedrop", channel_id="bob", name="bob")
ADA = Line(channel_type="telegram", channel_id="7", name="ada")
PREIMAGE = "11" * 32
HASH = sha256(bytes.fromhex(PREIMAGE)).hexdigest()
WITHIN_S = 5.0


@dataclass
class FakeWallet:
    """Pays what it is told to, unless it is told what to raise; each once."""

    paid: list[str] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    charges_fees: bool = False
    silent: bool = False
    meanwhile: Callable[[], object] = bool

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        if self.fails:
            raise self.fails.pop(0)
        self.paid.append(payment_request)
        self.meanwhile()
        return Payment(preimage=PREIMAGE, amount_msat=11_000, fee_msat=0)

    async def outcome(self, payment_hash: str) -> Payment | None:
        """What became of it: paid, if it was ever sent."""
        if self.silent:
            raise PaymentUnknown("no answer", payment_hash=payment_hash)
        if not self.paid:
            return None
        return Payment(preimage=PREIMAGE, amount_msat=11_000, fee_msat=0)


@dataclass
class Buyer:
    """A buyer's tasks on a folder; a second one on it is a restart."""

    folder: Path
    wallet: FakeWallet = field(default_factory=FakeWallet)
    day_sat: int = 1_000
    sent: list[tuple[Line, str]] = field(default_factory=list)
    reaches: bool = True
    now_s: int = 1_800_000_000
    reply_within_s: int = 3_600

    def __post_init__(self) -> None:
        """Open the file of payments and the files of tasks."""
        day = Limits(msat=Amounts(day=self.day_sat * 1_000))
        self.budget = StoredBudget(
            self.folder / "payments.sqlite", limits=BudgetLimits(all_hosts=day), for_key=True
        )
        numbers = itertools.count(1)
        self.files = AskedFiles(self.folder / "asked")
        self.tasks = PeerTasks(
            files=self.files,
            payer=BillPayer(wallet=self.wallet, budget=self.budget),
            terms=PeerTerms(
                peers={"bob": BOB}, task_max_msat=100_000, reply_within_s=self.reply_within_s
            ),
            send=self._send,
            now_s=lambda: self.now_s,
            reference=lambda: f"r{next(numbers)}",
        )

    def _send(self, line: Line, text: str) -> bool:
        if self.reaches:
            self.sent.append((line, text))
        return self.reaches

    def ask(self, max_sat: int = 20) -> str:
        """The model asks bob."""
        return self.tasks.ask("bob", "Weigh it.", max_sat * 1_000, user=ADA)

    def hear(self, block: Block, text: str = "", *, sender: Line = BOB) -> bool:
        """Somebody's program says this; whether it leaves work to do."""
        return self.tasks.hear(sender, block, with_block(text, block)) is not None

    async def follow(self, until: Callable[[], bool]) -> None:
        """Do what there is to do until this holds."""
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            works = [group.create_task(self.tasks.follow(one)) for one in self.tasks.open()]
            while not until() and not all(work.done() for work in works):  # noqa: ASYNC110 - a test waits
                await asyncio.sleep(0.01)
            for work in works:
                work.cancel()

    @property
    def told(self) -> list[str]:
        """What the user heard."""
        return [text for line, text in self.sent if line == ADA]


def bill(**changes: Any) -> Bill:  # noqa: ANN401 - whatever a bill has
    """Bob's bill for the first task."""
    made = Bill(
        ref="r1",
        task="esc_1",
        total_msat=10_500,
        amount_msat=11_000,
        service_fee_msat=100,
        seller_fee_msat=10_000,
        cost_usd="0.0004",
        invoice=invoice_text(HASH, 11_000),
        payment_hash=HASH,
        macaroon="bWFj",
        url="http://127.0.0.1:9/v1/escrows/esc_1",
        expires_at=1_800_000_600,
    )
    return replace(made, **changes)


async def test_a_task_is_asked_billed_paid_and_answered(tmp_path: Path) -> None:
    """The peer gets the task with the most that is paid; the user gets the answer and its price."""
    buyer = Buyer(tmp_path)
    assert "bob was asked" in buyer.ask()
    line, message = buyer.sent[0]
    assert line == BOB
    assert read_block(message) == Ask(ref="r1", max_msat=20_000)
    assert buyer.hear(bill())
    await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    assert len(buyer.wallet.paid) == 1
    delivered = Delivered(ref="r1", task="esc_1")
    assert not buyer.hear(delivered, f"{ANSWER_HEAD}\n\n2.4 kg.")
    assert buyer.told == ["bob answered (paid 11 sat):\n\n2.4 kg."]
    assert buyer.files.open() == []
    (receipt,) = buyer.budget.receipts()
    assert (receipt.state, receipt.amount_msat, receipt.preimage) == ("paid", 11_000, PREIMAGE)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount_msat": 10_000}, "another price than its invoice"),
        ({"payment_hash": "ab" * 32}, "another payment hash"),
        ({"invoice": "lnbc1nonsense"}, "invoice"),
        ({"invoice": invoice_text(HASH, None)}, "leaves the amount"),
        (
            {"invoice": invoice_text(HASH, 21_000), "amount_msat": 21_000},
            "at most 20 sat were allowed",
        ),
    ],
)
async def test_a_bill_that_is_not_what_it_says_is_not_paid(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    """The user hears why, and nothing was set aside."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    assert buyer.hear(bill(**changes))
    await buyer.follow(lambda: not buyer.files.open())
    assert buyer.wallet.paid == []
    assert why in buyer.told[0]
    assert buyer.budget.receipts() == []


@pytest.mark.parametrize(
    ("block", "sender"),
    [
        (bill(ref="r9"), BOB),
        (bill(), Line(channel_type="filedrop", channel_id="x", name="mallory")),
        (bill(), Line(channel_type="nostr", channel_id="bob", name="bob")),
    ],
    ids=["never asked", "another peer", "another channel"],
)
def test_a_bill_from_elsewhere_is_not_believed(tmp_path: Path, block: Bill, sender: Line) -> None:
    """Only the peer that was asked, on the channel it was asked on."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    assert not buyer.hear(block, sender=sender)
    assert buyer.files.open()[0].course is Course.ASKED


async def test_the_same_bill_again_is_paid_once(tmp_path: Path) -> None:
    """A seller that was restarted sends it again."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.hear(bill())
    await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    assert not buyer.hear(bill())
    await buyer.follow(lambda: len(buyer.wallet.paid) > 1 or True)
    assert len(buyer.wallet.paid) == 1


async def test_killed_after_the_payment_nothing_is_paid_twice(tmp_path: Path) -> None:
    """The payment is in the file, that it was for this task is found again."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.hear(bill())
    billed = buyer.files.open()[0]
    await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    buyer.files.put(billed)  # what a kill before this was stored leaves
    again = Buyer(tmp_path, wallet=buyer.wallet)
    await again.follow(lambda: again.files.open()[0].course is Course.PAID)
    assert len(buyer.wallet.paid) == 1


async def test_a_payment_of_unknown_outcome_is_asked_about_and_not_repeated(
    tmp_path: Path,
) -> None:
    """The user hears of it; the wallet says later that it was paid."""
    buyer = Buyer(tmp_path, wallet=FakeWallet(fails=[PaymentUnknown("no answer")], silent=True))
    buyer.ask()
    buyer.hear(bill())
    await buyer.follow(lambda: bool(buyer.told))
    assert "not paid yet" in buyer.told[0]
    assert buyer.budget.reserved_msat == 11_000
    buyer.wallet.paid.append("it was, after all")
    buyer.wallet.silent = False
    again = Buyer(tmp_path, wallet=buyer.wallet)
    await again.follow(lambda: again.files.open()[0].course is Course.PAID)
    assert len(buyer.wallet.paid) == 1
    assert buyer.budget.spent_today_msat == 11_000


async def test_a_payment_that_was_certainly_not_made_is_made_then(tmp_path: Path) -> None:
    """The wallet says that nothing was paid: the same process pays now."""
    buyer = Buyer(tmp_path, wallet=FakeWallet(fails=[PaymentUnknown("no answer")]))
    buyer.ask()
    buyer.hear(bill())
    await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    assert len(buyer.wallet.paid) == 1
    assert buyer.budget.spent_today_msat == 11_000


async def test_a_payment_that_failed_is_tried_again(tmp_path: Path) -> None:
    """The same reason is told once."""
    failed = [PaymentFailed("no route"), PaymentFailed("no route")]
    buyer = Buyer(tmp_path, wallet=FakeWallet(fails=[*failed]))
    buyer.ask()
    buyer.hear(bill())
    await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    assert buyer.told == ["bob's bill is not paid yet: no route."]
    assert len(buyer.wallet.paid) == 1


async def test_a_bill_that_cannot_be_paid_ends_with_its_invoice(tmp_path: Path) -> None:
    """Nobody tries for ever; certainly nothing was paid."""
    buyer = Buyer(tmp_path, wallet=FakeWallet(fails=[PaymentFailed("it has expired")]))
    buyer.ask()
    buyer.hear(bill(expires_at=1_799_999_999))
    await buyer.follow(lambda: not buyer.files.open())
    assert buyer.told == ["bob's bill is over: it has expired."]
    assert buyer.budget.receipts() == []


async def test_a_payment_that_meets_the_end_of_its_task_is_told(tmp_path: Path) -> None:
    """The peer gave up while the payment was under way: the user hears where the proof is."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.hear(bill())
    over = Notice(ref="r1", reason="unpaid", over=True)
    buyer.wallet.meanwhile = lambda: buyer.hear(over, "Too late.")
    await buyer.follow(lambda: not buyer.files.open() and len(buyer.told) > 1)
    assert buyer.told[0] == "bob says:\n\nToo late."
    assert "`cobot-pay receipts` has the proof" in buyer.told[1]
    assert buyer.budget.spent_today_msat == 11_000


def test_what_the_budget_cannot_pay_is_not_asked(tmp_path: Path) -> None:
    """The model and the user hear why, and when it resets; the peer hears nothing."""
    buyer = Buyer(tmp_path, day_sat=15)
    assert "was not asked" in buyer.ask(max_sat=20)
    assert [line for line, _ in buyer.sent] == [ADA]
    assert "it resets at" in buyer.told[0]


def test_a_model_cannot_allow_more_than_the_owner(tmp_path: Path) -> None:
    """What it says is cut to the owner's limit for one task."""
    buyer = Buyer(tmp_path)
    buyer.ask(max_sat=1_000_000)
    assert read_block(buyer.sent[0][1]) == Ask(ref="r1", max_msat=100_000)


@pytest.mark.parametrize(
    ("peer", "task", "max_msat", "said"),
    [
        ("eve", "Weigh it.", 1_000, "Nobody of that name"),
        ("bob", "  ", 1_000, "A task is a text"),
        ("bob", "x" * 30_000, 1_000, "A task is a text"),
        ("bob", "Weigh it.", 0, "nothing may be paid"),
        ("bob", "Weigh it.", -5, "nothing may be paid"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(
    tmp_path: Path, peer: str, task: str, max_msat: int, said: str
) -> None:
    """And no peer hears of it."""
    buyer = Buyer(tmp_path)
    assert said in buyer.tasks.ask(peer, task, max_msat, user=ADA)
    assert all(line == ADA for line, _ in buyer.sent)


def test_a_peer_that_cannot_be_reached_is_not_waited_for(tmp_path: Path) -> None:
    """The model hears it at once."""
    buyer = Buyer(tmp_path, reaches=False)
    assert "cannot be reached" in buyer.ask()
    assert buyer.files.open() == []


def test_a_refusal_is_told_to_the_user(tmp_path: Path) -> None:
    """And nothing is waited for any more; a word in between ends nothing."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.hear(Notice(ref="r1", reason="busy", over=False), "I am still at it.")
    assert buyer.told == []
    buyer.hear(Notice(ref="r1", reason="cap", over=True), "Tomorrow, please.")
    assert buyer.told == ["bob says:\n\nTomorrow, please."]
    assert buyer.files.open() == []


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Something of it may have been paid: it is named."""
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "torn.json").write_text("{")
    with pytest.raises(AskedUnreadable, match=r"torn\.json"):
        Buyer(tmp_path)


async def test_an_answer_is_fetched_from_no_address_that_the_owner_did_not_name(
    tmp_path: Path,
) -> None:
    """A bill names an address of its writer's choice."""
    budget = StoredBudget(tmp_path / "payments.sqlite", for_key=True)
    payer = BillPayer(wallet=FakeWallet(), budget=budget, services=["http://127.0.0.1:8"])
    assert await payer.answer_of(bill(), "L402 x:y") == ""
    assert await payer.answer_of(bill(url="file:///etc/passwd"), "L402 x:y") == ""
    assert await payer.answer_of(bill(url="http://["), "L402 x:y") == ""
    there = bill(url="http://127.0.0.1:8/v1/escrows/esc_1")  # named, and nobody listens
    assert await payer.answer_of(there, "L402 x:y") == ""


async def test_a_peer_that_never_replies_is_told_to_the_user(tmp_path: Path) -> None:
    """Who, which task, that nothing was paid, and what to do; once, and also after a restart."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.now_s += 3_599
    buyer.tasks.end_silent()
    assert buyer.told == []
    again = Buyer(tmp_path, now_s=buyer.now_s + 1)
    watch = asyncio.create_task(again.tasks.watch_silence())
    async with asyncio.timeout(WITHIN_S):
        while again.files.open():  # noqa: ASYNC110 - a test waits
            await asyncio.sleep(0.01)
    watch.cancel()
    again.tasks.end_silent()
    (said,) = again.told
    for words in ("bob", "60 minutes", "“Weigh it.”", "Nothing was paid", "Ask again"):
        assert words in said
    assert again.budget.receipts() == []


async def test_a_bill_that_comes_after_that_is_not_paid(tmp_path: Path) -> None:
    """The user may have asked somebody else by then."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.now_s += 3_600
    buyer.tasks.end_silent()
    assert not buyer.hear(bill())
    assert buyer.tasks.open() == []
    assert buyer.wallet.paid == []


@pytest.mark.parametrize("course", [Course.BILLED, Course.PAID])
async def test_what_was_billed_is_no_silence(tmp_path: Path, course: Course) -> None:
    """Its own end is that of the bill, or the answer."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.hear(bill())
    if course is Course.PAID:
        await buyer.follow(lambda: buyer.files.open()[0].course is Course.PAID)
    buyer.now_s += 10**6
    buyer.tasks.end_silent()
    assert [one.course for one in buyer.files.open()] == [course]
    assert buyer.told == []


def test_a_user_who_cannot_be_reached_is_told_later(tmp_path: Path) -> None:
    """The task stays until somebody has heard of it."""
    buyer = Buyer(tmp_path)
    buyer.ask()
    buyer.now_s += 3_600
    buyer.reaches = False
    buyer.tasks.end_silent()
    assert len(buyer.files.open()) == 1
    buyer.reaches = True
    buyer.tasks.end_silent()
    assert buyer.files.open() == []
    assert len(buyer.told) == 1


async def test_who_sets_no_time_waits_without_end(tmp_path: Path) -> None:
    """With 0 there is nothing to watch for, and the watch ends."""
    buyer = Buyer(tmp_path, reply_within_s=0)
    buyer.ask()
    buyer.now_s += 10**6
    await asyncio.wait_for(buyer.tasks.watch_silence(), WITHIN_S)
    buyer.tasks.end_silent()
    assert len(buyer.files.open()) == 1
    assert buyer.told == []
