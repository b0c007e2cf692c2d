"""Every fault of the simulator, alone and together: all that was billed is in the books.

The flows run over the real adapter and real sockets, and the simulator's own book is the other
side.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.callers import CapTerms, ExposureTerms
from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import pusd_from_decimal
from cobot_meter.domain.run.states import RunState
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.sale.ask_completion import AnswerKind, Ask
from cobot_meter.http_api.views import completion_document
from cobot_meter.ports.upstream import AccountHolder
from openrouter_simulator.account import Account
from openrouter_simulator.app import build_simulator
from openrouter_simulator.faults.fault_table import FAULTS, Strikes, combined
from tests.fakes.books import FakeBooks
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import serving
from tests.fakes.twin_books import twin_books
from tests.fakes.upstream import FakeUpstream
from tests.flows.rigs.process import RETENTION, Lasting, Process
from tests.flows.rigs.stories import Stage, ask_of, end, hear, pay
from tests.flows.sale.test_crash_points import prove_sound

FIRST, SECOND = "anthropic/claude-haiku-4.5", "mistralai/mistral-small-2603"
WIDE = ExposureTerms(
    cap=CapTerms(newcomer_msat=10**9, max_msat=10**10),
    address_day_pusd=10**11,
    newcomers_day_pusd=10**14,
    proven_day_pusd=10**14,
)
WITHIN_S = 1.0
SOAKED_WITHIN_S = 0.3
PATIENT_S = 30.0
BYTES_MAX = 300_000
# What ends in the middle, or never: whoever sells it sells half an answer.
NEVER_SOLD = frozenset(
    {
        "bad_json",
        "choices_null",
        "cut_stream",
        "empty_answer_insured",
        "endless_comments",
        "endless_stream",
        "error_200",
        "hang",
        "hang_after_headers",
        "hang_mid_stream",
        "huge_body",
        "malformed_frame",
        "mid_stream_error",
        "mid_stream_error_with_usage",
        "reset_after_headers",
        "reset_before_headers",
        "reset_mid_stream",
    }
)
# Where no generation is ever named, or its record never tells the truth, only sums do.
NAMELESS = frozenset(
    {
        "multi_generation",
        "never_recorded",
        "no_generation_header",
        *(name for name, fault in FAULTS.items() if fault.decides == "record"),
    }
)


@asynccontextmanager
async def staged_on_the_simulator(
    path: Path, *, within_s: float = WITHIN_S
) -> AsyncIterator[tuple[Stage, Account]]:
    """A stage whose upstream is the simulator behind the real adapter."""
    clock = FakeClock(leaping=True)
    simulator = build_simulator(
        seed=1, credit_usd=Decimal(100), lag_s=1.0, latency_s=0.0, clock=clock, api_key="k"
    )
    simulator.account.timing.hang_s = 2 * within_s
    async with contextlib.AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(serving(simulator))
        client = await stack.enter_async_context(http_session(HttpLimits()))
        node = stack.enter_context(
            contextlib.closing(
                DevNode(path=path / "node", network="regtest", alias="dev", clock=clock)
            )
        )
        terms = OpenRouterSettings(
            name="gateway",
            base_url=f"{base_url}/api/v1",
            api_key="k",
            timeout_s=within_s,
            query_timeout_s=within_s,
            answer_bytes_max=BYTES_MAX,
        )
        books = FakeBooks(retention=RETENTION)
        twins = twin_books(books, path, retention=RETENTION)
        lasting = Lasting(
            books=(await stack.enter_async_context(twins))[0],
            node=node,
            identity=await node.identity(),
            clock=clock,
            upstream=cast("FakeUpstream", _Spending(client, terms, simulator.account)),
        )
        process = Process(lasting, exposure=WIDE)
        await process.start()
        yield Stage(lasting=lasting, books=books, node=node, process=process), simulator.account


class _Spending(OpenRouter):
    """The adapter, and what its other side has charged.

    Runs and look-ups are given up soon, so that faults which hang cost little time. No fault
    strikes the list of models or the key: those are waited for, however busy the machine is.
    """

    def __init__(self, client: Any, terms: OpenRouterSettings, account: Account) -> None:  # noqa: ANN401
        super().__init__(client, terms)
        self._account = account
        self._patient = OpenRouter(client, replace(terms, query_timeout_s=PATIENT_S))

    async def models(self) -> tuple[Model, ...]:
        return await self._patient.models()

    async def usage_pusd(self) -> int:
        return await self._patient.usage_pusd()

    def account_holders(self) -> tuple[AccountHolder, ...]:
        return (self._patient,)

    @property
    def spent_pusd(self) -> int:
        """Our credit, and what providers took from a key of our own."""
        book = self._account.book
        byok = sum((one.upstream_inference_cost for one in book.generations), Decimal(0))
        return pusd_from_decimal(book.spent_usd + byok)


def asked(number: int) -> Ask:
    """One caller's ask of the first model, that may go on with the second."""
    body = orjson.dumps(
        {
            "model": FIRST,
            "messages": [{"role": "user", "content": f"Tell me about harbour {number}"}],
        }
    )
    plain = ask_of(caller_id=f"c_{number}", body=body, address=f"203.0.113.{number % 250}")
    request = replace(
        plain.request, model=FIRST, fallback_models=(SECOND,), max_tokens=64, prompt_bytes=len(body)
    )
    return replace(plain, request=request)


