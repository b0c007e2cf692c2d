"""One connection at the bytes: what is read as a request, what is refused, and that it ends."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobot_meter.wiring.connections.limits import ConnectionLimits
from tests.wiring.connections.wire_rig import wire

INNER = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
UPGRADES = ("h2c", "websocket", "TLS/1.0", "h2c, websocket")


@pytest.mark.parametrize(
    "connection", ["Upgrade", "keep-alive, upgrade", "Upgrade, HTTP2-Settings"]
)
@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_is_never_executed_whatever_upgrade_is_asked_for(
    connection: str,
    upgrade: str,
    chunked: bool,  # noqa: FBT001 - a case
) -> None:
    """The wish is passed over, the body belongs to its own request, and the connection goes on."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER) if chunked else INNER
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(INNER)
    head = f"POST /a HTTP/1.1\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n".encode()
    async with wire() as running:
        line = await running.line()
        line.send(head + b"HTTP2-Settings: AAMAAABk\r\n" + framing + b"\r\n\r\n" + body)
        line.send(b"GET /b HTTP/1.1\r\n\r\n")
        assert (await line.answer())[0] == 200
        assert (await line.answer())[0] == 200
        assert running.app.seen == [("POST", "/a", INNER), ("GET", "/b", b"")]
        assert b"upgrade" not in running.app.headers[0]


