"""A budget on disk is never overspent: not by threads, tasks, processes, kills or the clock."""

from __future__ import annotations

import asyncio
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cobot_pay import BudgetExceeded, ChallengeRefused, PaymentUnknown
from cobot_pay.budget import Purpose, Reservation
from cobot_pay.spending.limits import Amounts, BudgetLimits, Limits, micro_usd_of
from cobot_pay.spending.stored_budget import StoredBudget
from tests.client.spending.spender import limits_of

ROOT = Path(__file__).resolve().parents[3]
START_S = 1_763_836_200  # 2025-11-22 18:30:00 UTC
HOSTS = ("a.example", "b.example")
REQUEST, HOUR, DAY = 300, 500, 1_000
HOST_HOUR, HOST_DAY_USD = 350, 900
RATE = 100_000_000_000  # micro-USD a bitcoin: one msat is one micro-USD
LIMITS = BudgetLimits(
    all_hosts=Limits(msat=Amounts(request=REQUEST, hour=HOUR, day=DAY)),
    hosts={"b.example": Limits(msat=Amounts(hour=HOST_HOUR), micro_usd=Amounts(day=HOST_DAY_USD))},
)


def purpose(host: str, payment_hash: str = "") -> Purpose:
    """Something bought at that host, at the rate of these tests."""
    return Purpose(origin=f"https://{host}:", payment_hash=payment_hash, micro_usd_per_btc=RATE)


class AnyUse(RuleBasedStateMachine):
    """Any order of reserving, posting, releasing, passing time and starting anew, and a model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now_s = START_S
        self.open: list[tuple[str, Reservation]] = []
        self.paid: list[tuple[int, str, int]] = []
        self.start_anew()

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule()
    def start_anew(self) -> None:
        path = Path(self.folder.name) / "book.sqlite"
        self.budget = StoredBudget(path, limits=LIMITS, now_s=lambda: self.now_s)

    def spent(self, span_s: int, host: str = "") -> int:
        """What the model has paid in the current hour or day."""
        since = self.now_s - self.now_s % span_s
        return sum(msat for at, who, msat in self.paid if at >= since and host in {"", who})

    def flying(self, host: str = "") -> int:
        return sum(one.amount_msat for who, one in self.open if host in {"", who})

    def fits(self, host: str, amount: int) -> bool:
        everywhere = self.flying() + amount
        fits = (
            amount <= REQUEST
            and self.spent(3_600) + everywhere <= HOUR
            and self.spent(86_400) + everywhere <= DAY
        )
        if host == "b.example":
            here = self.flying(host) + amount
            fits = fits and self.spent(3_600, host) + here <= HOST_HOUR
            fits = fits and self.spent(86_400, host) + here <= HOST_DAY_USD
        return fits

    @rule(host=st.sampled_from(HOSTS), amount=st.integers(0, 320))
    def reserve(self, host: str, amount: int) -> None:
        fits = self.fits(host, amount)
        try:
            self.open.append((host, self.budget.reserve(amount, purpose=purpose(host))))
        except BudgetExceeded:
            assert not fits
        else:
            assert fits

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.integers(0, 100))
    def post(self, data: st.DataObject, share: int) -> None:
        host, reservation = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        amount = reservation.amount_msat * share // 100
        self.budget.post(reservation, amount)
        self.paid.append((self.now_s, host, amount))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), doubted=st.booleans())
    def release(self, data: st.DataObject, doubted: bool) -> None:  # noqa: FBT001 - drawn
        _, reservation = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if doubted:
            self.budget.doubt(reservation)
        self.budget.release(reservation)

    @rule(seconds=st.integers(0, 40_000))
    def pass_time(self, seconds: int) -> None:
        self.now_s += seconds

    @invariant()
    def nothing_is_overspent(self) -> None:
        assert self.budget.reserved_msat == self.flying()
        assert self.budget.spent_today_msat == self.spent(86_400)
        assert self.spent(86_400) + self.flying() <= DAY


AnyUse.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAnyUse = AnyUse.TestCase


def budget_at(folder: Path, *, day_msat: int = 1_000, now_s: int = START_S) -> StoredBudget:
    """A budget of one day."""
    return StoredBudget(folder / "book.sqlite", limits=limits_of(day_msat), now_s=lambda: now_s)


def test_threads_cannot_pass_a_limit_together(tmp_path: Path) -> None:
    """Of eight threads that reserve at the same moment, only as many succeed as fit."""
    budget, together = budget_at(tmp_path), threading.Barrier(8, timeout=10)

    def reserve() -> bool:
        together.wait()
        with suppress(BudgetExceeded):
            budget.reserve(300)
            return True
        return False

    with ThreadPoolExecutor(max_workers=8) as threads:
        won = [future.result() for future in [threads.submit(reserve) for _ in range(8)]]
    assert (sum(won), budget.reserved_msat) == (3, 900)


async def test_tasks_cannot_pass_a_limit_together(tmp_path: Path) -> None:
    """Nor can tasks that pay at the same time, each awaiting in between."""
    budget = budget_at(tmp_path)

    async def buy() -> int:
        with suppress(BudgetExceeded):
            reservation = budget.reserve(90, fee_msat=10)
            await asyncio.sleep(0.001)
            budget.post(reservation, 95)
            return 95
        return 0

    async with asyncio.TaskGroup() as tasks:
        bought = [tasks.create_task(buy()) for _ in range(20)]
    assert sum(one.result() for one in bought) == budget.spent_today_msat == 950
    assert budget.reserved_msat == 0


def spending(folder: Path, limit_msat: int, amount_msat: int) -> subprocess.Popen[bytes]:
    """A process that spends out of the folder's budget."""
    command = [sys.executable, "-m", "tests.client.spending.spender", str(folder / "book.sqlite")]
    return subprocess.Popen(
        [*command, str(folder / "paid"), str(limit_msat), str(amount_msat)], cwd=ROOT
    )


