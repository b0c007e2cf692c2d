"""How many tokens a text makes at most: by what it is made of, and never more than its bytes."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.pricing.token_bounds import PART_BYTES, tokens_bound

PROSE = "The service keeps the answer until the payment of its invoice has settled. " * 60
CODE = (
    "    def price_of(self, cost_pusd: int) -> Price:\n        return price_for(cost_pusd)\n" * 50
)
TOOLS = '{"type": "function", "function": {"name": "read_file", "description": "Reads it."}}, ' * 50
CHINESE = "付款结算后 服务才会交付答案。" * 90
VIETNAMESE = "Dịch vụ giữ câu trả lời cho đến khi hóa đơn được thanh toán. " * 60
HASHES = "".join(hashlib.sha256(str(at).encode()).hexdigest() for at in range(64))
PICTURE = base64.b64encode(bytes(range(256)) * 12).decode()


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        # Bytes for each token: few enough to bound every tokenizer that was measured, and many
        # enough to be worth it.
        (PROSE, 2.2, 2.8),
        (CODE, 1.9, 2.4),
        (TOOLS, 1.7, 2.2),
        (CHINESE, 1.4, 1.6),
        (VIETNAMESE, 1.5, 1.9),
        (HASHES, 1.0, 1.0),
        (PICTURE, 1.0, 1.0),
    ],
)
def test_each_kind_of_text_has_its_bound(text: str, least: float, most: float) -> None:
    """As the documentation says of each."""
    content = text.encode()
    assert least <= len(content) / tokens_bound(content) <= most


def test_a_key_in_a_file_is_not_averaged_away() -> None:
    """What has no words counts by the byte, however much prose stands around it."""
    prose = PROSE.encode()[:PART_BYTES].ljust(PART_BYTES, b" ")
    hashes = HASHES.encode()[:PART_BYTES]
    mixed = tokens_bound(prose * 20 + hashes + prose * 20)
    assert 40 * (tokens_bound(prose) - 1) <= mixed - PART_BYTES <= 40 * tokens_bound(prose)


@given(st.binary(max_size=3 * PART_BYTES))
def test_it_is_never_more_than_the_bytes(content: bytes) -> None:
    """Nor nothing for something: a byte-level tokenizer cannot do either."""
    bound = tokens_bound(content)
    assert bound <= len(content)
    assert bool(bound) == bool(content)


@given(st.text(max_size=500), st.text(max_size=500))
def test_more_text_of_one_part_is_never_fewer_tokens_than_a_third_of_it(
    first: str, second: str
) -> None:
    """No kind of byte counts less than the letters of plain words."""
    content = (first + second).encode()
    assert 3 * tokens_bound(content) >= len(content)
