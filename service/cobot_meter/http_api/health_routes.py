"""Is the process alive, and can it serve.

`/readyz` asks every part, briefly and at most once a second, and says of a part only that it failed
and with which code.
"""

from __future__ import annotations

import asyncio

from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.http_api.context import FaceParts, Ping
from cobot_meter.http_api.http.exchange import NO_STORE, HttpRequest, PlainAnswer, json_answer

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"
OK = 200
UNAVAILABLE = 503


class HealthRoutes:
    """The two routes of operations that a load balancer asks."""

    def __init__(self, *, parts: FaceParts) -> None:
        """Nothing is asked before the first request."""
        self._parts = parts
        self._asking = asyncio.Lock()
        self._asked_at_ms: dict[str, int] = {}
        self._faults: dict[str, str | None] = {}

    async def health(self, _request: HttpRequest) -> PlainAnswer:
        """200 while the process answers at all."""
        return json_answer(OK, {"status": "ok"}, (NO_STORE,))

    async def ready(self, _request: HttpRequest) -> PlainAnswer:
        """200 when every part answers and nothing is draining, else 503."""
        faults = await self._fresh_faults()
        draining, notices = self._parts.is_draining(), self._parts.notices
        well = not draining and not any(faults.values())
        document = {
            "status": "ready" if well else "not_ready",
            "draining": draining,
            "parts": {name: {"ok": fault is None, "code": fault} for name, fault in faults.items()},
            # What the operator has to look at, and what stops nothing.
            "notices": {name: code for name, told in notices.items() if (code := told())},
        }
        return json_answer(OK if well else UNAVAILABLE, document, (NO_STORE,))

    async def _fresh_faults(self) -> dict[str, str | None]:
        async with self._asking:
            now_ms = self._parts.clock.monotonic_ms()
            stale = [name for name in self._parts.pings if self._is_stale(name, now_ms)]
            async with asyncio.TaskGroup() as tasks:
                asked = {
                    name: tasks.create_task(self._fault_of(self._parts.pings[name]))
                    for name in stale
                }
            self._faults |= {name: task.result() for name, task in asked.items()}
            self._asked_at_ms |= dict.fromkeys(stale, now_ms)
            return {name: self._faults[name] for name in self._parts.pings}

    def _is_stale(self, name: str, now_ms: int) -> bool:
        asked_at_ms = self._asked_at_ms.get(name)
        if asked_at_ms is None:
            return True
        limits = self._parts.limits
        far = name in limits.far_parts and self._faults[name] is None
        return now_ms - asked_at_ms >= (limits.far_fresh_ms if far else limits.readiness_fresh_ms)

    async def _fault_of(self, ping: Ping) -> str | None:
        """The code of what is wrong with a part, None when nothing is."""
        try:
            async with asyncio.timeout(self._parts.limits.ping_timeout_s):
                await ping()
        except TimeoutError:
            return "timeout"
        except CobotMeterError as error:
            return error.code
        except OSError:
            return "unreachable"
        return None
