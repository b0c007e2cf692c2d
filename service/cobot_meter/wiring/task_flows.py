"""The flows of tasks, on what the flows of a process have in common."""

from __future__ import annotations

from cobot_meter.flows.offer.make_offer import MakeOffer
from cobot_meter.flows.offer.quote_request import QuoteRequest
from cobot_meter.flows.sale.find_cost import FindCost
from cobot_meter.flows.sale.follow_run import FollowRun
from cobot_meter.flows.task.answer_task import AnswerTask
from cobot_meter.flows.task.ask_task import AskTask, BeginRun
from cobot_meter.flows.task.close_task import CloseTask
from cobot_meter.flows.task.every_flow import TaskFlows
from cobot_meter.flows.task.find_task import FindTask
from cobot_meter.flows.task.open_task import OpenTask
from cobot_meter.wiring.opening.shared import Shared


def build_task_flows(
    shared: Shared, quote_request: QuoteRequest, make_offer: MakeOffer, follow_run: FollowRun
) -> TaskFlows:
    """Every flow of a task."""
    ledger, vault = shared.ledger, shared.vault
    find_task = FindTask(ledger=ledger, vault=vault)
    return TaskFlows(
        find_task=find_task,
        open_task=OpenTask(
            ledger=ledger,
            vault=vault,
            quote_request=quote_request,
            find_budgets=shared.find_budgets,
            node_gate=shared.node_gate,
            exposure=shared.terms.exposure,
        ),
        ask_task=AskTask(
            ledger=ledger,
            vault=vault,
            find_task=find_task,
            begin_run=BeginRun(
                ledger=ledger,
                vault=vault,
                make_offer=make_offer,
                node_gate=shared.node_gate,
                replicas=shared.ports.replicas,
                exposure=shared.terms.exposure,
            ),
            follow_run=follow_run,
        ),
        answer_task=AnswerTask(ledger=ledger, vault=vault),
        close_task=CloseTask(
            ledger=ledger,
            vault=vault,
            find_cost=FindCost(
                ledger=ledger,
                vault=vault,
                upstream=shared.ports.upstream,
                doubt=shared.reports.doubt,
            ),
            follow_run=follow_run,
        ),
    )
