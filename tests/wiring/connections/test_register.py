"""How many connections there may be, who makes room, and how little is logged of the rest."""

from __future__ import annotations

import logging
import resource

import pytest

from cobot_meter.http_api.http.addresses import trusted_networks
from cobot_meter.wiring.connections.limits import ConnectionLimits, allow_open_files
from cobot_meter.wiring.connections.register import Register
from tests.wiring.connections.wire_rig import Clock, wire

NOBODY = trusted_networks(())
GET = b"GET /a HTTP/1.1\r\n\r\n"


async def test_one_address_has_only_so_many() -> None:
    """The next one is told 503; another address is not concerned, and who leaves makes room."""
    async with wire(ConnectionLimits(address_max=3, many_behind=NOBODY)) as running:
        held = [await running.line("127.0.0.2") for _ in range(3)]
        await running.until(3)
        refused = await running.line("127.0.0.2")
        assert (await refused.rest()).startswith(b"HTTP/1.1 503 ")
        other = await running.line("127.0.0.3")
        assert await other.is_open()
        held[0].writer.close()
        await running.until(3)
        assert await (await running.line("127.0.0.2")).is_open()


async def test_this_machine_and_proxies_stand_for_many() -> None:
    """Behind them each connection may be somebody else's, so only the bound in all holds."""
    async with wire(ConnectionLimits(address_max=1)) as running:
        lines = [await running.line() for _ in range(5)]
        assert all([await line.is_open() for line in lines])


async def test_the_longest_silent_one_makes_room() -> None:
    """A thousand silent ones keep nobody out; the one that is worked for is never cut off."""
    async with wire(ConnectionLimits(connections_max=4)) as running:
        working = await running.line()
        working.send(b"GET /wait HTTP/1.1\r\n\r\n")
        await running.asked(1)
        for _ in range(50):
            await running.line()
        buyer = await running.line()
        assert await buyer.is_open()
        assert running.register.total == 4
        running.app.go_on.set()
        assert (await working.answer())[0] == 200


async def test_where_everybody_is_worked_for_the_next_is_told_so() -> None:
    """503 with `Retry-After`, and nobody's answer is lost."""
    async with wire(ConnectionLimits(connections_max=2)) as running:
        working = [await running.line() for _ in range(2)]
        for line in working:
            line.send(b"GET /wait HTTP/1.1\r\n\r\n")
        await running.asked(2)
        refused = await running.line()
        assert b"retry-after: 1" in await refused.rest()
        running.app.go_on.set()
        assert [(await line.answer())[0] for line in working] == [200, 200]


async def test_a_thousand_bad_requests_are_one_line_of_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With their count by kind; the next line comes a minute later at the earliest."""
    async with wire() as running:
        with caplog.at_level(logging.INFO):
            for at in range(1_000):
                line = await running.line()
                line.send(b"nonsense\r\n\r\n" if at % 2 else b"CONNECT a:1 HTTP/1.1\r\n\r\n")
                assert await line.rest()
                line.writer.close()
                running.pass_s(0.01)
            running.pass_s(61.0)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert texts[0].endswith(": CONNECT: 1")
    assert texts[1].endswith(": malformed requests: 500, CONNECT: 499")


def test_no_more_connections_than_half_of_the_descriptors() -> None:
    """What the books, the node and the upstream need is never used up by callers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    fitted = ConnectionLimits(connections_max=10**9, files_share=2).fitted()
    assert fitted.connections_max == soft // 2
    assert ConnectionLimits(connections_max=1).fitted().connections_max == 1


def test_descriptors_are_only_ever_asked_for_upwards() -> None:
    """A process that has enough keeps what it has."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


class _Silent:
    """A connection that is only counted."""

    def check(self, now_s: float) -> None:
        """Nothing."""

    def evict(self) -> None:
        """Nothing."""


def test_subscribers_of_one_network_count_as_one_address() -> None:
    """An IPv6 /64 is one subscriber's; IPv4 written as IPv6 is IPv4."""
    register = Register(ConnectionLimits(address_max=1, many_behind=NOBODY), clock=Clock())
    assert register.admit(_Silent(), "2001:db8::1")
    assert not register.admit(_Silent(), "2001:db8::2")
    assert register.admit(_Silent(), "192.0.2.1")
    assert not register.admit(_Silent(), "::ffff:192.0.2.1")
    assert register.admit(_Silent(), None)
    assert register.admit(_Silent(), None)


def test_each_refusal_is_reported_by_its_name() -> None:
    """For a metric: the log has one line in a minute, the counter has them all."""
    why: list[str] = []
    limits = ConnectionLimits(address_max=1, connections_max=2, many_behind=NOBODY)
    register = Register(limits, clock=Clock(), report=why.append)
    busy = [_Silent(), _Silent()]
    for at, connection in enumerate(busy):
        assert register.admit(connection, f"192.0.2.{at}")
        register.busy(connection)
    assert not register.admit(_Silent(), "192.0.2.0")
    assert not register.admit(_Silent(), "192.0.2.9")
    assert why == ["too many connections of one address", "too many connections"]