def _request(number: int, body: bytes, upgrade: str | None, chunks: int) -> bytes:
    head = b"POST /%d HTTP/1.1\r\nHost: a\r\n" % number
    if upgrade is not None:
        head += b"Connection: Upgrade\r\nUpgrade: %s\r\n" % upgrade.encode()
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    size = max(1, len(body) // chunks)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\nX-Trailer: 1\r\n\r\n"


REQUESTS = st.lists(
    st.tuples(
        st.one_of(st.binary(max_size=200), st.just(INNER), st.just(INNER * 3)),
        st.one_of(st.none(), st.sampled_from(UPGRADES)),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS, cuts=st.lists(st.integers(1, 400), max_size=12))
async def test_any_requests_in_any_pieces_are_read_as_they_were_meant(
    requests: list[tuple[bytes, str | None, int]], cuts: list[int]
) -> None:
    """Pipelined, upgraded, chunked, cut anywhere: each is seen once, in order, with its body."""
    data = b"".join(
        _request(number, body, upgrade, chunks)
        for number, (body, upgrade, chunks) in enumerate(requests)
    )
    async with wire() as running:
        line = await running.line()
        for cut in cuts:
            line.send(data[:cut])
            data = data[cut:]
            await line.writer.drain()
        line.send(data)
        numbers = [orjson.loads((await line.answer())[2])["path"] for _ in requests]
        expected = [("POST", f"/{number}", body) for number, (body, _, _) in enumerate(requests)]
        assert running.app.seen == expected
        assert numbers == [path for _, path, _ in expected]
        assert not any(b"x-trailer" in headers for headers in running.app.headers)


POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 501),
        (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Content-Length: +5\r\n\r\nhello", 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello", 400),
        (POST + b"X: a\r\n folded\r\n\r\n", 400),
        (POST + b"X : a\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400),
        (b"GET /a HTTP/2.0\r\n\r\n", 505),
        (b"GET /a HTTP/9.9\r\n\r\n", 400),
        (b"CONNECT b:443 HTTP/1.1\r\n\r\n", 405),
        (b"CONNECT b:443 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET http: HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_can_be_read_in_two_ways_or_in_none_is_refused(data: bytes, status: int) -> None:
    """In OpenAI's shape, and nothing after it is read: the connection closes."""
    async with wire() as running:
        line = await running.line()
        line.send(data + INNER)
        got, headers, body = await line.answer()
        assert (got, headers["connection"]) == (status, "close")
        assert orjson.loads(body)["error"]["message"]
        assert await line.rest() == b""
        assert running.app.seen == []


@pytest.mark.parametrize("target", [b"*", b"http://a.example", b"http://a.example/b?c", b"//x"])
async def test_other_forms_of_a_target_are_taken(target: bytes) -> None:
    """`OPTIONS *` and the absolute form are in the standard; neither is a fault."""
    async with wire() as running:
        status, _ = await running.said(b"OPTIONS %s HTTP/1.1\r\n\r\n" % target)
        assert status == 200


@pytest.mark.parametrize("line", [b"X-Long: %s\r\n", b"X-%s: a\r\n"])
@pytest.mark.parametrize("ends", [True, False])
async def test_a_head_has_a_size(line: bytes, ends: bool) -> None:  # noqa: FBT001 - a case
    """Whole or without an end, in a name or in a value: 431, and the application never hears."""
    async with wire() as running:
        head = b"GET /a HTTP/1.1\r\n" + line % (b"a" * 40_000)
        status, open_line = await running.said(head + (b"\r\n" if ends else b""))
        assert status == 431
        assert await open_line.rest() == b""
        status, _ = await running.said(b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 40_000))
        assert status == 431
        status, _ = await running.said(b"GET /a HTTP/1.1\r\n" + b"A: b\r\n" * 6_000 + b"\r\n")
        assert status == 431
        assert running.app.seen == []
        fits = b"GET /a HTTP/1.1\r\nX: %s\r\n\r\n" % (b"a" * 32_000)
        assert (await running.said(fits))[0] == 200


async def test_a_head_without_end_is_not_read_to_its_end() -> None:
    """Whoever goes on sending is cut off long before 128 MiB."""
    sent = 0
    async with wire() as running:
        line = await running.line()
        line.send(b"GET /a HTTP/1.1\r\nX: ")
        try:
            while sent < 128:
                line.send(b"a" * 1_048_576)
                await line.writer.drain()
                sent += 1
        except ConnectionError:
            pass
        assert sent < 64
        assert running.app.seen == []


@pytest.mark.parametrize(
    "endless",
    [b"0\r\nX: " + b"a" * 600_000, b"0\r\n" + b"X: a\r\n" * 99_000, b"3;" + b"a" * 600_000],
)
async def test_trailers_have_a_size_too(endless: bytes) -> None:
    """And so have the extensions of a chunk; the handler hears that nobody is there any more."""
    async with wire() as running:
        line = await running.line()
        line.send(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        for at in range(0, len(endless), 10_000):
            line.send(endless[at : at + 10_000])
            await line.writer.drain()
        assert (await line.answer())[0] == 431
        assert await line.rest() == b""
        assert (running.app.seen, running.app.gone) == ([], 1)


async def test_a_refused_request_waits_for_the_answers_before_it() -> None:
    """Two good requests and one bad: three answers in order, the last one closes."""
    async with wire() as running:
        line = await running.line()
        line.send(b"GET /wait HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
        running.app.go_on.set()
        assert [(await line.answer())[0] for _ in range(3)] == [200, 200, 400]
        assert await line.rest() == b""


async def test_only_so_many_requests_wait_on_one_connection() -> None:
    """Whoever sends a thousand at once gets those that fit, then 503 and the end."""
    async with wire(ConnectionLimits(pipelined_max=3)) as running:
        line = await running.line()
        line.send(b"GET /wait HTTP/1.1\r\n\r\n" * 1_000)
        running.app.go_on.set()
        statuses = [(await line.answer())[0] for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 503]
        assert await line.rest() == b""


async def test_an_answer_before_the_end_of_the_body_is_read_and_is_the_last() -> None:
    """The caller sends on for a while, reads the whole answer, and is told that it is over."""
    async with wire() as running:
        line = await running.line()
        line.send(b"POST /unread HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n")
        for _ in range(3):
            line.send(b"a" * 1_000_000)
            await line.writer.drain()
        line.send(INNER)
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await line.rest() == b""
        assert [path for _, path, _ in running.app.seen] == ["/unread"]


async def test_a_whole_body_that_nobody_read_keeps_the_connection() -> None:
    """Only an unfinished one is the end of it."""
    async with wire() as running:
        line = await running.line()
        line.send(b"POST /unread HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        assert "connection" not in (await line.answer())[1]
        assert await line.is_open()


async def test_nothing_is_written_to_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever works for one of its requests hears that it is gone, and no line is logged of it."""
    async with wire() as running:
        begun = b"POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        for _ in range(20):
            line = await running.line()
            line.send(b"GET /wait HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n" + begun)
        await running.asked(20)
        for line in running.lines:
            line.writer.transport.abort()
        running.app.go_on.set()
        await running.until(0)
    assert caplog.records == []
