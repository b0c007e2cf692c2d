"""GSM8K's word problems out of a file that its owner named: lines of JSON, `question` and `answer`.

They are other people's (MIT licence) and no part of this service. They lie in the open, so every
model may have learnt them: a run of them says whether a model still does what it did, and ranks
nobody. Must not know: files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from cobot_meter.domain import outside
from cobot_meter.domain.benchmarks.checks.final_answer import MARKER, ExactNumber
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item
from cobot_meter.domain.benchmarks.prompts.prompt_set import PromptSet

NAME = "gsm8k"
TASK = "maths"
TOKENS = 500
PROBLEMS_MAX = 20_000
_TEXT_MAX = 8_000
# How the file marks the number that its worked solution ends with.
_RESULT = "####"
_ASK = f"Work it out, then end with a line `{MARKER}` and the number alone."


def gsm8k_set(lines: Iterable[str], *, seed: int, count: int) -> PromptSet:
    """`count` of its problems as the seed draws them; an item is named by its line.

    Raises ValueError with a sentence for a line that is no problem, or where there are too few.
    """
    items: list[Item] = []
    for number, line in enumerate(lines, start=1):
        if number > PROBLEMS_MAX:
            raise ValueError(f"it has more than {PROBLEMS_MAX} lines")
        if line.strip():
            items.append(_item(number, line))
    if len(items) < count:
        raise ValueError(f"it has {len(items)} problems, and {count} were asked for")
    return PromptSet(name=NAME, seed=seed, items=tuple(Draws(seed, NAME).some_of(items, count)))


def _item(number: int, line: str) -> Item:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    question, answer = (_text(said, name) for name in ("question", "answer"))
    _, mark, result = answer.rpartition(_RESULT)
    digits = result.strip().replace(",", "")
    if not (question and mark and digits.removeprefix("-").isdecimal() and digits.isascii()):
        raise ValueError(
            f"line {number} is no problem of GSM8K: a JSON object with `question`, and with "
            f"`answer` that ends in `{_RESULT}` and a whole number"
        )
    return Item(
        item_id=f"{NAME}-{number:05d}",
        task=TASK,
        prompt=f"{question}\n\n{_ASK}",
        max_tokens=TOKENS,
        check=ExactNumber(int(digits)),
        solution=f"{MARKER} {digits}",
    )


def _text(said: object, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    return outside.text(value, most=_TEXT_MAX).strip() if isinstance(value, str) else ""
