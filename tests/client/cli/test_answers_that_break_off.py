"""`cobot-pay ask` and an answer without a good end: what came is shown, and that it is not all."""

from __future__ import annotations

import httpx
import pytest

from cobot_pay.account.service_account import AccountRefused
from cobot_pay.cli.asking import _written

WORDS = b'data: {"choices":[{"delta":{"content":"Lightning "}}]}\n\n'
BROKEN = (
    b'data: {"error":{"message":"the model failed"},'
    b'"choices":[{"delta":{"content":""},"finish_reason":"error"}]}\n\n'
)
DONE = b"data: [DONE]\n\n"


async def written(*events: bytes) -> str:
    """What is written of these events."""
    shown: list[str] = []
    response = httpx.Response(200, content=b"".join(events))
    await _written(response, shown.append)
    return "".join(shown)


async def test_a_good_end_is_an_end() -> None:
    """Whatever follows it is passed over, and comments are no words."""
    assert await written(WORDS, b": still here\n\n", WORDS, DONE, BROKEN) == "Lightning Lightning "


@pytest.mark.parametrize(
    ("events", "says"),
    [((WORDS, BROKEN), "broke off: the model failed"), ((WORDS,), "broke off before its end")],
)
async def test_half_an_answer_is_no_answer(events: tuple[bytes, ...], says: str) -> None:
    """Its error event, or an end without one: a command that fails."""
    with pytest.raises(AccountRefused, match=says):
        await written(*events)
