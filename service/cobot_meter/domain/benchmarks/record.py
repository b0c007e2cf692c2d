"""What one item at one model came to: a line of the file that reports are made from.

A line stands for itself: it says what was asked (by the hash of the prompts), of whom, who served
it, what it cost, how long it took and how it was judged. No prompt and no reply is in it.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from cobot_meter.domain import outside
from cobot_meter.domain.benchmarks.item import Item

MS_PER_DAY = 86_400_000
TEMPERATURE = 0
# What differs from one run to the next whatever is asked: names, and times.
_NEVER_THE_SAME = frozenset({"run_id", "at_ms", "generation_id", "ttft_ms", "total_ms"})
_PLAIN_MAX = 80


class ReplyVerdict(enum.StrEnum):
    """An `ERROR` says nothing of the model's quality: nobody knows what it would have said."""

    RIGHT = "right"
    WRONG = "wrong"
    ERROR = "error"


class RunKind(enum.StrEnum):
    """A run of our own items, the daily probe, or items that lie in the open.

    What lies in the open every model may have learnt: it is held against itself and ranks nobody.
    """

    FULL = "full"
    PROBE = "probe"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, and what the service said about it; `error` is empty where it ended well.

    `cost_pusd` is what the upstream charges, `price_msat` what the key paid; None: not said.
    """

    text: str = ""
    provider: str = ""
    generation_id: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_pusd: int | None = None
    price_msat: int | None = None
    finish_reason: str = ""
    ttft_ms: int | None = None
    total_ms: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """What all records of one run have in common."""

    run_id: str
    kind: RunKind
    prompt_set: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRecord:
    """One item at one model."""

    run_id: str
    kind: RunKind
    prompt_set: str
    seed: int
    at_ms: int
    item_id: str
    task: str
    model: str
    provider: str
    temperature: int
    max_tokens: int
    generation_id: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_pusd: int | None
    price_msat: int | None
    ttft_ms: int | None
    total_ms: int
    finish_reason: str
    verdict: ReplyVerdict
    error: str

    @property
    def day(self) -> int:
        """The UTC day of it, counted from 1970."""
        return self.at_ms // MS_PER_DAY

    @property
    def judged(self) -> bool:
        """Whether it says something about the model."""
        return self.verdict is not ReplyVerdict.ERROR

    @property
    def right(self) -> bool:
        """Whether the reply passed."""
        return self.verdict is ReplyVerdict.RIGHT

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def repeatable(self) -> dict[str, Any]:
        """What another run from the same seed says again, of a model that answers alike."""
        return {name: said for name, said in asdict(self).items() if name not in _NEVER_THE_SAME}


def record_of(head: RunHead, item: Item, model: str, reply: Reply, *, at_ms: int) -> BenchRecord:
    """Judge a reply, and keep all of it but its text."""
    verdict = ReplyVerdict.ERROR
    if not reply.error:
        verdict = ReplyVerdict.RIGHT if item.check.passes(reply.text) else ReplyVerdict.WRONG
    kept = {name: said for name, said in asdict(reply).items() if name != "text"}
    return BenchRecord(
        **asdict(head),
        **kept,
        at_ms=at_ms,
        item_id=item.item_id,
        task=item.task,
        model=model,
        temperature=TEMPERATURE,
        max_tokens=item.max_tokens,
        verdict=verdict,
    )


def read_record(line: str) -> BenchRecord:
    """The record of a line. Raises ValueError for what is none."""
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("not a record")  # noqa: TRY004 - a fault of a document
    values = {field.name: said.get(field.name) for field in fields(BenchRecord)}
    counted = _counts(values)
    named = {
        name: outside.maybe_text(value, most=_PLAIN_MAX + outside.NAME_MAX)
        for name, value in values.items()
        if name not in counted
    }
    if not (named["model"] and named["item_id"] and named["task"]):
        raise ValueError("not a record of an item at a model")
    return BenchRecord(
        **{
            **named,
            **counted,
            "kind": RunKind(named["kind"]),
            "verdict": ReplyVerdict(named["verdict"]),
        }
    )


_NUMBERS = ("seed", "at_ms", "temperature", "max_tokens", "total_ms")
_MAYBE_NUMBERS = ("prompt_tokens", "completion_tokens", "cost_pusd", "price_msat", "ttft_ms")
_MOST = 10**16


def _counts(values: dict[str, object]) -> dict[str, Any]:
    counted: dict[str, Any] = {
        name: outside.count(values[name], most=_MOST) for name in (*_NUMBERS, *_MAYBE_NUMBERS)
    }
    missing = [name for name in _NUMBERS if counted[name] is None]
    if missing:
        raise ValueError(f"{missing[0]} is no number")
    return counted
