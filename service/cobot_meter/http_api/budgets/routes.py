"""GET and PUT /v1/budgets: what a caller lets its keys, a model and itself spend in a time.

They are set by the proof of a payment alone: whoever finds a key that leaked must not raise what it
may spend. A key reads those that bound it. Must not know: ASGI, or how anything is reserved.
"""

from __future__ import annotations

from collections.abc import Iterable

from cobot_meter.domain.budgets.depletion import DepletionPlan
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.flows.budget.said_budgets import budget_said, plan_document, plan_said
from cobot_meter.http_api.chat.answers import PRIVATE
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.budget_figures import budget_document
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer, json_answer
from cobot_meter.http_api.identity import Askers
from cobot_meter.http_api.small_bodies import fields_of

BUDGETS_PATH = "/v1/budgets"
OK = 200
_FIELDS = frozenset({"budgets", "plan"})


class BudgetRoutes:
    """The routes of a caller's budgets."""

    def __init__(self, *, parts: FaceParts, askers: Askers) -> None:
        """`askers` reads the proof."""
        self._parts = parts
        self._askers = askers

    async def listed(self, request: HttpRequest) -> PlainAnswer:
        """200 with every budget of the caller as it stands; with a key those that bound the key.

        Raises CredentialInvalid for nobody, and KeyInvalid.
        """
        asker = await self._askers.caller(request)
        budgets = self._parts.manage_budgets
        plan = await budgets.plan(asker.caller_id)
        if asker.key is not None:
            return _answer(await budgets.for_key(asker.caller_id, asker.key.key_id), plan)
        return _answer(await budgets.standing(asker.caller_id), plan)

    async def put(self, request: HttpRequest) -> PlainAnswer:
        """200 with the budgets as they are from here on: those of the body, and no others.

        Raises RequestInvalid with a sentence, and what whoever asks is refused for; then nothing
        has changed.
        """
        caller_id = await self._askers.owner(request)
        await self._askers.refuse_blocked(caller_id)
        fields = fields_of(request.body.take(), _FIELDS)
        said, plan = fields.get("budgets"), plan_said(fields.get("plan"))
        if not isinstance(said, list):
            message = 'Say all budgets at once: {"budgets": [...]}; an empty list takes all away.'
            raise RequestInvalid(message, param="budgets")
        budgets = tuple(map(budget_said, said))
        return _answer(await self._parts.manage_budgets.put(caller_id, budgets, plan=plan), plan)


def _answer(standing: Iterable[BudgetSpending], plan: DepletionPlan | None) -> PlainAnswer:
    documents = [budget_document(one) for one in standing]
    document = {"object": "list", "data": documents, "plan": plan_document(plan)}
    return json_answer(OK, document, (PRIVATE,))