def really_paid(folder: Path) -> int:
    """What all of them have paid, by their own log."""
    return sum(map(int, (folder / "paid").read_text().split("\n")[:-1]))


def test_processes_cannot_pass_a_limit_together(tmp_path: Path) -> None:
    """Four processes spend one budget to its last full amount, and no further."""
    processes = [spending(tmp_path, 4_000, 70) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    budget = budget_at(tmp_path, day_msat=4_000, now_s=1_763_837_000)
    assert really_paid(tmp_path) == budget.spent_today_msat == 4_000 // 70 * 70


def test_kills_at_any_moment_overspend_nothing(tmp_path: Path) -> None:
    """Killed again and again: what was really paid is booked or still reserved, never forgotten."""
    chance = random.Random(7)
    (tmp_path / "paid").touch()
    for _ in range(10):
        before = really_paid(tmp_path)
        process = spending(tmp_path, 1_000_000, 70)
        while really_paid(tmp_path) == before:
            time.sleep(0.01)
        time.sleep(chance.random() / 10)
        process.kill()
        process.wait(timeout=10)
    budget = budget_at(tmp_path, day_msat=1_000_000, now_s=1_763_837_000)
    counted = budget.spent_today_msat + budget.reserved_msat
    assert 0 < budget.spent_today_msat <= really_paid(tmp_path) <= counted <= 1_000_000
    with pytest.raises(BudgetExceeded):
        budget.reserve(1_000_001 - counted)
    budget.reserve(1_000_000 - counted)


def test_a_spent_budget_says_in_one_sentence_when_it_resets(tmp_path: Path) -> None:
    """Whose limit, what is spent, what is in flight, what is left, and the hour of the reset."""
    budget = StoredBudget(tmp_path / "b", limits=LIMITS, now_s=lambda: START_S)
    budget.post(budget.reserve(300, purpose=purpose("b.example")), 300)
    with pytest.raises(BudgetExceeded) as refused:
        budget.reserve(100, purpose=purpose("b.example"))
    assert str(refused.value) == (
        "the invoice asks for 100 msat; of the hour limit for b.example of 350 msat 300 are spent "
        "and 0 in flight, so 50 are left; it resets at 2025-11-22 19:00 UTC"
    )
    assert budget.reserve(100, purpose=purpose("a.example")).amount_msat == 100


def test_a_request_that_is_too_large_does_not_name_a_reset(tmp_path: Path) -> None:
    """No time makes it fit."""
    budget = StoredBudget(tmp_path / "b", limits=LIMITS, now_s=lambda: START_S)
    with pytest.raises(BudgetExceeded, match="per_request limit of 300 msat") as refused:
        budget.reserve(301)
    assert "resets" not in str(refused.value)


def test_a_limit_in_usd_holds_at_the_rate_of_the_answer(tmp_path: Path) -> None:
    """It is counted in what each payment was worth then, and refuses where no rate is named."""
    limits = BudgetLimits(all_hosts=Limits(micro_usd=Amounts(day=1_000)))
    budget = StoredBudget(tmp_path / "b", limits=limits, now_s=lambda: START_S)
    at_first = Purpose(origin="https://a.example:", micro_usd_per_btc=RATE)
    budget.post(budget.reserve(600, purpose=at_first), 600)
    at_twice = Purpose(origin="https://a.example:", micro_usd_per_btc=2 * RATE)
    assert budget.reserve(200, purpose=at_twice).amount_msat == 200
    with pytest.raises(BudgetExceeded, match="day_usd"):
        budget.reserve(1, purpose=at_twice)
    with pytest.raises(ChallengeRefused, match="no exchange rate"):
        budget.reserve(1, purpose=Purpose(origin="https://a.example:"))
    assert micro_usd_of(1, 1) == 1  # up


def test_as_much_of_the_fee_is_set_aside_as_every_limit_leaves(tmp_path: Path) -> None:
    """The smallest room decides, and under the least that is wanted nothing is reserved."""
    budget = budget_at(tmp_path)
    assert budget.reserve(900, fee_msat=500, fee_msat_min=0).fee_msat == 100
    with pytest.raises(BudgetExceeded):
        budget.reserve(1, fee_msat=1, fee_msat_min=1)


def test_an_invoice_is_set_aside_once_in_all_processes(tmp_path: Path) -> None:
    """Another one for it is refused while it is open and when it is paid, not once released."""
    mine, other = budget_at(tmp_path), budget_at(tmp_path)
    first = mine.reserve(10, purpose=purpose("a.example", "aa" * 32))
    for resolve in (mine.doubt, lambda one: mine.post(one, 10)):
        with pytest.raises(PaymentUnknown, match="not paid again"):
            other.reserve(10, purpose=purpose("a.example", "aa" * 32))
        resolve(first)
    second = mine.reserve(10, purpose=purpose("a.example", "bb" * 32))
    mine.release(second)
    other.reserve(10, purpose=purpose("a.example", "bb" * 32))
    assert mine.reserved_msat == 10


def test_what_is_old_is_unknown_whoever_has_its_process_number_now(tmp_path: Path) -> None:
    """No payment takes an hour: somebody must be asked what became of it."""
    budget_at(tmp_path).reserve(10)
    assert budget_at(tmp_path, now_s=START_S + 3_600).receipts(unknown_only=True) == []
    assert len(budget_at(tmp_path, now_s=START_S + 3_601).receipts(unknown_only=True)) == 1


def test_a_reservation_is_resolved_once(tmp_path: Path) -> None:
    """Posting or releasing twice would make money; it raises instead."""
    budget = budget_at(tmp_path)
    reservation = budget.reserve(500)
    budget.post(reservation, 500)
    budget.doubt(reservation)
    for resolve_again in (budget.release, lambda one: budget.post(one, 1)):
        with pytest.raises(ValueError, match="resolved before"):
            resolve_again(reservation)
    assert (budget.spent_today_msat, budget.reserved_msat) == (500, 0)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds macaroons with their preimages: 0600, in a folder of 0700."""
    budget_at(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new" / "book.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
