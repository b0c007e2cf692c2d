"""When a service that has started really sells: its own `/readyz` says so.

A listener is there before the price list is; whoever asks in between would get a 503. Must not
know: terminals, or what is said when it sells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from cobot_meter.domain.errors import CobotMeterError
from cobot_meter.http_api.health_routes import READY_PATH
from cobot_meter.wiring.build import Service
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.values import is_every_address

PATIENCE_S = 1.0
STEP_S = 0.05
LOOK_S = 0.5
TIMEOUT_S = 10.0

Waits = Callable[[tuple[str, ...]], None]


async def until_selling(service: Service, face: Address, *, waits: Waits) -> None:
    """Return once it sells; `waits` is told what it waits for, whenever that is something else."""
    await _prices(service)
    said: tuple[str, ...] | None = None
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        while missing := await _missing(http, face):
            if missing != said:
                waits(missing)
                said = missing
            await asyncio.sleep(LOOK_S)


async def _prices(service: Service) -> None:
    """A short while for the price list, which nearly every start waits for."""
    for _ in range(int(PATIENCE_S / STEP_S)):
        try:
            await service.flows.catalogue.ping()
        except CobotMeterError:
            await asyncio.sleep(STEP_S)
        else:
            return


async def _missing(http: httpx.AsyncClient, face: Address) -> tuple[str, ...]:
    """The parts that are not well; empty when it sells."""
    try:
        answer = await http.get(f"{_reached_at(face)}{READY_PATH}")
        said: Any = orjson.loads(answer.content)
        parts = {name: part for name, part in said["parts"].items() if not part["ok"]}
    except (httpx.TransportError, ValueError, KeyError, TypeError, AttributeError):
        return ("its own listener",)
    if answer.status_code == httpx.codes.OK:
        return ()
    return tuple(f"{name} ({part.get('code')})" for name, part in parts.items()) or ("a drain",)


def _reached_at(face: Address) -> str:
    """Every address is none to call; loopback is one of them."""
    if not is_every_address(face.host):
        return face.url
    return Address(host="::1" if ":" in face.host else "127.0.0.1", port=face.port).url
