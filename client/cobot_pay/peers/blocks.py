"""The part of a message between two agents that their programs read: one JSON object in a fence.

A message is sentences for people, and at its end at most one such block. Whoever reads one takes
the last, so that a text within the message cannot speak for its sender. Everything in it is a
stranger's word: sizes and types are checked here, truth by whoever acts on it.
Must not know: channels, money or what is done with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MESSAGE_CHARACTERS_MAX = 200_000
BLOCK_CHARACTERS_MAX = 20_000
MSAT_MAX = 2_100_000_000_000_000_000
# In the context of `loop.before_llm`: this call is a task's, and nobody else buys it.
PAID_OTHERWISE = "paid_otherwise"
ANSWER_HEAD = "Paid, thank you. The answer:"

_FENCE = "```cobot-meter"
_BLOCK = re.compile(r"(?:\A|\n)```cobot-meter\n(\{[^\n]*\})\n```\s*\Z")
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEXT_MAX = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A task, and the most that its asker pays; the task itself are the sentences above it."""

    ref: str
    max_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a finished task costs, taken apart, and all that paying and fetching it needs.

    `amount_msat` is what the invoice asks for, which may be the total in whole satoshi. `url` is
    the sale at the service; behind it the sealed answer is fetched with the macaroon and
    the preimage. `expires_at` is in Unix seconds; `micro_usd_per_btc` is the exchange rate that it
    was made with, 0 where none is named.
    """

    ref: str
    task: str
    total_msat: int
    amount_msat: int
    service_fee_msat: int
    seller_fee_msat: int
    cost_usd: str
    invoice: str
    payment_hash: str
    macaroon: str
    url: str
    expires_at: int
    micro_usd_per_btc: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The answer of a paid task, which are the sentences above it."""

    ref: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Why there is no answer, or not yet. With `over` nothing follows, and nothing is owed."""

    ref: str
    reason: str
    over: bool


Block = Ask | Bill | Delivered | Notice
_KINDS: Mapping[str, type[Block]] = {
    "ask": Ask,
    "bill": Bill,
    "delivered": Delivered,
    "notice": Notice,
}
_MAY_LACK_A_REF = (Bill, Delivered, Notice)


def with_block(text: str, block: Block) -> str:
    """The sentences with the block at their end."""
    kind = next(name for name, one in _KINDS.items() if isinstance(block, one))
    return f"{text}\n\n{_FENCE}\n{json.dumps({'kind': kind, **asdict(block)})}\n```"


def read_block(message: str) -> Block | None:
    """The block at the end of a message; None where there is none, or none that can be right."""
    if len(message) > MESSAGE_CHARACTERS_MAX:
        return None
    at = message.rfind(_FENCE)
    if at < 0 or len(message) - at > BLOCK_CHARACTERS_MAX:
        return None
    found = _BLOCK.search(message, max(at - 1, 0))
    if found is None:
        return None
    try:
        said = json.loads(found[1])
    except (ValueError, RecursionError):
        return None
    return _block(said)


def sentences(message: str) -> str:
    """The message without its block."""
    if read_block(message) is None:
        return message
    return message[: message.rfind(_FENCE)].rstrip()


def answer_in(message: str) -> str:
    """The answer that a `Delivered` message carries: what stands under its head."""
    _, _, answer = sentences(message).partition(f"{ANSWER_HEAD}\n\n")
    return answer


def _block(said: Mapping[str, Any]) -> Block | None:
    kind = _KINDS.get(str(said.get("kind")))
    if kind is None:
        return None
    fields = kind.__dataclass_fields__
    values: dict[str, Any] = {name: said.get(name) for name in fields}
    if not all(_fits(name, values[name], str(fields[name].type)) for name in fields):
        return None
    if not values["ref"] and kind not in _MAY_LACK_A_REF:
        return None
    return kind(**values)


def _fits(name: str, value: object, kind: str) -> bool:
    match kind:
        case "int":
            return type(value) is int and 0 <= value <= MSAT_MAX
        case "bool":
            return type(value) is bool
        case _:
            return isinstance(value, str) and _is_text(name, value)


def _is_text(name: str, value: str) -> bool:
    match name:
        case "ref":
            return not value or _REFERENCE.fullmatch(value) is not None
        case "payment_hash":
            return _HASH.fullmatch(value) is not None
        case _:
            return len(value) <= _TEXT_MAX
