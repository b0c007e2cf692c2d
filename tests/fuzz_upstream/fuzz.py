"""The loop: an input, an ask, a payment, a reading; and what must hold whatever was sent."""

from __future__ import annotations

import gc
import logging
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cobot_meter.domain.errors import Broken, CobotMeterError
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.prices import PriceTerms
from cobot_meter.flows.sale.ask_completion import AnswerKind
from cobot_meter.http_api.chat.answers import completion_answer
from cobot_meter.http_api.chat.receipts import Receipt
from cobot_meter.http_api.model_routes import endpoint_document, model_document
from cobot_meter.ports.upstream import Upstream
from tests.fuzz_upstream.inputs import Inputs
from tests.fuzz_upstream.rig import MODEL, RawRig, json_reply, model_row, models_of, open_raw_rig

CREDIT_MSAT = 10**10
# Memory is measured from here on: what is loaded once is loaded by then. What is in use stays what
# it is (within 0.1 MiB over 6,000 inputs); what grows, and levels off some thousands later, is what
# the allocator keeps free.
WARM_AFTER = 1_000
PAGE_BYTES = 4_096
DAY_S = 86_400
LISTS_EACH = 7
INVOICE_EACH = 40
DAYS_EACH = 60
RATE = ExchangeRate(usd_micro_per_btc=10**9, source="static", fetched_at_ms=0)
TERMS = PriceTerms()


@dataclass(slots=True)
class FuzzReport:
    """What was sent, what came of it, and what should not have."""

    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    warm_bytes: int = 0
    grown_bytes: int = 0

    def __str__(self) -> str:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in self.outcomes.most_common())
        return (
            f"{self.sent:,} inputs, memory grew by {self.grown_bytes / 2**20:.1f} MiB, "
            f"{len(self.wrong)} wrong; {outcomes}"
        )


class _Errors(logging.Handler):
    """Every traceback that is logged."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or "unforeseen" in record.getMessage():
            self._wrong.append(f"logged: {record.getMessage()}")


async def _nothing(_number: int) -> None:
    """What is done before each input."""


async def fuzz(
    path: Path,
    *,
    seed: int,
    inputs_max: int,
    until_s: float,
    before_each: Callable[[int], Awaitable[None]] = _nothing,
) -> FuzzReport:
    """At most so many inputs, or until that moment of the monotonic clock; then the reckoning."""
    report = FuzzReport()
    errors = _Errors(report.wrong)
    logging.getLogger().addHandler(errors)
    try:
        async with open_raw_rig(path) as rig:
            await rig.top_up(CREDIT_MSAT)
            inputs = Inputs(seed)
            while report.sent < inputs_max and time.monotonic() < until_s and not report.wrong:
                await _once(rig, inputs, report, before_each)
                if report.sent == WARM_AFTER:
                    report.warm_bytes = _resident_bytes()
            if report.warm_bytes:
                report.grown_bytes = _resident_bytes() - report.warm_bytes
            await _reckoned(rig, report)
    finally:
        logging.getLogger().removeHandler(errors)
    return report


async def _once(
    rig: RawRig,
    inputs: Inputs,
    report: FuzzReport,
    before_each: Callable[[int], Awaitable[None]],
) -> None:
    report.sent += 1
    rig.upstream.run, rig.upstream.record = inputs.run(), inputs.record()
    try:
        await before_each(report.sent)
        report.outcomes[await _sold(rig, report.sent)] += 1
        if report.sent % LISTS_EACH == 0:
            await _listed(rig, inputs, report)
        if report.sent % DAYS_EACH == 0:
            await rig.later(2 * DAY_S)
            await rig.process.catalogue.refresh()
    except Exception:  # noqa: BLE001 - every fault that is none of ours is what is looked for
        report.wrong.append(f"input {report.sent} of this seed:\n{traceback.format_exc()}")
    if rig.process.release_gate.closed_by is not None:
        report.wrong.append(
            f"input {report.sent} closed the gate: {rig.process.release_gate.closed_by}"
        )


async def _sold(rig: RawRig, number: int) -> str:
    """What the caller got, written as an answer both ways."""
    stranger = None if number % INVOICE_EACH == 0 else "c_alice"
    try:
        answer = await rig.bought(rig.ask(caller_id=stranger))
    except Broken:
        raise
    except CobotMeterError as fault:
        return fault.code
    if answer.kind is AnswerKind.COMPLETION:
        for stream in (False, True):
            completion_answer(Receipt(answer.escrow), answer.body, stream=stream)
    return answer.kind.value


async def _listed(rig: RawRig, inputs: Inputs, report: FuzzReport) -> None:
    """A list of models, of endpoints and a key, each broken; then an honest list again."""
    upstream, process = rig.upstream, rig.process
    upstream.models, upstream.endpoints = inputs.models(), inputs.endpoints()
    upstream.key = inputs.key()
    for name, asked in (("models", _models), ("endpoints", _endpoints), ("account", _account)):
        try:
            await asked(process.lasting.upstream)
        except Broken:
            raise
        except CobotMeterError as fault:
            report.outcomes[f"{name}: {fault.code}"] += 1
        else:
            report.outcomes[f"{name}: read"] += 1
    upstream.models = json_reply(models_of(model_row()))
    await process.catalogue.refresh()


async def _models(upstream: Upstream) -> None:
    for model in await upstream.models():
        model_document(model, RATE, TERMS)


async def _endpoints(upstream: Upstream) -> None:
    for endpoint in await upstream.endpoints(MODEL):
        endpoint_document(endpoint, RATE, TERMS)


async def _account(upstream: Upstream) -> None:
    for holder in upstream.account_holders():
        await holder.account()


async def _reckoned(rig: RawRig, report: FuzzReport) -> None:
    try:
        await rig.reckon()
    except (AssertionError, CobotMeterError):
        report.wrong.append(f"the reckoning:\n{traceback.format_exc()}")


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
