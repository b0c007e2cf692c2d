"""Alive, ready, counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from cobot_meter.http_api.context import FaceLimits
from tests.http_api.face_rig import FaceRig, open_face


async def codes(rig: FaceRig) -> tuple[int, dict[str, str | None]]:
    """Status of `/readyz`, and the code of each part's fault."""
    reply = await rig.get("/readyz")
    parts = reply.json()["parts"]
    return reply.status, {name: part["code"] for name, part in parts.items()}


async def test_a_living_process_is_healthy_whatever_else_fails(tmp_path: Path) -> None:
    """`/healthz` asks nobody."""
    async with open_face(tmp_path) as rig:
        rig.upstream.reachable = False
        reply = await rig.get("/healthz")
        assert (reply.status, reply.json()) == (200, {"status": "ok"})


async def test_ready_when_every_part_answers(tmp_path: Path) -> None:
    """200, with every part by name."""
    async with open_face(tmp_path) as rig:
        status, faults = await codes(rig)
        assert status == 200
        assert faults == {"books": None, "node": None, "rate": None, "upstream": None}


async def test_each_part_that_fails_is_named_by_its_code(tmp_path: Path) -> None:
    """503, and of the fault only its code: what a part said is for the log."""
    async with open_face(tmp_path) as rig:
        rig.upstream.key_accepted = False
        rig.node.set_faults(NodeFaults(down=True))
        status, faults = await codes(rig)
        assert status == 503
        assert faults["upstream"] == "upstream_refused"
        assert faults["node"] == "node_unavailable"
        assert faults["books"] is None
        assert b"key" not in (await rig.get("/readyz")).body


async def test_the_books_are_asked_every_second(tmp_path: Path) -> None:
    """What asks know, a load balancer knows a second later; also that it is over."""
    async with open_face(tmp_path) as rig:
        assert (await codes(rig))[0] == 200
        rig.books.busy = 1
        rig.clock.advance(0.9)
        assert (await codes(rig))[0] == 200
        rig.clock.advance(0.2)
        assert (await codes(rig))[0] == 503
        rig.clock.advance(1.1)
        assert (await codes(rig))[0] == 200


async def test_a_far_part_is_asked_once_in_five_seconds(tmp_path: Path) -> None:
    """However often it is probed; and then the answer is fresh."""
    async with open_face(tmp_path) as rig:
        assert (await codes(rig))[0] == 200
        rig.upstream.reachable = False
        rig.clock.advance(4.9)
        assert (await codes(rig))[0] == 200
        rig.clock.advance(0.2)
        async with asyncio.TaskGroup() as tasks:
            probes = [tasks.create_task(codes(rig)) for _ in range(5)]
        assert {probe.result()[0] for probe in probes} == {503}


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _breaks() -> None:
    raise ConnectionRefusedError


async def test_a_part_that_hangs_or_breaks_off_is_named(tmp_path: Path) -> None:
    """One slow part holds up nobody for longer than its time, and no fault is a 500."""
    limits = FaceLimits(ping_timeout_s=0.01)
    pings = {"slow": _hangs, "broken": _breaks}
    async with open_face(tmp_path, limits=limits, pings=pings) as rig:
        status, faults = await codes(rig)
        assert (status, faults["slow"], faults["broken"]) == (503, "timeout", "unreachable")


async def test_draining_is_not_ready(tmp_path: Path) -> None:
    """A load balancer sends its next request elsewhere."""
    async with open_face(tmp_path) as rig:
        rig.draining.set()
        reply = await rig.get("/readyz")
        assert (reply.status, reply.json()["draining"]) == (503, True)


async def test_metrics_in_prometheus_text(tmp_path: Path) -> None:
    """Transitions, amounts posted and asks, without a caller in any label."""
    async with open_face(tmp_path) as rig:
        await rig.buy()
        reply = await rig.get("/metrics")
        text = reply.body.decode()
        assert str(reply.header("content-type")).startswith("text/plain; version=0.0.4")
        assert 'cobot_meter_transitions_total{kind="invoice_settled"} 1.0' in text
        assert 'account="revenue/completions"' in text
        assert "cobot_meter_active_runs 0.0" in text
        assert rig.last.caller_id not in text
