"""What can be done with tasks, by the names of the flows that do it."""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.flows.task.answer_task import AnswerTask
from cobot_meter.flows.task.ask_task import AskTask
from cobot_meter.flows.task.close_task import CloseTask
from cobot_meter.flows.task.find_task import FindTask
from cobot_meter.flows.task.open_task import OpenTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFlows:
    """Each is one use of a task."""

    find_task: FindTask
    open_task: OpenTask
    ask_task: AskTask
    answer_task: AnswerTask
    close_task: CloseTask
