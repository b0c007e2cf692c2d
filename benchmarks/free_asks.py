"""Sixty free asks at once beside a prepaid one, on twenty slots: what the payer notices of them.

The upstream is the built-in simulator with a slow model, in a process of its own. Each round times
one prepaid ask alone and one among the free ones; the bar is on the ratio. A machine that does
other work as well makes both slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx

from benchmarks.rig.processes import cores, free_port, running
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, ratios, spread, table

NAME = "free_asks"
RATIO_BAR = 1.3
FREE = 60
SLOTS = 20
LATENCY_S = 1.0
TOP_UP_MSAT = 2_000_000
FREE_MODEL = "meta-llama/llama-3.3-70b-instruct:free"
PAID_MODEL = "openai/gpt-5-mini"
PATH = "/v1/chat/completions"


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as folder:
        alone, beside = asyncio.run(_rounds(Path(folder), size))
    found = ratios(beside, alone)
    rows = [("alone", spread(alone, 3)), (f"beside {FREE} free asks", spread(beside, 3))]
    bar = Bar(what="a prepaid ask beside free ones / alone", value=median(found), limit=RATIO_BAR)
    return "\n\n".join((table(("a prepaid ask", "seconds"), rows), bars([bar])))


async def _rounds(folder: Path, size: Size) -> tuple[list[float], list[float]]:
    alone: list[float] = []
    beside: list[float] = []
    with _service(folder) as (url, node_url):
        limits = httpx.Limits(max_connections=FREE + 10)
        async with httpx.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:
            for number in range(size.rounds):
                token = await _topped_up(client, url, node_url)
                alone.append(await _paid_s(client, url, token, f"alone {number}"))
                free = [
                    asyncio.ensure_future(_free(client, url, f"{number} {each}"))
                    for each in range(FREE)
                ]
                await asyncio.sleep(LATENCY_S / 4)  # until they have what slots they get
                beside.append(await _paid_s(client, url, token, f"beside {number}"))
                await asyncio.gather(*free)
    return alone, beside


async def _paid_s(client: httpx.AsyncClient, url: str, token: str, text: str) -> float:
    began = time.perf_counter()
    answer = await client.post(
        url + PATH, json=_ask(PAID_MODEL, text), headers={"Authorization": token}
    )
    took_s = time.perf_counter() - began
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"a prepaid ask got {answer.status_code}: {answer.text[:200]}")
    return took_s


async def _free(client: httpx.AsyncClient, url: str, text: str) -> None:
    await client.post(url + PATH, json=_ask(FREE_MODEL, text))


async def _topped_up(client: httpx.AsyncClient, url: str, node_url: str) -> str:
    challenge = (await client.post(url + PATH)).json()
    paid = await client.post(
        f"{node_url}/pay",
        json={"payment_request": challenge["invoice"], "amount_msat": TOP_UP_MSAT},
    )
    token = f"L402 {challenge['macaroon']}:{paid.json()['payment_preimage']}"
    await client.post(url + PATH, headers={"Authorization": token})
    return token


def _ask(model: str, text: str) -> dict[str, object]:
    return {"model": model, "max_tokens": 60, "messages": [{"role": "user", "content": text}]}


@contextlib.contextmanager
def _service(folder: Path) -> Iterator[tuple[str, str]]:
    measured, other = cores()
    port, node_port, simulator_port = free_port(), free_port(), free_port()
    simulator = f"127.0.0.1:{simulator_port}"
    shared = {
        "COBOT_METER_DATA_DIR": str(folder),
        "COBOT_METER_SIMULATOR_LISTEN": simulator,
        "COBOT_METER_SIMULATOR_LATENCY_S": str(LATENCY_S),
    }
    env = {
        **shared,
        "COBOT_METER_LISTEN": f"127.0.0.1:{port}",
        "COBOT_METER_NODE_LISTEN": f"127.0.0.1:{node_port}",
        "COBOT_METER_UPSTREAM": "openrouter",
        "COBOT_METER_UPSTREAM_URL": f"http://{simulator}/api/v1",
        "OPENROUTER_API_KEY": "sk-or-v1-simulated",
        "COBOT_METER_UNPAID_DAY_USD": "10000",
        "COBOT_METER_RUNS_MAX": str(SLOTS),
    }
    with (
        running("cobot_meter", "simulator", core=other, env=shared) as upstream,
        running("cobot_meter", "serve", core=measured, env=env) as child,
    ):
        upstream.wait_ready(f"http://{simulator}/api/v1/models")
        child.wait_ready(f"http://127.0.0.1:{port}/v1/models")
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{node_port}"
