"""A process with 300 descriptors and 400 connections that want them all: it goes on selling."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from cobot_meter.cli.demo.agent import Agent
from cobot_pay import DevWallet
from tests.architecture.source_tree import ROOT
from tests.cli.shop import command_line_in, order

FEW = 300
MANY = 400
READY_S = 90.0
BEGUN = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 900\r\n\r\n{"


@contextlib.contextmanager
def serving_with_few(environ: dict[str, str]) -> Iterator[None]:
    """The service under a hard bound that it cannot raise."""
    command = f'ulimit -n {FEW}; exec "{sys.executable}" -m cobot_meter serve'
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                url = f"http://{environ['COBOT_METER_LISTEN']}/readyz"
                if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


async def test_silent_connections_use_up_no_descriptors(tmp_path: Path) -> None:
    """Four hundred of them, silent or half way through a body: one buys all the same."""
    environ = dict(command_line_in(tmp_path).environ)
    host, _, port = environ["COBOT_METER_LISTEN"].partition(":")
    with serving_with_few(environ):
        held = []
        for number in range(MANY):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(BEGUN if number % 2 else b"")
            held.append(writer)
        wallet = DevWallet(f"http://{environ['COBOT_METER_NODE_LISTEN']}")
        agent = Agent(service_url=f"http://{host}:{port}", wallet=wallet)
        try:
            assert (await agent.buy(order("Write 100 words on descriptors."))).text
        finally:
            await agent.aclose()
            for writer in held:
                writer.transport.abort()
