"""Every fault by its name: when it strikes, what it decides, and what becomes of the money.

`GET /control/faults` and the documentation show this table; a client's tests may walk over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from openrouter_simulator.error_answers import AVAILABILITY_CODES, STATUS_FAULTS

_TOGETHER_MAX = 4


class Strikes(StrEnum):
    """When a fault is felt by the client."""

    STATUS = "status"
    BEFORE_HEADERS = "before_headers"
    AFTER_HEADERS = "after_headers"
    MID_STREAM = "mid_stream"
    USAGE = "usage"
    RECORD = "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row. Faults that decide the same thing cannot strike together.

    `charged`: whether credit is taken. `generations`: how many come of the POST. `recorded`:
    whether the generation can be looked up sooner or later. `stream_only`: without a stream the
    answer comes whole and as if there were no fault.
    """

    name: str
    strikes: Strikes
    decides: str
    what: str
    charged: bool = True
    generations: int = 1
    recorded: bool = True
    stream_only: bool = False
    status: int = 200

    def document(self) -> dict[str, object]:
        """The row as JSON has it."""
        return {
            "name": self.name,
            "strikes": self.strikes.value,
            "decides": self.decides,
            "charged": self.charged,
            "generations": self.generations,
            "recorded": self.recorded,
            "stream_only": self.stream_only,
            "status": self.status,
            "what": self.what,
        }


def combined(names: Iterable[str]) -> frozenset[str]:
    """Faults that strike one run together. Raises ValueError with a sentence."""
    asked = [name for name in names if name]
    unknown = [name for name in asked if name not in FAULTS]
    if unknown:
        raise ValueError(f"unknown fault {unknown[0]!r}")
    if len(asked) > _TOGETHER_MAX:
        raise ValueError(f"at most {_TOGETHER_MAX} faults may strike together")
    decided: dict[str, str] = {}
    for name in sorted(set(asked)):
        fault = FAULTS[name]
        if not fault.generations and len(set(asked)) > 1:
            raise ValueError(f"{name} ends before the run, so nothing can strike beside it")
        other = decided.setdefault(fault.decides, name)
        if other != name:
            raise ValueError(f"{other} and {name} both decide the {fault.decides}: take one")
    return _without_clash(frozenset(asked))


def fault_set(text: str) -> frozenset[str]:
    """The faults of `name[, name]`. Raises ValueError."""
    return combined(name.strip() for name in text.split(","))


def fault_names() -> tuple[str, ...]:
    """Every name that can be asked for."""
    return tuple(sorted(FAULTS))


def _without_clash(names: frozenset[str]) -> frozenset[str]:
    for one, other in _CLASHES:
        if one in names and other in names:
            raise ValueError(f"{one} and {other} contradict each other: take one")
    if "plain_json" in names:
        for name in sorted(names):
            if FAULTS[name].stream_only and name != "plain_json":
                raise ValueError(f"{name} needs a stream, and plain_json is none: take one")
    return names


_CLASHES = (
    ("byok", "multi_generation"),
    ("response_cache_hit", "multi_generation"),
    ("zero_cost_confirmed", "multi_generation"),
    ("mid_stream_error_with_usage", "missing_usage"),
    ("usage_in_content_chunk", "missing_usage"),
    ("usage_empty_choices", "missing_usage"),
    ("hang", "no_generation_header"),
    ("reset_before_headers", "no_generation_header"),
    ("charged_502_named", "no_generation_header"),
    ("charged_524_named", "no_generation_header"),
)
_S = Strikes
_COURSE = "course of the answer"
_USAGE = "usage that is told"
_BILL = "bill"
_RECORD = "record"
_LOOK_UP = "look-up"

