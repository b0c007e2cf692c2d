"""The two stacks, each with a mock upstream of its own, started as their users would start them."""

from __future__ import annotations

import contextlib
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.rig.processes import Child, cores, free_port, running
from cobot_meter.adapters.storage.sqlite.schema import upgrade
from cobot_meter.wiring.opening.databases import BOOKS_FILE

# So that no guard refuses the load: what is measured has every guard, and none that says no.
UNGUARDED = {
    "COBOT_METER_NEWCOMER_CAP_SAT": "100000000",
    "COBOT_METER_CAP_MAX_SAT": "100000000",
    "COBOT_METER_UNPAID_DAY_USD": "10000",
    "COBOT_METER_ADDRESS_RUNS_MAX": "100000",
    "COBOT_METER_RUNS_WAITING_MAX": "100000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running stack: its process, and the ports of its face, its wallet and its upstream."""

    child: Child
    port: int
    node_port: int
    upstream_port: int

    def upstream_count(self) -> int:
        """How many completions the mock upstream has answered."""
        url = f"http://127.0.0.1:{self.upstream_port}/count"
        with urllib.request.urlopen(url, timeout=5) as answer:
            count: int = orjson.loads(answer.read())["completions"]
        return count


@contextlib.contextmanager
def service_stack(
    *, latency_ms: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """What `cobot-meter serve` runs, on books of its own that are there already.

    Only the very first start loads what makes the schema, and keeps 8 MiB of it in memory.
    """
    measured, _ = cores()
    port, node_port = free_port(), free_port()
    with mock_upstream(latency_ms=latency_ms) as upstream_port, _data_dir() as data_dir:
        upgrade(data_dir / BOOKS_FILE)
        env = {
            "COBOT_METER_DATA_DIR": str(data_dir),
            "COBOT_METER_LISTEN": f"127.0.0.1:{port}",
            "COBOT_METER_NODE_LISTEN": f"127.0.0.1:{node_port}",
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": _api(upstream_port),
            "COBOT_METER_LOG_LEVEL": "warning",
            "OPENROUTER_API_KEY": "not-a-key",
            **UNGUARDED,
            **(settings or {}),
        }
        with running("cobot_meter", "serve", core=measured, env=env) as child:
            # Not /readyz, which repeats a first "not yet" for five seconds.
            child.wait_ready(f"http://127.0.0.1:{port}/v1/models")
            yield Stack(child=child, port=port, node_port=node_port, upstream_port=upstream_port)


@contextlib.contextmanager
def naive_stack() -> Iterator[Stack]:
    """The stack that one would write first (`naive_stack.py`), on data of its own."""
    measured, _ = cores()
    port, node_port = free_port(), free_port()
    with mock_upstream() as upstream_port, _data_dir() as data_dir:
        arguments = {
            "--port": port,
            "--node-port": node_port,
            "--upstream": _api(upstream_port),
            "--data-dir": data_dir,
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        with running("benchmarks.rig.naive_stack", *words, core=measured) as child:
            child.wait_ready(f"http://127.0.0.1:{port}/readyz")
            yield Stack(child=child, port=port, node_port=node_port, upstream_port=upstream_port)


@contextlib.contextmanager
def mock_upstream(*, latency_ms: int = 0) -> Iterator[int]:
    """The mock upstream's port, for as long as a block lasts."""
    _, other = cores()
    arguments = ("--latency-ms", str(latency_ms))
    with running("benchmarks.rig.mock_upstream", *arguments, core=other) as child:
        yield int(child.first_line())


@contextlib.contextmanager
def _data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as directory:
        yield Path(directory)


def _api(port: int) -> str:
    return f"http://127.0.0.1:{port}/api/v1"
