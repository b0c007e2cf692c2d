"""The four tools that a cobot's model may call. Money leaves within the budget, whatever it says.

Must not know: cobot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

from cobot_pay.cli.sellers import seller_of
from cobot_pay.cli.settings import BadSettings
from cobot_pay.cobot.answers import read_answer, request_body
from cobot_pay.cobot.opening import Purse
from cobot_pay.cobot.sentences import CallRefused
from cobot_pay.cobot.settings import MeterSettings
from cobot_pay.errors import L402Error

_TOKENS, _RECEIPTS, _TASK_MAX = 1_024, 10, 20_000
_MSAT_PER_SAT, _SAT_MAX, _USUAL_SAT = 1_000, 1_000_000, 100


def _defined(name: str, description: str, **parameters: tuple[str, str]) -> dict[str, Any]:
    properties: dict[str, dict[str, Any]] = {
        each: {"type": kind, "description": words} for each, (kind, words) in parameters.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def definitions(settings: MeterSettings) -> list[dict[str, Any]]:
    """In OpenAI's form; what may be asked and spent is said in them, and checked all the same."""
    asks = _defined(
        "ask_other_cobot",
        "Pay another agent's service to do a task, and get its answer",
        url=("string", "Its address, such as https://b.example"),
        task=("string", "The task, with all that it needs"),
        max_sat=("integer", "The most that it may cost, in sat"),
    )
    asked = asks["function"]["parameters"]["properties"]
    if settings.others:
        asked["url"]["enum"] = list(settings.others.values())
    most_sat = max(1, settings.call_msat // _MSAT_PER_SAT)
    asked["max_sat"] |= {"minimum": 1, "maximum": most_sat, "default": min(_USUAL_SAT, most_sat)}
    return [
        asks,
        _defined(
            "meter_quote",
            "What asking this at most costs; costs nothing",
            task=("string", "What would be asked"),
        ),
        _defined("meter_balance", "What is left of the budget and of the credit"),
        _defined("meter_receipts", "The last payments that were made"),
    ]


class MeterTools:
    """Runs them; each answers with a text, a refusal too."""

    def __init__(self, settings: MeterSettings, purse: Purse) -> None:
        """They spend from this purse."""
        self._settings = settings
        self._purse = purse
        self._tools: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "meter_quote": self._quote,
            "meter_balance": self._balance,
            "meter_receipts": self._receipts,
            "ask_other_cobot": self._ask_other,
        }

    def execute(self, name: str, args: Mapping[str, Any]) -> str:
        """What the tool says; never raises."""
        tool = self._tools.get(name)
        if tool is None:
            return f"Error: Unknown tool '{name}'"
        try:
            return tool(args)
        except (CallRefused, BadSettings, L402Error, OSError) as refused:
            return f"Error: {refused}"

    def _quote(self, args: Mapping[str, Any]) -> str:
        said = self._purse.calls().asked(
            "POST", "/v1/quotes", self._body(_task(args), self._settings.models)
        )
        ceiling = said.get("ceiling")
        if not isinstance(ceiling, dict):
            raise CallRefused("the service names no ceiling")
        return (
            f"At most {ceiling.get('msat')} msat (${ceiling.get('usd')}) for "
            f"{', '.join(self._settings.models)} and {_TOKENS} tokens."
        )

    def _balance(self, _: Mapping[str, Any]) -> str:
        lines = [
            f"{one.limit}: {max(one.left_msat, 0):,} of {one.limit_msat:,} msat left"
            for one in self._purse.budget.stands_at(self._settings.seller.origin)
        ]
        credit = self._purse.calls().asked("GET", "/v1/credits").get("cobot")
        if isinstance(credit, dict):
            lines.append(f"credit: {credit.get('available_msat')} msat")
        return "\n".join(lines)

    def _receipts(self, _: Mapping[str, Any]) -> str:
        lines = [
            f"{one.state} {one.amount_msat:,} msat {one.origin.rstrip(':')} {one.payment_hash}"
            for one in self._purse.budget.receipts(at_most=_RECEIPTS)
        ]
        return "\n".join(lines) or "Nothing was paid yet."

    def _ask_other(self, args: Mapping[str, Any]) -> str:
        seller, max_sat = seller_of(str(args.get("url", ""))), args.get("max_sat")
        if type(max_sat) is not int or not 1 <= max_sat <= _SAT_MAX:
            raise CallRefused(f"max_sat is a whole number of sat from 1 to {_SAT_MAX:,}")
        if self._settings.others is not None and seller.origin not in self._settings.others:
            raise CallRefused(f"my owner does not let me ask {seller.url}: `others` in cobot.yml")
        content = self._body(_task(args), self._settings.models)
        future = self._purse.calls().begin_elsewhere(
            seller, content, max_msat=max_sat * _MSAT_PER_SAT
        )
        try:
            return read_answer(future.result(self._settings.timeout_s)).content
        except NotInTime as late:
            raise CallRefused(
                f"{seller.url} did not answer in time; ask it the same again, it is not paid twice"
            ) from late

    @staticmethod
    def _body(task: str, models: tuple[str, ...]) -> bytes:
        messages = [{"role": "user", "content": task}]
        return request_body(messages, tools=None, models=models, max_tokens=_TOKENS)


def _task(args: Mapping[str, Any]) -> str:
    task = args.get("task")
    if not isinstance(task, str) or not 1 <= len(task) <= _TASK_MAX:
        raise CallRefused(f"task is a text of up to {_TASK_MAX:,} characters")
    return task