# name, strikes, what; charged in full, streamed or not
_COURSES: tuple[tuple[str, Strikes, str], ...] = (
    ("bad_json", _S.MID_STREAM, "JSON that ends in the middle, with status 200"),
    ("charged_502", _S.BEFORE_HEADERS, "ran, was charged, and answered 502"),
    ("charged_502_named", _S.BEFORE_HEADERS, "charged_502 with the generation's id in a header"),
    ("charged_524_named", _S.BEFORE_HEADERS, "ran, was charged, and answered 524 with the id"),
    ("choices_null", _S.MID_STREAM, "200 with `choices: null` and a usage"),
    ("empty_answer", _S.MID_STREAM, "no word of an answer; the prompt is charged"),
    ("endless_comments", _S.MID_STREAM, "comments (whitespace, if not streamed) without end"),
    ("endless_stream", _S.MID_STREAM, "words (whitespace, if not streamed) without end"),
    ("hang", _S.BEFORE_HEADERS, "accepted, charged, never answered"),
    ("hang_after_headers", _S.AFTER_HEADERS, "headers, and then nothing"),
    ("huge_body", _S.MID_STREAM, "one answer (one frame, if streamed) of 65 MiB"),
    ("overlong_answer", _S.MID_STREAM, "four times max_tokens, and charged for it"),
    ("reset_after_headers", _S.AFTER_HEADERS, "connection lost after the headers"),
    ("reset_before_headers", _S.BEFORE_HEADERS, "ran, and the connection lost before the headers"),
    ("reset_mid_stream", _S.MID_STREAM, "connection lost in the middle of the answer"),
)
_STREAMED_COURSES: tuple[tuple[str, Strikes, str], ...] = (
    ("cut_before_done", _S.MID_STREAM, "ends politely after the usage, without [DONE]"),
    ("cut_stream", _S.MID_STREAM, "ends politely in the middle"),
    ("hang_mid_stream", _S.MID_STREAM, "stops talking in the middle"),
    ("malformed_frame", _S.MID_STREAM, "a frame that is no JSON, in the middle"),
    ("plain_json", _S.AFTER_HEADERS, "a whole JSON answer although a stream was asked for"),
    ("reset_before_done", _S.MID_STREAM, "connection lost after the usage, before [DONE]"),
)
_ON_TOP: tuple[tuple[str, str, Strikes, str], ...] = (
    ("comments_mid_stream", "comments", _S.MID_STREAM, "comment lines between the frames"),
    ("no_generation_header", "headers", _S.AFTER_HEADERS, "no X-Generation-Id"),
    ("usage_empty_choices", "usage frame", _S.USAGE, "usage with `choices: []`, as documented"),
    ("usage_in_content_chunk", "usage frame", _S.USAGE, "usage beside the last words"),
)
_USAGES: tuple[tuple[str, str], ...] = (
    ("absurd_cost", "says a cost of 987654321.0 USD"),
    ("cost_1e400", "says `1e400`, which no double holds"),
    ("cost_as_text", "says the cost as a JSON string"),
    ("cost_nan", "says `NaN`, which is no JSON"),
    ("cost_scientific", "says the cost with an exponent"),
    ("missing_usage", "no usage at all"),
    ("negative_cost", "says a cost below zero"),
    ("no_cost", "usage without `cost`"),
    ("reasoning_over_completion", "more reasoning tokens than completion tokens"),
    ("usage_null", "`usage: null`"),
    ("zero_cost", "says 0, the record knows better"),
    ("zero_usage", "all zeros, the record knows better"),
)
_BILLS: tuple[tuple[str, bool, str], ...] = (
    ("byok", False, "cost 0: the money went over our own key at the provider"),
    ("cache_write", True, "the prompt was written to a cache: dearer, cache_discount below 0"),
    ("cached_prompt", True, "most of the prompt was cached, and cheaper"),
    ("response_cache_hit", False, "an answer from the response cache: usage all 0, cost 0"),
    ("server_tool_surcharge", True, "one web search beside the tokens, 0.007 USD"),
    ("zero_cost_confirmed", False, "says 0, and the record agrees"),
)
_RECORDS: tuple[tuple[str, str], ...] = (
    ("record_absurd_cost", "its total_cost says 987654321.0 USD"),
    ("record_cost_1e400", "its total_cost says `1e400`"),
    ("record_cost_nan", "its total_cost says `NaN`"),
    ("record_cost_scientific", "its total_cost is right, with an exponent"),
    ("record_negative_cost", "its total_cost is below zero"),
    ("record_no_cost", "it has no total_cost and no usage"),
    ("record_of_another", "it shows another generation's id"),
)
_LOOK_UPS: tuple[tuple[str, str], ...] = (
    ("record_bad_json", "the first two look-ups get JSON that ends in the middle"),
    ("record_fails_402", "the first two look-ups get 402"),
    ("record_fails_429", "the first two look-ups get 429 with Retry-After"),
    ("record_fails_500", "the first two look-ups get 500"),
    ("record_hangs", "the first two look-ups hang"),
    ("record_reset", "the first two look-ups lose the connection"),
    ("slow_record", "ten times the lag"),
)


