"""Passes requests on to one seller, pays what it asks for, and passes answers back as they come.

The key that the program carries is a placeholder and stays here: the seller sees the key that is
kept for it, or the token of what was bought before. Only the program on this machine may ask: what
a web page sends is refused, and so is what is meant for anybody else than the seller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from cobot_pay.errors import L402Error
from cobot_pay.l402_auth import L402Auth
from cobot_pay.proxy.listener import Answer, AnswerBroke, Asked
from cobot_pay.proxy.refusals import STOP, UNREACHABLE, refusal, refusal_of
from cobot_pay.purchase import HEADER, READ_STATUSES

FORBIDDEN = 403
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
# What belongs to one connection alone, and what the other side makes anew.
_NOT_PASSED_ON = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"expect", b"host", b"content-length"),
    }
)
_SECRETS = frozenset({b"authorization", b"x-api-key", b"cookie"})
_SHAPED_BY_US = frozenset({b"content-encoding"})


class Forwarder:
    """Answers a Listener's requests with what one seller says to them."""

    def __init__(self, http: httpx.AsyncClient, *, upstream: str, auth: L402Auth, key: str) -> None:
        """`upstream` is the seller's origin without a path; `key` is ours there, empty for none."""
        self._http = http
        self._upstream = upstream
        self._auth = auth
        self._key = key

    @asynccontextmanager
    async def respond(self, asked: Asked) -> AsyncIterator[Answer]:
        """The seller's answer, bought where it has to be; or a refusal."""
        refused = self._refused(asked)
        if refused is not None:
            yield refused
            return
        try:
            response = await self._http.send(self._request(asked), auth=self._auth, stream=True)
        except L402Error as fault:
            yield refusal_of(fault, path=asked.target)
            return
        except sqlite3.Error as fault:
            text = f"what is paid cannot be written down ({fault}): nothing more is, until it can"
            yield refusal(STOP, text, code="budget_unavailable", path=asked.target)
            return
        except (httpx.TransportError, httpx.InvalidURL) as fault:
            text = (
                f"{self._upstream} does not answer ({type(fault).__name__}); asking again is safe"
            )
            yield refusal(UNREACHABLE, text, code="upstream_unreachable", path=asked.target)
            return
        try:
            yield _answer(response)
        finally:
            await response.aclose()

    def _refused(self, asked: Asked) -> Answer | None:
        """Why this request is not passed on, if so."""
        if asked.header(b"origin") or asked.header(b"sec-fetch-site"):
            text = "web pages may not spend through this proxy; ask from a program"
            return refusal(FORBIDDEN, text, code="not_from_here", path=asked.target)
        if urlsplit(f"//{asked.header(b'host')}").hostname not in _LOCAL:
            text = (
                f"this proxy is asked as http://127.0.0.1 and passes on to {self._upstream} alone"
            )
            return refusal(FORBIDDEN, text, code="not_from_here", path=asked.target)
        if not asked.target.startswith("/") or asked.target.startswith("//"):
            text = f"this proxy passes on to {self._upstream} alone: ask it for a path there"
            return refusal(STOP, text, code="another_upstream", path=asked.target)
        return None

    def _request(self, asked: Asked) -> httpx.Request:
        dropped = _NOT_PASSED_ON | _SECRETS | _named_by_connection(asked)
        headers = [one for one in asked.headers if one[0] not in dropped]
        if not asked.header(b"accept-encoding"):
            headers.append((b"accept-encoding", b"identity"))
        if self._key:
            headers.append((HEADER.encode("ascii"), f"Bearer {self._key}".encode("ascii")))
        return httpx.Request(
            asked.method,
            f"{self._upstream}{asked.target}",
            headers=headers,
            content=asked.body,
            extensions={"timeout": self._http.timeout.as_dict()},
        )


def _named_by_connection(asked: Asked) -> frozenset[bytes]:
    """Headers that the program's `Connection` names as its own."""
    named = asked.header(b"connection").lower().split(",")
    return frozenset(one.strip().encode("latin-1") for one in named)


def _answer(response: httpx.Response) -> Answer:
    """The seller's answer: whole where a purchase has read it, otherwise chunk by chunk."""
    headers = [(name.lower(), value) for name, value in response.headers.raw]
    if response.status_code in READ_STATUSES:
        dropped = _NOT_PASSED_ON | _SHAPED_BY_US
        kept = [one for one in headers if one[0] not in dropped]
        return Answer(status=response.status_code, headers=kept, body=response.content)
    dropped = _NOT_PASSED_ON - {b"content-length"}  # which is true as long as nothing is read
    kept = [one for one in headers if one[0] not in dropped]
    return Answer(status=response.status_code, headers=kept, chunks=_chunks(response))


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """As they come from the seller, in the encoding that it chose. Raises AnswerBroke."""
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx.TransportError as fault:
        raise AnswerBroke(f"the seller's answer broke off: {fault}") from fault
