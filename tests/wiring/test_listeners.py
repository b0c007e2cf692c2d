"""Every listener of a service: bounded at the bytes, and the metrics where nobody else comes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvloop

from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.wiring.app import running_service
from cobot_meter.wiring.listening import listening
from cobot_meter.wiring.settings.addresses import Address
from cobot_meter.wiring.settings.settings import MetricsSettings, Settings, read_settings
from tests.cli.shop import command_line_in

LONG = b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 40_000


def settings_in(folder: Path, **more: str) -> Settings:
    """A service of its own, with a listener for metrics on any port."""
    environ = {**command_line_in(folder).environ, "COBOT_METER_METRICS_LISTEN": "127.0.0.1:0"}
    return read_settings({**environ, **more})


async def answered(address: Address, data: bytes) -> bytes:
    """The first line of what comes back."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    async with asyncio.timeout(20):
        line = await reader.readline()
    writer.transport.abort()
    return line


async def test_every_listener_has_the_same_bounds(tmp_path: Path) -> None:
    """Service, simulator, the node's wallet face and metrics: a head too long is 431 at each."""
    async with running_service(settings_in(tmp_path)) as running:
        found = (running.face, running.metrics, running.node_face, running.simulator)
        addresses = [address for address in found if address is not None]
        assert len(addresses) == 4
        for address in addresses:
            assert await answered(address, LONG) == (
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            )
        async with httpx.AsyncClient(trust_env=False) as http:
            assert running.metrics is not None
            told = (await http.get(f"{running.metrics.url}/metrics")).text
            assert (await http.get(f"{running.face.url}/metrics")).status_code == 404
            page = f"{running.metrics.url}/operator/benchmarks"
            assert "Nothing has been measured" in (await http.get(page)).text
            assert (await http.get(f"{running.face.url}/operator/benchmarks")).status_code == 404
        why = 'cobot_meter_refused_before_a_route_total{why="heads too large"} 1.0'
        assert why in told.splitlines()


async def test_metrics_can_be_off(tmp_path: Path) -> None:
    """Then nothing listens for them."""
    off = settings_in(tmp_path, COBOT_METER_METRICS_LISTEN="off")
    async with running_service(off) as running:
        assert running.metrics is None


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_taken_address_for_metrics_stops_only_whoever_chose_it(
    tmp_path: Path,
    chosen: bool,  # noqa: FBT001 - a case
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody chose the default, and another replica may have it: sales go on, the log says so."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = Address(host="127.0.0.1", port=holder.getsockname()[1])
        settings = dataclasses.replace(
            settings_in(tmp_path), metrics=MetricsSettings(listen=taken, chosen=chosen)
        )
        if chosen:
            with pytest.raises((SettingInvalid, ExceptionGroup)) as refused:
                async with running_service(settings):
                    pass
            assert "cannot listen on" in repr(refused.value)
            return
        with caplog.at_level(logging.WARNING):
            async with running_service(settings) as running:
                assert running.metrics is None
        assert "no metrics: cannot listen on" in caplog.text


async def _answers(_scope: object, _receive: object, _send: object) -> None:
    """Nobody asks it anything."""


def test_of_two_that_listen_at_the_same_moment_one_is_told() -> None:
    """On uvloop too, where the later one would hear nothing and its callers would go elsewhere."""
    rounds = 40
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(host="127.0.0.1", port=probe.getsockname()[1])
    at_once = threading.Barrier(2)

    async def one_round() -> bool:
        at_once.wait()
        try:
            async with listening(_answers, address):
                at_once.wait()
                return True
        except SettingInvalid:
            at_once.wait()
            return False

    def listens() -> list[bool]:
        return [uvloop.run(one_round()) for _ in range(rounds)]

    with ThreadPoolExecutor(2) as both:
        first, second = both.submit(listens), both.submit(listens)
        assert [
            one + other for one, other in zip(first.result(), second.result(), strict=True)
        ] == [1] * rounds