def _rows() -> Iterable[Fault]:
    for name, strikes, what in _COURSES:
        status = int(name[8:11]) if name.startswith("charged_") else 200
        yield Fault(name=name, strikes=strikes, decides=_COURSE, what=what, status=status)
    for name, strikes, what in _STREAMED_COURSES:
        yield Fault(name=name, strikes=strikes, decides=_COURSE, what=what, stream_only=True)
    for name, what in (
        ("empty_answer_insured", "no word and no finish reason: not charged"),
        ("error_200", "status 200, and an error in the body"),
        ("mid_stream_error", "an error in the middle of a 200; not charged"),
        ("mid_stream_error_text_code", "the same, with a text for its code"),
    ):
        yield Fault(name=name, strikes=_S.MID_STREAM, decides=_COURSE, what=what, charged=False)
    yield Fault(
        name="mid_stream_error_with_usage",
        strikes=_S.MID_STREAM,
        decides=_COURSE,
        what="an error and the usage in one frame; charged",
    )
    for name, decides, strikes, what in _ON_TOP:
        frame = name != "no_generation_header"
        yield Fault(name=name, strikes=strikes, decides=decides, what=what, stream_only=frame)
    yield Fault(
        name="wrong_model", strikes=_S.MID_STREAM, decides="model", what="names a model never asked"
    )
    yield Fault(
        name="persuaded",
        strikes=_S.MID_STREAM,
        decides="words of the answer",
        what="calls what the last message spells out as `name({...})`, offered or not",
    )
    for name, what in _USAGES:
        yield Fault(name=name, strikes=_S.USAGE, decides=_USAGE, what=what)
    for name, charged, what in _BILLS:
        yield Fault(name=name, strikes=_S.USAGE, decides=_BILL, what=what, charged=charged)
    yield from _late_rows()


def _late_rows() -> Iterable[Fault]:
    for name, what in _RECORDS:
        yield Fault(name=name, strikes=_S.RECORD, decides=_RECORD, what=what)
    for name, what in _LOOK_UPS:
        yield Fault(name=name, strikes=_S.RECORD, decides=_LOOK_UP, what=what)
    yield Fault(
        name="never_recorded",
        strikes=_S.RECORD,
        decides=_LOOK_UP,
        what="the look-up stays 404 for ever",
        recorded=False,
    )
    yield Fault(
        name="multi_generation",
        strikes=_S.RECORD,
        decides="number of generations",
        what="a second generation under the same request_id; the inline cost is of both",
        generations=2,
    )
    yield Fault(
        name="price_rise",
        strikes=_S.USAGE,
        decides="price",
        what="the price doubles before the run; 404 if max_price forbids it",
    )
    yield Fault(
        name="reset_before_run",
        strikes=_S.BEFORE_HEADERS,
        decides="refusal",
        what="connection lost before anything ran",
        charged=False,
        generations=0,
        recorded=False,
    )
    for name, answer in STATUS_FAULTS.items():
        code = name.removeprefix("availability_")
        what = f"refused: `error.availability.code` {code}"
        yield Fault(
            name=name,
            strikes=_S.STATUS,
            decides="refusal",
            what=what if code in AVAILABILITY_CODES else f"refused: {answer.message}",
            charged=False,
            generations=0,
            recorded=False,
            status=answer.status,
        )


FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _rows()}
RUN_FAULTS = frozenset(name for name, fault in FAULTS.items() if fault.generations)
