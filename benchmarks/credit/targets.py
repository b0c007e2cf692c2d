"""What answers a completion that is paid for: the upstream alone, a bare proxy, and the service.

Each has a mock upstream of its own, so that no other's requests stand in the usage which the
service holds its costs against.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from benchmarks.rig.load_generator import CHAT, Plan
from benchmarks.rig.mock_upstream import API
from benchmarks.rig.processes import Child, cores, free_port, running
from benchmarks.rig.stacks import Stack, Upstream, service_stack, upstream_process
from benchmarks.rig.stream_load import StreamPlan

TOP_UP_SAT = 1_000_000
CONFIRM_ONE_IN = "COBOT_METER_CONFIRM_ONE_IN"
PAYMENT_REQUIRED = 402


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running program that takes chat completions, and the key that it asks for.

    `confirmed_in`: of so many generations it looks up the cost of one, a minute later; 0: of none.
    """

    name: str
    child: Child
    port: int
    upstream: Upstream
    path: str = CHAT
    key: str = ""
    confirmed_in: int = 0

    def plan(self, *, count: int, in_flight: int, spread_ms: int = 0) -> Plan:
        """So many asks of it."""
        return Plan(
            kind="paid",
            port=self.port,
            count=count,
            in_flight=in_flight,
            spread_ms=spread_ms,
            path=self.path,
            key=self.key,
        )

    def streams(self, *, count: int, in_flight: int, kind: str = "asks") -> StreamPlan:
        """So many streams from it, read to their ends or held."""
        return StreamPlan(
            kind=kind,
            port=self.port,
            count=count,
            in_flight=in_flight,
            path=self.path,
            key=self.key,
        )


@contextlib.contextmanager
def direct_target() -> Iterator[Target]:
    """The upstream itself."""
    with upstream_process() as upstream:
        yield Target(
            name="direct",
            child=upstream.child,
            port=upstream.port,
            upstream=upstream,
            path=f"{API.decode()}/chat/completions",
        )


@contextlib.contextmanager
def bare_target() -> Iterator[Target]:
    """FastAPI and httpx, charging nothing (`bare_proxy.py`)."""
    measured, _ = cores()
    port = free_port()
    with upstream_process() as upstream:
        arguments = ("--port", str(port), "--upstream", upstream.api_url)
        with running("benchmarks.credit.bare_proxy", *arguments, core=measured) as child:
            child.wait_ready(f"http://127.0.0.1:{port}/health")
            yield Target(name="bare FastAPI + httpx", child=child, port=port, upstream=upstream)


@contextlib.contextmanager
def service_target(
    *, confirmed_in: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Target]:
    """The service, asked with a key that a top-up has paid for."""
    sampled = {} if confirmed_in == 1 else {CONFIRM_ONE_IN: str(confirmed_in)}
    with service_stack(settings={**sampled, **(settings or {})}) as stack:
        named = "each confirmed" if confirmed_in == 1 else f"one in {confirmed_in} confirmed"
        yield target_of(stack, name=f"service, {named}", confirmed_in=confirmed_in)


def target_of(stack: Stack, *, name: str, confirmed_in: int = 1) -> Target:
    """A running service with a new key on it."""
    return Target(
        name=name,
        child=stack.child,
        port=stack.port,
        upstream=stack.upstream,
        key=prepaid_key(stack),
        confirmed_in=confirmed_in,
    )


def prepaid_key(stack: Stack) -> str:
    """Top up at the development node, and take a key for it."""
    body = {"amount_sat": TOP_UP_SAT, "key": {"name": "benchmark"}}
    url = f"http://127.0.0.1:{stack.port}/v1/topups"
    with httpx.Client(timeout=30, trust_env=False) as client:
        offered = client.post(url, json=body)
        assert offered.status_code == PAYMENT_REQUIRED, offered.text
        challenge = offered.json()
        paid = client.post(
            f"http://127.0.0.1:{stack.node_port}/pay",
            json={"payment_request": challenge["invoice"]},
        )
        proof = f"L402 {challenge['macaroon']}:{paid.json()['payment_preimage']}"
        bought = client.post(url, json=body, headers={"Authorization": proof})
        assert bought.is_success, bought.text
        key: str = bought.json()["key"]["key"]
    return key
