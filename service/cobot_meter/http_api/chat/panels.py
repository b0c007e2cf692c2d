"""What a request for a consensus has beside any other: its panel, and what its members are told.

All that makes it impossible is refused here, but for what depends on which models are on offer.
Must not know: prices, or how answers are put together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cobot_meter.domain import outside
from cobot_meter.domain.consensus.panel import (
    CONSENSUS,
    CONSENSUS_NAMES,
    INSTRUCTIONS,
    LEAST_MEMBERS,
    MOST_MEMBERS,
    PanelKind,
    named_twice,
)
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.domain.routing.hints import Hints
from cobot_meter.domain.routing.virtual import AUTO, OURS

PANEL = "panel"
VERIFY = "verify"
PARAM = "cobot.panel"
SHOWN_MAX = 80
_NOT_TAKEN = ("tools", "logprobs", "top_logprobs")
_TEXT_FORMAT = {"type": "text"}


def named_panel(value: object) -> tuple[str, ...] | None:
    """The models of `cobot.panel`, in their order; None where it is not there.

    Raises RequestInvalid for what no panel can be.
    """
    if value is None:
        return None
    names = value if isinstance(value, list) else []
    if not LEAST_MEMBERS <= len(names) <= MOST_MEMBERS:
        message = (
            f"{PARAM} must be a list of {LEAST_MEMBERS} to {MOST_MEMBERS} model ids, such as those "
            "of GET /v1/models."
        )
        raise RequestInvalid(message, param=PARAM)
    members = tuple(_member(name) for name in names)
    twice = named_twice(members)
    if twice is not None:
        message = f"{PARAM} names {twice} twice; name each model once."
        raise RequestInvalid(message, param=PARAM)
    return members


def asked_to_verify(value: object) -> bool | None:
    """`cobot.verify`; None where it is not there. Raises RequestInvalid for no boolean."""
    if value is None or isinstance(value, bool):
        return value or None
    message = "cobot.verify must be true or false."
    raise RequestInvalid(message, param="cobot.verify")


def _member(name: object) -> str:
    member = outside.identifier(name) if isinstance(name, str) else None
    if member is None:
        message = f"{PARAM} must hold model ids and nothing else, such as those of GET /v1/models."
        raise RequestInvalid(message, param=PARAM)
    if member.startswith(OURS):
        message = (
            f"{PARAM} names {outside.shown(member, most=SHOWN_MAX)}, which stands for other "
            "models; name those that are to answer."
        )
        raise RequestInvalid(message, param=PARAM)
    return member


def panel_kind(document: Mapping[str, Any], hints: Hints) -> PanelKind | None:
    """What a consensus is asked for; None for a request that asks a single model at a time.

    Raises RequestInvalid for what a consensus does not take, for a panel without one, and for
    checks where there is no other model to ask.
    """
    model, panel = str(document.get("model")), hints.panel
    name = model.partition(":")[0]
    if hints.verify and name != AUTO:
        message = (
            f"cobot.verify is for {AUTO}, which has another model to ask where an answer fails its "
            "checks; name that, or leave it out."
        )
        raise RequestInvalid(message, param="cobot.verify")
    if name != CONSENSUS:
        if panel is None:
            return None
        message = (
            f"{PARAM} is for a consensus: name the model {CONSENSUS} beside it, or leave it out."
        )
        raise RequestInvalid(message, param=PARAM)
    kind = CONSENSUS_NAMES.get(model)
    if kind is None:
        message = (
            f"There is no {outside.shown(model, most=SHOWN_MAX)} here; a consensus is asked for as "
            f"{', '.join(CONSENSUS_NAMES)}."
        )
        raise RequestInvalid(message, param="model")
    _refuse_not_taken(document, model, kind)
    return kind


def _refuse_not_taken(document: Mapping[str, Any], model: str, kind: PanelKind) -> None:
    if document.get("models"):
        message = f"models: {model} asks a panel and no chain; name its models in {PARAM}."
        raise RequestInvalid(message, param="models")
    for name in _NOT_TAKEN:
        if document.get(name):
            message = f"{name}: {model} is answered with a report, which has none; leave it out."
            raise RequestInvalid(message, param=name)
    asked = document.get("response_format")
    if kind is PanelKind.REVIEW and asked not in (None, {}, _TEXT_FORMAT):
        message = f"response_format: {model} says itself how its members answer; leave it out."
        raise RequestInvalid(message, param="response_format")


def of_panel(
    document: Mapping[str, Any], hints: Hints, checked: list[dict[str, Any]]
) -> tuple[PanelKind | None, list[dict[str, Any]]]:
    """What a consensus is asked for, and the messages with what each member is told beside them.

    That is counted as prompt like any other. Raises RequestInvalid as `panel_kind`.
    """
    kind = panel_kind(document, hints)
    if kind is None:
        return None, checked
    return kind, [*checked, {"role": "system", "content": INSTRUCTIONS[kind]}]
