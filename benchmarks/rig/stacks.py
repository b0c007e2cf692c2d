"""The two stacks, each with a mock upstream of its own, started as their users would start them."""

from __future__ import annotations

import contextlib
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
class Upstream:
    """A running mock upstream."""

    child: Child
    port: int

    @property
    def api_url(self) -> str:
        """What a program is told as its base URL."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def count(self, what: str = "completions") -> int:
        """How many completions, or `lookups` of what they cost, it has answered."""
        counts: dict[str, int] = self._get("/count")
        return counts[what]

    def pace(self, *, latency_ms: int = 0, event_ms: int = 0) -> None:
        """From now on a completion begins after so long, and its events are so far apart."""
        self._get(f"/pace?latency_ms={latency_ms}&event_ms={event_ms}")

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return orjson.loads(answer.read())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running stack: its process, the ports of its face and its wallet, and its upstream."""

    child: Child
    port: int
    node_port: int
    upstream: Upstream
    data_dir: Path

    @property
    def upstream_port(self) -> int:
        """Where its upstream listens."""
        return self.upstream.port

    @property
    def books(self) -> Path:
        """The file of the service's books."""
        return self.data_dir / BOOKS_FILE

    def upstream_count(self) -> int:
        """How many completions the mock upstream has answered."""
        return self.upstream.count()


@contextlib.contextmanager
def service_stack(
    *,
    latency_ms: int = 0,
    settings: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
    module: str = "cobot_meter",
) -> Iterator[Stack]:
    """What `cobot-meter serve` runs, on books of its own that are there already.

    Only the very first start loads what makes the schema, and keeps 8 MiB of it in memory.
    `data_dir` may have books already, and `module` may watch from inside.
    """
    measured, _ = cores()
    port, node_port = free_port(), free_port()
    with upstream_process(latency_ms=latency_ms) as upstream, _data_dir(data_dir) as folder:
        upgrade(folder / BOOKS_FILE)
        env = {
            "COBOT_METER_DATA_DIR": str(folder),
            "COBOT_METER_LISTEN": f"127.0.0.1:{port}",
            "COBOT_METER_NODE_LISTEN": f"127.0.0.1:{node_port}",
            "COBOT_METER_METRICS_LISTEN": "off",
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": upstream.api_url,
            "COBOT_METER_LOG_LEVEL": "warning",
            "OPENROUTER_API_KEY": "not-a-key",
            **UNGUARDED,
            **(settings or {}),
        }
        with running(module, "serve", core=measured, env=env) as child:
            # Not /readyz, which repeats a first "not yet" for five seconds.
            child.wait_ready(f"http://127.0.0.1:{port}/v1/models")
            yield Stack(
                child=child, port=port, node_port=node_port, upstream=upstream, data_dir=folder
            )


@contextlib.contextmanager
def naive_stack() -> Iterator[Stack]:
    """The stack that one would write first (`naive_stack.py`), on data of its own."""
    measured, _ = cores()
    port, node_port = free_port(), free_port()
    with upstream_process() as upstream, _data_dir() as data_dir:
        arguments = {
            "--port": port,
            "--node-port": node_port,
            "--upstream": upstream.api_url,
            "--data-dir": data_dir,
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        with running("benchmarks.rig.naive_stack", *words, core=measured) as child:
            child.wait_ready(f"http://127.0.0.1:{port}/readyz")
            yield Stack(
                child=child, port=port, node_port=node_port, upstream=upstream, data_dir=data_dir
            )


@contextlib.contextmanager
def mock_upstream(*, latency_ms: int = 0) -> Iterator[int]:
    """The mock upstream's port, for as long as a block lasts."""
    with upstream_process(latency_ms=latency_ms) as upstream:
        yield upstream.port


@contextlib.contextmanager
def upstream_process(*, latency_ms: int = 0) -> Iterator[Upstream]:
    """The same, to be watched and told how fast to answer."""
    _, other = cores()
    arguments = ("--latency-ms", str(latency_ms))
    with running("benchmarks.rig.mock_upstream", *arguments, core=other) as child:
        yield Upstream(child=child, port=int(child.first_line()))


@contextlib.contextmanager
def _data_dir(kept: Path | None = None) -> Iterator[Path]:
    """One of its own, or the one that there is already."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as directory:
        yield Path(directory)
