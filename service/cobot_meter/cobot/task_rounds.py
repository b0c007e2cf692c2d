"""The agent at work: a model is called, its tools are used, until it says an answer.

As its own loop does it for a friend, but that every call is a run of the task, that a tool which
is not named for strangers is not there, and that the ceiling ends it politely. Each round is one
step, stored before the next. Must not know: bills, or how anything is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cobot_meter.cobot.agent import Said, SoldAgent
from cobot_meter.cobot.commission import Commission, Milestone, ended
from cobot_meter.cobot.letters import CUT_SHORT, NEAR, NO_ANSWER, NOT_ALLOWED, TOO_LARGE
from cobot_meter.cobot.settings import SellerSettings
from cobot_meter.cobot.task_service import CEILING_REACHED, ModelAnswer, Refused, TaskService

ROUNDS_MAX = 10  # as in the agent's own loop
TOKENS_MIN = 32  # a shorter answer is none
_INTERRUPTED = "This tool was interrupted, and whether it had an effect is not known."
_NOT_NAMED = "This tool is not there."
_NO_ARGUMENTS = "Error: the arguments are no JSON object."


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTool:
    """A tool as a model asked for it; `arguments` is None where they are no object."""

    call_id: str
    name: str
    arguments: Mapping[str, Any] | None


class TaskRounds:
    """One step at a time of what a commission asks for."""

    def __init__(
        self,
        *,
        agent: SoldAgent,
        service: TaskService,
        settings: SellerSettings,
        keep: Callable[[Commission], None],
    ) -> None:
        """`keep` stores a commission before a tool is used."""
        self._agent = agent
        self._service = service
        self._settings = settings
        self._keep = keep

    async def step(self, commission: Commission, key: str) -> Commission:
        """One tool used or one model called; WORKING, ANSWERED or ENDING. Raises Away, Refused."""
        call = next(_unanswered(commission), None)
        if call is not None:
            return await self._use(call, commission)
        if commission.rounds >= ROUNDS_MAX:
            return await self._cut_short(commission)
        return await self._call(commission, key)

    async def _use(self, call: WantedTool, commission: Commission) -> Commission:
        if call.name not in self._settings.tools:
            result = _NOT_NAMED
        elif call.arguments is None:
            result = _NO_ARGUMENTS
        elif commission.tool_begun == call.call_id:
            result = _INTERRUPTED
        else:
            self._keep(replace(commission, tool_begun=call.call_id))
            result = await self._agent.use_tool(call.name, call.arguments)
        told = {"role": "tool", "tool_call_id": call.call_id, "content": result}
        return replace(commission, messages=[*commission.messages, told], tool_begun="")

    async def _call(self, commission: Commission, key: str) -> Commission:
        finish = commission.warned or commission.rounds == ROUNDS_MAX - 1
        tools = [] if finish else [*self._agent.tools(self._settings.tools)]
        why_not = await self._agent.may_call(commission.messages, tools, commission.peer)
        if why_not:
            return ended(commission, why_not)
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [*commission.messages],
            "max_tokens": commission.tokens_max or self._settings.max_tokens,
        }
        if tools:
            body["tools"] = tools
        try:
            answer = await self._service.ask(key, body)
        except Refused as refused:
            if refused.code != CEILING_REACHED:
                raise
            return await self._short_of_money(commission, refused)
        await self._agent.called(answer.message, answer.document)
        return await self._after(answer, commission)

    async def _after(self, answer: ModelAnswer, commission: Commission) -> Commission:
        calls = answer.message.get("tool_calls")
        said: dict[str, Any] = {"role": "assistant", "content": _text_of(answer.message)}
        if calls:
            said["tool_calls"] = calls
        commission = replace(
            commission,
            messages=[*commission.messages, said],
            rounds=commission.rounds + 1,
            spent_msat=answer.spent_msat,
        )
        if next(_unanswered(commission), None) is None:
            return await self._answered(commission, said["content"])
        return _warned(commission) if answer.near and not commission.warned else commission

    async def _short_of_money(self, commission: Commission, refused: Refused) -> Commission:
        """Finish with what is left, or with what was said so far."""
        fitting = refused.metadata.get("fits_max_tokens")
        asked = commission.tokens_max or self._settings.max_tokens
        if type(fitting) is int and TOKENS_MIN <= fitting < asked:
            warned = commission if commission.warned else _warned(commission)
            return replace(warned, tokens_max=max(fitting - len(NEAR) // 2, TOKENS_MIN))
        return await self._cut_short(commission)

    async def _cut_short(self, commission: Commission) -> Commission:
        said = [_text_of(one) for one in _own_words(commission)]
        text = next((one for one in reversed(said) if one.strip()), "")
        if not text:
            notice = TOO_LARGE if commission.rounds < ROUNDS_MAX else NO_ANSWER
            return ended(commission, notice)
        return await self._answered(commission, f"{text}\n\n{CUT_SHORT}")

    async def _answered(self, commission: Commission, text: str) -> Commission:
        if not text.strip():
            return ended(commission, NO_ANSWER)
        outgoing = await self._agent.outgoing(text, commission.peer)
        if not outgoing.strip():
            return ended(commission, NOT_ALLOWED)
        return replace(commission, stage=Milestone.ANSWERED, answer=outgoing)


def _warned(commission: Commission) -> Commission:
    """It knows that little is left; the tools that were asked for already still tell it first."""
    note = {"role": "system", "content": NEAR}
    if next(_unanswered(commission), None) is None:
        return replace(commission, messages=[*commission.messages, note], warned=True)
    *before, last = commission.messages
    results = [
        {"role": "tool", "tool_call_id": call.call_id, "content": NEAR}
        for call in _unanswered(commission)
    ]
    return replace(commission, messages=[*before, last, *results, note], warned=True)


def _own_words(commission: Commission) -> list[Said]:
    """What the models said for this task."""
    asked = max(
        (at for at, one in enumerate(commission.messages) if one.get("role") == "user"), default=0
    )
    return [one for one in commission.messages[asked:] if one.get("role") == "assistant"]


def _text_of(message: Said) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _unanswered(commission: Commission) -> Iterator[WantedTool]:
    """The calls of the last words of a model that no tool has answered yet."""
    answered: set[object] = set()
    for message in reversed(commission.messages):
        if message.get("role") == "tool":
            answered.add(message.get("tool_call_id"))
        elif message.get("role") == "assistant":
            calls = message.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                read = _tool_call(call)
                if read is not None and read.call_id not in answered:
                    yield read
            return
        elif message.get("role") == "user":
            return


def _tool_call(call: object) -> WantedTool | None:
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        return None
    call_id, name = call.get("id"), call["function"].get("name")
    if not isinstance(call_id, str) or not isinstance(name, str):
        return None
    return WantedTool(
        call_id=call_id, name=name, arguments=_arguments(call["function"].get("arguments"))
    )


def _arguments(told: object) -> Mapping[str, Any] | None:
    try:
        read = json.loads(told) if isinstance(told, str) else told
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
