"""The report of a panel as the completion that is sold: its text, its JSON, and what was used.

It is made of the members' whole answers and of the request that they were given, and comes out the
same whenever it is made again. Must not know: how answers were asked for, or who pays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cobot_meter.domain.consensus.checks import why_not
from cobot_meter.domain.consensus.findings import read_findings
from cobot_meter.domain.consensus.panel import INSTRUCTIONS, PanelKind, read_panel
from cobot_meter.domain.consensus.report import review
from cobot_meter.domain.consensus.verdicts import count_votes
from cobot_meter.domain.consensus.wording import (
    failed_json,
    failed_text,
    review_json,
    review_text,
    votes_json,
    votes_text,
)
from cobot_meter.domain.escrow.record import Escrow

# Where the stored completion has the report for programs.
CONSENSUS_MEMBER = "cobot_consensus"
_SECOND_MS = 1_000


class Said(NamedTuple):
    """The whole answer of one member."""

    model: str
    text: str


def panel_completion(
    escrow: Escrow, answers: Sequence[Said], request: bytes, *, at_ms: int
) -> bytes:
    """The report as a `chat.completion`, so that whoever reads one reads it.

    `escrow` has all its runs at hand, and `request` is the body that every member was sent.
    """
    kind = read_panel(escrow.route).kind
    failed = [
        (escrow.seen_from(run.run_id).model, run.failure.code, run.failure.message)
        for run in escrow.runs
        if run.failure is not None
    ]
    content, report = _report(kind, answers, request)
    said = failed_text(failed)
    message = {"role": "assistant", "content": f"{content}\n\n{said}" if said else content}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    summaries = [run.summary for run in escrow.runs if run.summary is not None]
    prompt = sum(one.prompt_tokens for one in summaries)
    completion = sum(one.completion_tokens for one in summaries)
    document = {
        "id": f"panel-{escrow.escrow_id}",
        "object": "chat.completion",
        "created": at_ms // _SECOND_MS,
        "model": escrow.quote.model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
        CONSENSUS_MEMBER: {**report, "failed": failed_json(failed)},
    }
    return json.dumps(document).encode()  # in ASCII: nothing that a model says breaks it


def verified_completion(escrow: Escrow, body: bytes, checked: Sequence[tuple[str, str]]) -> bytes:
    """The answer that is sold as it came, with what each one lacked; empty for what passed.

    `escrow` has all its runs at hand, and `checked` are models in the order in which they answered.
    """
    summaries = [run.summary for run in escrow.runs if run.summary is not None]
    prompt = sum(one.prompt_tokens for one in summaries)
    completion = sum(one.completion_tokens for one in summaries)
    answer = dict(_object(_parsed(body)))
    answer["usage"] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    answer[CONSENSUS_MEMBER] = {
        "kind": PanelKind.VERIFY.value,
        "passed": not checked[-1][1],
        "checks": [{"model": model, "passed": not why, "why": why} for model, why in checked],
    }
    return json.dumps(answer).encode()


def why_not_this(body: bytes, request: bytes) -> str:
    """Why an answer is none to this request; empty where it passes."""
    return why_not(_object(_parsed(body)), _object(_parsed(request)))


def _report(
    kind: PanelKind, answers: Sequence[Said], request: bytes
) -> tuple[str, Mapping[str, object]]:
    if kind is PanelKind.VERDICT:
        votes = count_votes(answers)
        return votes_text(votes), votes_json(votes)
    read = [read_findings(answer.model, answer.text) for answer in answers]
    report = review(read, submitted_text(request))
    return review_text(report), review_json(report)


def answer_text(body: bytes) -> str:
    """What a member said in its `chat.completion`; a refusal is what it said too."""
    message = _first(_object(_parsed(body)).get("choices")).get("message")
    said = _object(message)
    return _text(said.get("content")) or _text(said.get("refusal"))


def submitted_text(request: bytes) -> str:
    """What the members were given: every text of the request but what was added for them."""
    messages = _object(_parsed(request)).get("messages")
    texts = [_text(_object(one).get("content")) for one in _list(messages)]
    added = frozenset(INSTRUCTIONS.values())
    return "\n".join(text for text in texts if text and text not in added)


def _text(content: object) -> str:
    """A text, or the texts of its parts."""
    if isinstance(content, str):
        return content
    parts = [_object(part).get("text") for part in _list(content)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed


def _first(value: object) -> Mapping[str, Any]:
    return _object(next(iter(_list(value)), None))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
