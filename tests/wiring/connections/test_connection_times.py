"""Silence, dripping and unread answers end; whoever is worked for is left alone."""

from __future__ import annotations

import asyncio

import pytest

from cobot_meter.wiring.connections.limits import ConnectionLimits
from tests.wiring.connections.wire_rig import wire


async def test_a_connection_that_says_nothing_is_closed_after_ten_seconds() -> None:
    """And not before."""
    async with wire() as running:
        line = await running.line()
        await running.until(1)
        running.pass_s(9.9)
        assert running.register.total == 1
        running.pass_s(0.2)
        assert await line.rest() == b""
        await running.until(0)


async def test_a_dripping_head_is_refused_after_ten_seconds() -> None:
    """However often a byte of it comes."""
    async with wire() as running:
        line = await running.line()
        line.send(b"GET /a HTTP/1.1\r\nX: ")
        for _ in range(9):
            line.send(b"a")
            await line.writer.drain()
            await asyncio.sleep(0.001)
            running.pass_s(1.0)
        assert running.register.total == 1
        running.pass_s(1.2)
        assert (await line.answer())[0] == 408
        assert await line.rest() == b""


async def test_a_kept_connection_is_closed_after_sixty_seconds_of_silence() -> None:
    """Each answer begins the time anew; a next head that is begun has ten seconds of its own."""
    async with wire() as running:
        line = await running.line()
        for _ in range(2):
            assert await line.is_open()
            running.pass_s(59.0)
        assert await line.is_open()
        running.pass_s(61.0)
        assert await line.rest() == b""
        await running.until(0)


async def test_blank_lines_do_not_keep_a_connection() -> None:
    """The parser skips them; they are silence."""
    async with wire() as running:
        line = await running.line()
        assert await line.is_open()
        line.send(b"\r\n")
        await line.writer.drain()
        await asyncio.sleep(0.01)
        running.pass_s(10.5)
        assert b"408" in (await line.rest())[:20]


async def test_a_dripping_body_is_refused_and_its_handler_hears() -> None:
    """408 after a minute, whatever reads the body or does not."""
    async with wire() as running:
        line = await running.line()
        line.send(b"POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\nab")
        await line.writer.drain()
        await asyncio.sleep(0.01)
        running.pass_s(59.0)
        running.pass_s(2.0)
        assert (await line.answer())[0] == 408
        assert await line.rest() == b""
        assert running.app.gone == 1


async def test_a_body_that_we_do_not_read_yet_is_not_too_slow() -> None:
    """Behind a long run nothing more is read; the time of the next body begins at its turn."""
    async with wire() as running:
        line = await running.line()
        line.send(b"GET /wait HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
        await running.asked(1)
        running.pass_s(300.0)
        running.app.go_on.set()
        assert (await line.answer())[0] == 200
        running.pass_s(30.0)
        line.send(b"cd")
        assert (await line.answer())[0] == 200
        assert running.app.seen[-1] == ("POST", "/b", b"abcd")


async def test_a_caller_who_waits_for_an_answer_is_left_alone() -> None:
    """Ten minutes of a long run are no silence of the caller's."""
    async with wire() as running:
        line = await running.line()
        line.send(b"GET /wait HTTP/1.1\r\n\r\n")
        await running.asked(1)
        for _ in range(10):
            running.pass_s(60.0)
        running.app.go_on.set()
        assert (await line.answer())[0] == 200


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    """A minute without a byte leaving ends the connection; a slow reader is no such."""
    async with wire() as running:
        running.app.answer = b"a" * 20_000_000
        line = await running.line()
        line.send(b"GET /a HTTP/1.1\r\n\r\n")
        await running.asked(1)
        await asyncio.sleep(0.05)
        running.pass_s(1.0)
        running.pass_s(59.0)
        assert running.register.total == 1
        running.pass_s(3.0)
        await running.until(0)


@pytest.mark.parametrize("length", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
async def test_whoever_sends_on_after_a_refusal_is_closed(length: bytes) -> None:
    """Neither for long nor for many bytes; and the silent one after five seconds."""
    async with wire(ConnectionLimits(linger_bytes=100_000)) as running:
        silent, talking = await running.line(), await running.line()
        for line in (silent, talking):
            line.send(b"POST /unread HTTP/1.1\r\n" + length + b"\r\n\r\n")
            assert (await line.answer())[1]["connection"] == "close"
        await running.until(2)
        talking.send(b"a" * 3_000_000)
        await running.until(1)
        running.pass_s(5.5)
        await running.until(0)
