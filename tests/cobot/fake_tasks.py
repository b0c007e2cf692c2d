"""The service's tasks as the plugin sees them, in memory: asked, answered, paid and refused.

It keeps a book of its own, so that tests count what the plugin caused. Must not know: the plugin.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

SELLER_KEY = "sk-cobot-seller"
RUN_MSAT = 3_000
TOOL = "read_file"


def words(text: str) -> dict[str, Any]:
    """What a model says."""
    return {"role": "assistant", "content": text}


def tool_call(name: str = TOOL, arguments: str = '{"path": "notes.txt"}') -> dict[str, Any]:
    """A model that asks for a tool."""
    function = {"name": name, "arguments": arguments}
    call = {"id": f"call_{name}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@dataclass
class FakeTask:
    """One task, and all that was asked in its name."""

    task_id: str
    key: str
    ceiling_msat: int
    max_fee_msat: int
    title: str
    state: str = "open"
    spent_msat: int = 0
    fee_msat: int = 0
    answer: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class FakeTasks:
    """`says` are the next words of the models, whoever asks; by default one sentence."""

    tasks: dict[str, FakeTask] = field(default_factory=dict)
    says: deque[dict[str, Any]] = field(default_factory=deque)
    fails: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    away: bool = False
    closes: int = 0
    run_msat: int = RUN_MSAT

    def client(self) -> httpx.AsyncClient:
        """A client whose every request comes here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def fail_next(self, *failures: tuple[int, dict[str, Any]]) -> None:
        """The next calls of a model end so: a status, and an error."""
        self.fails.extend(failures)

    def say(self, *messages: dict[str, Any]) -> None:
        """The next words of the models."""
        self.says.extend(messages)

    @property
    def only(self) -> FakeTask:
        """The one task there is."""
        (task,) = self.tasks.values()
        return task

    def pay(self) -> None:
        """Pay every invoice."""
        for task in self.tasks.values():
            task.state = "settled" if task.state == "invoiced" else task.state

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("nobody listens", request=request)
        document = json.loads(request.content) if request.content else {}
        key = request.headers["Authorization"].removeprefix("Bearer ")
        place = request.url.path.removeprefix("/v1/")
        if place == "tasks":
            return self._opened(request.headers["Idempotency-Key"], document)
        if place == "chat/completions":
            return self._said(key, document)
        _, task_id, *what = place.split("/")
        return self._told(self.tasks[task_id], (request.method, *what), document)

    def _told(
        self, task: FakeTask, what: tuple[str, ...], document: dict[str, Any]
    ) -> httpx.Response:
        match what:
            case "POST", "close":
                return self._closed(task, document)
            case "POST", "delivered":
                assert task.state in ("settled", "released")
                task.state = "released"
            case ("DELETE",):
                task.state = "failed"
            case _:
                assert what == ("GET",)
        return _shown(200, task)

    def _opened(self, name: str, document: dict[str, Any]) -> httpx.Response:
        task = self.tasks.setdefault(
            f"esc_{name}",
            FakeTask(
                task_id=f"esc_{name}",
                key=f"sk-cobot-task-{name}",
                ceiling_msat=document["ceiling_sat"] * 1_000,
                max_fee_msat=document["max_fee_sat"] * 1_000,
                title=document["title"],
            ),
        )
        return _shown(201, task)

    def _said(self, key: str, document: dict[str, Any]) -> httpx.Response:
        (task,) = (one for one in self.tasks.values() if one.key == key)
        task.bodies.append(document)
        if self.fails:
            status, error = self.fails.popleft()
            return httpx.Response(status, json={"error": error})
        left_msat = task.ceiling_msat - task.spent_msat
        if left_msat < RUN_MSAT:
            error = {"code": "task_ceiling_reached", "message": f"{left_msat} msat are left"}
            return httpx.Response(402, json={"error": error})
        task.spent_msat += self.run_msat
        left_msat -= self.run_msat
        told = {"id": task.task_id, "spent_msat": task.spent_msat, "left_msat": left_msat}
        message = self.says.popleft() if self.says else words("Forty-two.")
        return httpx.Response(
            200,
            json={
                "model": document["model"],
                "choices": [{"message": message}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5},
                "cobot": {"task": {**told, "near": left_msat < 2 * RUN_MSAT}},
            },
        )

    def _closed(self, task: FakeTask, document: dict[str, Any]) -> httpx.Response:
        self.closes += 1
        if task.state == "open":
            task.state, task.answer = "invoiced", document["answer"]
            task.fee_msat = document["fee_msat"]
            assert task.fee_msat <= task.max_fee_msat
        return _shown(200, task)


def _shown(status: int, task: FakeTask) -> httpx.Response:
    document: dict[str, Any] = {
        "object": "task",
        "id": task.task_id,
        "key": task.key,
        "state": task.state,
        "spent_msat": task.spent_msat,
        "expires_at": 2_000_000_000,
    }
    if task.state == "invoiced":
        document |= {
            "price": {
                "cost_usd": "0.0012",
                "service_fee_msat": 500,
                "seller_fee_msat": task.fee_msat,
                "total_msat": task.spent_msat + task.fee_msat,
            },
            "amount_msat": task.spent_msat + task.fee_msat,
            "invoice": f"lnbc{task.task_id}",
            "payment_hash": "ab" * 32,
            "macaroon": "bWFjYXJvb24",
        }
    return httpx.Response(status, json=document)


def contents(body: dict[str, Any]) -> str:
    """Everything that a model was shown, in one text."""
    return json.dumps(body["messages"])


def names_of(tools: Iterable[dict[str, Any]]) -> list[str]:
    """The names of the tools that a model was offered."""
    return [tool["function"]["name"] for tool in tools]
