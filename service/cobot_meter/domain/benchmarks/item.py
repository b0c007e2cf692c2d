"""One thing that a model is asked, and how its reply is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class ReplyCheck(Protocol):
    """A judge of replies: a pure function of the text."""

    def passes(self, reply: str) -> bool:
        """Whether this reply is right."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`item_id` names the template and stays whatever the seed, so that runs can be paired.

    `task` is a word of the table of successes. `solution` is a reply that passes: it shows that
    the item can be solved, and is sent to nobody.
    """

    item_id: str
    task: str
    prompt: str
    max_tokens: int
    check: ReplyCheck
    solution: str
