"""The simulator as one ASGI application: OpenRouter's routes, and `/control` beside them.

Nothing outside this package is imported; whoever wants OpenRouter without OpenRouter mounts this on
a port of its own.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

from openrouter_simulator.account import Account, SimulatorClock
from openrouter_simulator.book.book_file import BookFile
from openrouter_simulator.completions import chat_completions
from openrouter_simulator.control import read_control, write_control
from openrouter_simulator.control_body import ControlInvalid
from openrouter_simulator.error_answers import ErrorAnswer, OrderRefused
from openrouter_simulator.http_io import (
    BodyTooLarge,
    ReaderLeft,
    Receive,
    Scope,
    Send,
    read_body,
    send_json,
)
from openrouter_simulator.reading import MANAGEMENT_KEY, read
from openrouter_simulator.timing import Timing

_API = "/api/v1"
_NO_KEY = ErrorAnswer(status=401, message="No cookie auth credentials found")
_WRONG_KEY = ErrorAnswer(status=401, message="User not found.")
_TOO_LARGE = ErrorAnswer(status=413, message="Request entity too large")
_NOT_FOUND = ErrorAnswer(status=404, message="Not Found")
_NOT_ALLOWED = ErrorAnswer(status=405, message="Method Not Allowed")


class Simulator:
    """An ASGI application. `account` is open to whoever embeds it."""

    def __init__(self, account: Account) -> None:
        """Serve this account."""
        self.account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            await self._serve(scope, receive, send)
        except OrderRefused as refused:
            await _send_error(send, refused.answer)
        except BodyTooLarge:
            await _send_error(send, _TOO_LARGE)
        except ControlInvalid as wrong:
            await _send_error(send, ErrorAnswer(status=400, message=str(wrong)))
        except ReaderLeft:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        method: str = scope["method"]
        if path.startswith("/control/"):
            await self._control(path, method, receive, send)
        elif path == f"{_API}/chat/completions":
            await self._chat(scope, receive, send)
        elif path.startswith(f"{_API}/") and method == "GET":
            await self._read(scope, receive, send)
        else:
            await _send_error(send, _NOT_FOUND)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _send_error(send, _NOT_ALLOWED)
            return
        self._check_key(scope)
        await chat_completions(self.account, dict(scope["headers"]), receive, send)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(_API)
        asked = parse_qs(scope["query_string"].decode("ascii", "replace"))
        open_to_all = path.startswith(("/models", "/model/"))
        key = self._key(scope) if open_to_all else self._check_key(scope)
        answer = read(self.account, path, key=key, generation_id=asked.get("id", [""])[0])
        if answer is None:
            raise OrderRefused(_NOT_FOUND)
        await answer.deliver(self.account.timing, receive, send)

    async def _control(self, path: str, method: str, receive: Receive, send: Send) -> None:
        if method == "GET":
            answer = read_control(self.account, path)
        else:
            answer = write_control(self.account, path, await read_body(receive))
        if answer is None:
            raise OrderRefused(_NOT_FOUND)
        await send_json(send, 200, answer)

    def _key(self, scope: Scope) -> str:
        """The bearer key that came with the request, if any."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        header = headers.get(b"authorization", b"").decode("ascii", "replace")
        scheme, _, key = header.partition(" ")
        return key if scheme.lower() == "bearer" else ""

    def _check_key(self, scope: Scope) -> str:
        """The key that came with the request. Raises OrderRefused when it will not do."""
        key = self._key(scope)
        if not key:
            raise OrderRefused(_NO_KEY)
        if self.account.api_key and key not in (self.account.api_key, MANAGEMENT_KEY):
            raise OrderRefused(_WRONG_KEY)
        return key


def build_simulator(
    *,
    seed: int,
    credit_usd: Decimal,
    lag_s: float,
    latency_s: float,
    clock: SimulatorClock,
    api_key: str = "",
    book_path: Path | None = None,
) -> Simulator:
    """An OpenRouter look-alike with `credit_usd` on its account.

    The record of a generation appears about `lag_s` after its answer (half to one and a half
    times, by `seed`); the first token comes after `latency_s`. An empty `api_key` accepts any.
    With a `book_path` a restart remembers what was charged.
    """
    account = Account(
        seed=seed,
        credit_usd=credit_usd,
        timing=Timing(lag_s=lag_s, latency_s=latency_s),
        clock=clock,
        api_key=api_key,
        book_file=BookFile(book_path) if book_path else None,
    )
    return Simulator(account)


async def _live(receive: Receive, send: Send) -> None:
    """The server's start and stop: nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send_error(send: Send, answer: ErrorAnswer) -> None:
    await send_json(send, answer.status, answer.document(), answer.headers())
