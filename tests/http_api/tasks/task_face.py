"""A seller with a cap of the operator's on a running face, and what it does with a task."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobot_meter.domain.retention import Retention
from cobot_meter.flows.audit.ledger import AuditLedger
from tests.http_api.asgi_caller import Reply
from tests.http_api.face_rig import ASK, FaceRig, open_face

TASKS = "/v1/tasks"
CAP_SAT = 10_000
CEILING_SAT = 500
ANSWER = "The parcel weighs 2 kg and costs 9 EUR."


@dataclass(slots=True)
class TaskFace:
    """The face, the seller's API key, and who that is."""

    rig: FaceRig
    key: str
    seller_id: str

    async def send(
        self, method: str, path: str, document: Mapping[str, Any] | bytes = b"", **headers: str
    ) -> Reply:
        """A request by the seller's key; `headers` by their names with low lines."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.rig.send(
            method, path, document, token=f"Bearer {self.key}", headers=named
        )

    async def open(self, **wish: object) -> Reply:
        """Open a task; 500 sat for its runs and no fee of more than 100 where nothing is said."""
        body = {"ceiling_sat": CEILING_SAT, "max_fee_sat": 100, **wish}
        return await self.send("POST", TASKS, body)

    async def opened(self, **wish: object) -> dict[str, Any]:
        """The document of a task that is open now."""
        reply = await self.open(**wish)
        assert reply.status == 201, reply.json()
        document: dict[str, Any] = reply.json()
        return document

    async def ask(
        self, task: Mapping[str, Any], text: str = "Weigh it.", **fields: object
    ) -> Reply:
        """One run of the task."""
        body = {**ASK, "messages": [{"role": "user", "content": text}], **fields}
        return await self.rig.ask(body, token=f"Bearer {task['key']}")

    async def answer(self, task: Mapping[str, Any], answer: str = ANSWER) -> Reply:
        """Seal an answer."""
        return await self.send("POST", f"{TASKS}/{task['id']}/answer", {"answer": answer})

    async def close(self, task: Mapping[str, Any], **said: object) -> Reply:
        """Close the task, for a fee of 7 sat where nothing is said."""
        body = said or {"fee_msat": 7_000}
        return await self.send("POST", f"{TASKS}/{task['id']}/close", body)

    async def closed(self, *, runs: int = 1, **said: object) -> dict[str, Any]:
        """The document of a task that has run, was answered and is closed."""
        task = await self.opened()
        for number in range(runs):
            reply = await self.ask(task, f"Part {number}.")
            assert reply.status == 200, reply.json()
        assert (await self.answer(task)).status == 200
        reply = await self.close(task, **said)
        assert reply.status == 200, reply.json()
        document: dict[str, Any] = {**reply.json(), "key": task["key"]}
        return document

    async def paid(self, closed: Mapping[str, Any]) -> str:
        """The credential of a buyer who has paid what a closed task asks for."""
        payment = await self.rig.node.pay(closed["invoice"])
        return f"L402 {closed['macaroon']}:{payment.preimage}"

    async def claim(self, closed: Mapping[str, Any], token: str) -> Reply:
        """What the buyer reads."""
        return await self.rig.get(f"{closed['escrow']}/completion", token=token)

    async def credit_msat(self, token: str) -> int:
        """What whoever this names may spend."""
        standing = (await self.rig.get("/v1/credits", token=token)).json()["cobot"]
        return int(standing["available_msat"])

    async def audited(self) -> None:
        """Nothing is found in the books."""
        audit = AuditLedger(
            reports=self.rig.books,
            node=lambda: self.rig.node,
            upstream=None,
            retention=Retention(),
        )
        findings = list((await audit.audit()).findings)
        assert not findings, findings[:8]


@contextlib.asynccontextmanager
async def task_face(folder: Path, *, cap_sat: int | None = CAP_SAT) -> AsyncIterator[TaskFace]:
    """A face of the test's own, with a seller; audited at its end."""
    async with open_face(folder) as rig:
        key, _ = await rig.key(1_000)
        seller_id = next(iter(rig.books.rows.api_keys.values())).caller_id
        if cap_sat is not None:
            await rig.service.flows.operating.set_caller.cap(seller_id, cap_sat * 1_000)
        face = TaskFace(rig, key, seller_id)
        yield face
        await face.audited()
