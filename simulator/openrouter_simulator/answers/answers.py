"""The words of an answer: thoughts first, then what is said, both within max_tokens.

Must not know: prices, HTTP or faults, but for how much longer an answer is than it may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from openrouter_simulator.routing.asks import BYTES_PER_TOKEN, tokens_of
from openrouter_simulator.routing.routing import Order
from openrouter_simulator.shapes.forms import ToolCall, persuaded
from openrouter_simulator.shapes.plausible_text import plausible_answer

_PIECE_WORDS = 4
_OVERLONG_TOKENS = 64
_THINKING_PERCENT = 50
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One choice: a text or a call. `finish_reason` None: it never came to an end."""

    text: str
    finish_reason: str | None
    thoughts: str = ""
    call: ToolCall | None = None

    @property
    def reasoning_tokens(self) -> int:
        """Native tokens of the thoughts."""
        return tokens_of(len(self.thoughts.encode()))

    @property
    def tokens(self) -> int:
        """Native tokens of thoughts, text and call."""
        called = f"{self.call.name}{self.call.arguments}" if self.call else ""
        return tokens_of(len(f"{self.text}{called}".encode())) + self.reasoning_tokens


def answers_to(
    order: Order, *, seed: str, faults: frozenset[str], given: str | None = None
) -> tuple[Answer, ...]:
    """Every choice of an order; the same for the same order and seed.

    With a `given` text that is said, whatever form or tools were asked for.
    """
    if "empty_answer" in faults or "empty_answer_insured" in faults:
        reason = "stop" if "empty_answer" in faults else None
        return tuple(Answer(text="", finish_reason=reason) for _ in range(order.ask.choices))
    if given is not None:
        thoughts = _thoughts(order, seed=seed)
        said, reason = cut_to_tokens(given, _left(order, thoughts))
        one = Answer(text=said, finish_reason=reason, thoughts=thoughts)
        return (one,) * order.ask.choices
    overlong = "overlong_answer" in faults
    if "persuaded" in faults:
        order = replace(order, ask=replace(order.ask, form=persuaded(order.ask.form)))
    return tuple(
        _answer(order, seed=f"{seed}:{number}" if number else seed, overlong=overlong)
        for number in range(order.ask.choices)
    )


def cut_to_tokens(text: str, max_tokens: int) -> tuple[str, str]:
    """The text as far as `max_tokens` go, and the finish reason."""
    data = text.encode()
    if tokens_of(len(data)) <= max_tokens:
        return text, "stop"
    return data[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore"), "length"


def pieces_of(text: str) -> Iterator[str]:
    """A text as a stream delivers it, a few words at a time."""
    words = text.split(" ")
    for start in range(0, len(words), _PIECE_WORDS):
        piece = " ".join(words[start : start + _PIECE_WORDS])
        yield piece if start == 0 else f" {piece}"


def _answer(order: Order, *, seed: str, overlong: bool) -> Answer:
    thoughts = _thoughts(order, seed=seed)
    text = order.ask.form.text(order.ask.prompt, seed=seed)
    if overlong:
        wanted = (order.max_tokens + _OVERLONG_TOKENS) * BYTES_PER_TOKEN
        text = (f"{text} " * (wanted // len(text) + 1))[:wanted]
        return Answer(text=text, finish_reason="stop", thoughts=thoughts)
    left = _left(order, thoughts)
    call = order.ask.form.call(order.ask.prompt, seed=seed)
    if call is not None:
        return _calling(call, left, thoughts)
    said, finish_reason = cut_to_tokens(text, left)
    return Answer(text=said, finish_reason=finish_reason, thoughts=thoughts)


def _left(order: Order, thoughts: str) -> int:
    """Tokens that are left for what is said."""
    return order.max_tokens - tokens_of(len(thoughts.encode()))


def _calling(call: ToolCall, left: int, thoughts: str) -> Answer:
    """The call, its arguments as far as the tokens go."""
    name_tokens = tokens_of(len(call.name.encode()))
    arguments, reason = cut_to_tokens(call.arguments, max(0, left - name_tokens))
    finish_reason = "tool_calls" if reason == "stop" else reason
    cut = replace(call, arguments=arguments)
    return Answer(text="", finish_reason=finish_reason, thoughts=thoughts, call=cut)


def _thoughts(order: Order, *, seed: str) -> str:
    """What is thought before the answer: never more than its share of max_tokens."""
    ask = order.ask
    percent = ask.thinking_percent
    if order.model.must_think and not percent:
        percent = _THINKING_PERCENT
    if not percent or not order.model.thinks:
        return ""
    budget = order.max_tokens * percent // _PERCENT
    if ask.thinking_max is not None:
        budget = ask.thinking_max
    return cut_to_tokens(plausible_answer(ask.prompt, seed=f"{seed}:thoughts"), budget)[0]
