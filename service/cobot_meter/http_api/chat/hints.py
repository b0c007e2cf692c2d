"""The gate for hints: `X-Cobot-…` headers, or the member `cobot` of the body, which is the same.

What is said in both has to agree, and what nobody here understands is refused: a hint that was
passed over in silence would be a promise that is not kept. Must not know: models, or what a hint
leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cobot_meter.domain import outside
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.pricing.quotes import MaxCost
from cobot_meter.domain.routing.hints import Downgrade, Hints, PrivacyTier, Task
from cobot_meter.http_api.chat.panels import PANEL, VERIFY, asked_to_verify, named_panel
from cobot_meter.http_api.chat.terms import MAX_COST, max_cost_from

MEMBER = "cobot"
TASK = "X-Cobot-Task"
SESSION = "X-Cobot-Session"
DOWNGRADE = "X-Cobot-Downgrade"
PRIVACY = "X-Cobot-Privacy"
# The body's member of each header, in the order in which they are read.
MEMBERS: Mapping[str, str] = {
    "task": TASK,
    "session": SESSION,
    "max_cost": MAX_COST,
    "downgrade": DOWNGRADE,
    "privacy": PRIVACY,
}
# Every value of a header, by its name in lower case.
HeaderLines = Callable[[bytes], Sequence[bytes]]
SHOWN_MAX = 60
_V = TypeVar("_V")
_W = TypeVar("_W", Task, Downgrade, PrivacyTier)


def no_headers(_name: bytes) -> Sequence[bytes]:
    """Nothing beside the body."""
    return ()


def read_hints(value: object, lines: HeaderLines) -> Hints:
    """The hints of one request: `value` is what the body has under `cobot`, None for nothing.

    Raises RequestInvalid for what is no hint, or contradicts itself.
    """
    fields = _members(value)
    return Hints(
        task=_one("task", fields, lines, _word(Task)),
        session=_one("session", fields, lines, _session),
        max_cost=_one("max_cost", fields, lines, _max_cost),
        downgrade=_one("downgrade", fields, lines, _word(Downgrade)),
        privacy=_one("privacy", fields, lines, _word(PrivacyTier)),
        panel=named_panel(fields.get(PANEL)),
        verify=asked_to_verify(fields.get(VERIFY)),
    )


def _members(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        message = (
            f'{MEMBER} must be an object of hints such as {{"task": "code"}}; or leave it out.'
        )
        raise RequestInvalid(message, param=MEMBER)
    for name in value:
        if name not in MEMBERS and name not in {PANEL, VERIFY}:
            message = (
                f"{MEMBER}.{outside.shown(name, most=SHOWN_MAX)} is no hint; "
                f"those are {', '.join((*MEMBERS, PANEL, VERIFY))}."
            )
            raise RequestInvalid(message, param=MEMBER)
    return value


def _one(
    name: str, fields: Mapping[str, Any], lines: HeaderLines, read: Callable[[str, str], _V]
) -> _V | None:
    """One hint, from wherever it stands; where it stands twice it must be the same."""
    header, param = MEMBERS[name], f"{MEMBER}.{name}"
    there = lines(header.lower().encode())
    if len(there) > 1:
        raise RequestInvalid(f"{header} is given twice; keep one of them.", param=header)
    of_header = read(there[0].strip().decode("ascii", "replace"), header) if there else None
    value = fields.get(name)
    if value is None:
        return of_header
    of_body = read(_text(value, param), param)
    if of_header is not None and of_body != of_header:
        message = (
            f"{header} and {param} contradict each other "
            f"({_shown(there[0].decode('ascii', 'replace'))} and {_shown(str(value))}); "
            "send only one of them."
        )
        raise RequestInvalid(message, param=param)
    return of_body


def _text(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise RequestInvalid(f"{param} must be a text, as its header would have it.", param=param)
    return value.strip()


def _word(words: type[_W]) -> Callable[[str, str], _W]:
    def read(text: str, param: str) -> _W:
        try:
            return words(text.lower())
        except ValueError:
            known = ", ".join(words)
            message = f"{param} must be one of {known}, not {_shown(text)}."
            raise RequestInvalid(message, param=param) from None

    return read


def _session(text: str, param: str) -> str:
    name = outside.identifier(text)
    if name is None:
        message = (
            f"{param} must be 1 to {outside.NAME_MAX} visible ASCII characters without blanks."
        )
        raise RequestInvalid(message, param=param)
    return name


def _max_cost(text: str, param: str) -> MaxCost:
    return max_cost_from(text.encode("ascii", "replace"), param=param)


def _shown(text: str) -> str:
    return f'"{outside.shown(text, most=SHOWN_MAX)}"'
