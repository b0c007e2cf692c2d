"""What a seller and a buyer do with a task, step by step, each to be done again after a crash."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cobot_meter.domain.api_key.record import KeyWish
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.domain.escrow.states import STATES, Stage
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.task.open_task import TaskWish
from tests.fakes.upstream_outcomes import PRICED_MODEL
from tests.flows.rigs.process import Process
from tests.flows.rigs.stories import ADDRESS, Step, pay
from tests.flows.rigs.stories import Stage as Scene

SELLER = "c_seller"
CAP_MSAT = 1_000_000
CEILING_MSAT = 400_000
MAX_FEE_MSAT = 50_000
FEE_MSAT = 7_000


def request_of(text: str = "?", max_tokens: int = 100) -> CompletionRequest:
    """One run of at most so many tokens."""
    body = b'{"model":"mistralai/mistral-small-2603","messages":[{"role":"user","content":"%b"}]}'
    content = body % text.encode()
    return CompletionRequest(
        body=Body(content),
        model=PRICED_MODEL.model_id,
        max_tokens=max_tokens,
        prompt_bytes=len(content),
        message_count=1,
    )


async def wish_of(process: Process, name: str | None = "one", **changes: object) -> TaskWish:
    """A task of the seller's, whose key is made and whose cap is given where that was not done."""
    shown = await process.flows.manage_keys.make(SELLER, KeyWish(), name="seller")
    if (await process.books.standing(SELLER)).cap_override_msat is None:
        await process.flows.operating.set_caller.cap(SELLER, CAP_MSAT)
    wish = TaskWish(
        key=shown.key,
        ceiling=MaxCost(msat=CEILING_MSAT),
        max_fee_msat=MAX_FEE_MSAT,
        lasts_s=3_600,
        title="",
        name=name,
        address=ADDRESS,
        request_sha256="7a" * 32,
    )
    return replace(wish, **changes)  # type: ignore[arg-type]


async def open_task(stage: Scene) -> None:
    """The seller opens it, or repeats that."""
    await stage.process.flows.tasks.open_task.open(await wish_of(stage.process))


def run_until(answered: int) -> Step:
    """The seller asks runs until so many have answered: a lost one is asked again."""

    async def step(stage: Scene) -> None:
        stage.fault = None
        while len(answered_runs(stage)) < answered and stage.fault is None:
            request = request_of(f"part {answered}")
            digest = hashlib.sha256(request.body.content).hexdigest()
            try:
                await stage.process.flows.tasks.ask_task.answer(
                    stage.escrow, request, request_sha256=digest
                )
            except CobotMeterError as fault:
                stage.fault = fault
            await stage.process.runs.finish()

    return step


async def seal(stage: Scene) -> None:
    """The seller seals an answer."""
    await stage.process.flows.tasks.answer_task.seal(stage.escrow, "42")


async def close(stage: Scene) -> None:
    """The seller closes it for its fee."""
    await stage.process.flows.tasks.close_task.close(stage.escrow, fee_msat=FEE_MSAT)
    await stage.process.runs.finish()


async def give_up(stage: Scene) -> None:
    """The seller gives it up."""
    await stage.process.flows.tasks.close_task.give_up(stage.escrow)


async def claim(stage: Scene) -> None:
    """The buyer shows macaroon and preimage."""
    if STATES[stage.escrow.state].stage is Stage.PAID:
        claimed = stage.process.ask_completion.claim
        stage.answer = await claimed(stage.escrow, caller_id=stage.escrow.caller_id)


async def pay_task(stage: Scene) -> None:
    """The buyer pays."""
    await pay()(stage)


def answered_runs(stage: Scene) -> list[str]:
    """The runs of the newest task that have answered."""
    return [run.run_id for run in stage.escrow.runs if run.has_answered]