async def sold(stage: Stage, ask: Ask) -> Escrow | None:
    """Ask, pay and claim; what was bought, or None for a failure."""
    try:
        answer = await stage.process.ask_completion.answer(ask)
    except CobotMeterError:
        await stage.process.runs.finish()
        return None
    await stage.process.runs.finish()
    if answer.kind is AnswerKind.CHALLENGE:
        await pay()(stage)
        await hear(stage)
        proof = replace(ask, proven_escrow_id=answer.escrow.escrow_id)
        answer = await stage.process.ask_completion.answer(proof)
    assert answer.kind is AnswerKind.COMPLETION
    document = completion_document(answer.escrow, answer.body)
    assert orjson.dumps(document)
    assert document["choices"][0]["finish_reason"] in {"stop", "length", "tool_calls"}
    return answer.escrow


async def reckon(stage: Stage, account: Account) -> None:
    """Days later: every dollar of the bill is in the books, and nobody paid for a failure."""
    await end(stage)
    await prove_sound(stage)
    account.book.verify()
    account.book.verify_posts()
    escrows = list(stage.books.rows.escrows.values())
    for escrow in escrows:
        assert escrow.price_msat <= escrow.quote.ceiling_msat
        if escrow.progress is Progress.FAILED:
            assert escrow.paid_msat == 0
            assert escrow.invoice is None
    runs = [run for escrow in escrows for run in escrow.runs]
    assert account.book.runs <= len(runs), "nothing that may have run was asked for again"


def unattributed(stage: Stage) -> int:
    """What only sums could tell."""
    return stage.books.rows.ledger.of(chart.COST_UNATTRIBUTED).net


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_the_ledger_equals_the_bill(name: str, tmp_path: Path) -> None:
    """This fault, once: Σ ledger cost == the bill to the last pico-USD, and no half answer sold."""
    async with staged_on_the_simulator(tmp_path) as (stage, account):
        account.faults.queue([name])
        bought = await sold(stage, asked(1))
        (escrow,) = stage.books.rows.escrows.values()
        if name in NEVER_SOLD:
            assert escrow.runs[0].state is RunState.FAILED
            assert bought is not None, "the next model answered"
            assert bought.model == SECOND
        await reckon(stage, account)
        fault = FAULTS[name]
        named = fault.strikes is not Strikes.BEFORE_HEADERS and name not in NAMELESS
        if named or not fault.charged:
            assert unattributed(stage) == 0


@pytest.mark.parametrize("cut", ["cut_stream", "malformed_frame", "reset_mid_stream"])
async def test_usage_beside_the_words_of_half_an_answer(cut: str, tmp_path: Path) -> None:
    """Found by the random pairs: a bill that came with a word is no end, and nothing is sold."""
    async with staged_on_the_simulator(tmp_path) as (stage, account):
        account.faults.queue([", ".join(combined(("usage_in_content_chunk", cut)))])
        await sold(stage, asked(1))
        (escrow,) = stage.books.rows.escrows.values()
        assert escrow.runs[0].state is RunState.FAILED
        await reckon(stage, account)


@pytest.mark.parametrize("charged", ["multi_generation", "server_tool_surcharge"])
async def test_an_empty_answer_without_a_reason_is_not_sold(charged: str, tmp_path: Path) -> None:
    """Found by the random pairs: also where the upstream charges for something beside it."""
    async with staged_on_the_simulator(tmp_path) as (stage, account):
        account.faults.queue([", ".join(combined(("empty_answer_insured", charged)))])
        await sold(stage, asked(1))
        (escrow,) = stage.books.rows.escrows.values()
        assert escrow.runs[0].state is RunState.FAILED
        await reckon(stage, account)


async def soaked(path: Path, faults: Sequence[str]) -> None:
    """So many asks, each with its faults, against one service; then the reckoning."""
    async with staged_on_the_simulator(path, within_s=SOAKED_WITHIN_S) as (stage, account):
        for number, names in enumerate(faults):
            account.faults.queue([names])
            await sold(stage, asked(number))
        await reckon(stage, account)


async def test_a_day_of_faults(tmp_path: Path) -> None:
    """All of them one after the other in the same books: the sums still agree."""
    quick = [name for name in sorted(FAULTS) if "hang" not in name and "endless" not in name]
    await soaked(tmp_path, quick[::3])


def allowed_pairs() -> list[str]:
    """Every two faults that may strike one run together."""
    pairs = []
    for one, other in itertools.combinations(sorted(FAULTS), 2):
        with contextlib.suppress(ValueError):
            pairs.append(", ".join(sorted(combined((one, other)))))
    return pairs


async def soaked_together(folder: Path, faults: Sequence[Sequence[str]]) -> None:
    """Several services at once, because most of their time is spent waiting."""
    async with asyncio.TaskGroup() as tasks:
        for number, each in enumerate(faults):
            path = folder / f"{number}"
            path.mkdir()
            tasks.create_task(soaked(path, each))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@settings(
    max_examples=20,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(
    faults=st.lists(
        st.lists(st.sampled_from(allowed_pairs()), min_size=20, max_size=20),
        min_size=5,
        max_size=5,
    )
)
def test_two_thousand_pairs_of_faults(faults: list[list[str]]) -> None:
    """Any two at once, twenty runs to a ledger, a hundred ledgers: the sums agree in each."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(soaked_together(Path(folder), faults))
