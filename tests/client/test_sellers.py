"""The address of a seller, and its origin: the name under which all that is paid there is kept."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_pay.cli.sellers import seller_of
from cobot_pay.cli.settings import BadSettings
from cobot_pay.http_shapes import origin_of

ADDRESSES = (
    "http://127.0.0.1:8402",
    "http://127.0.0.1:8402/v1",
    "https://b.example/",
    "https://B.Example:443",
    "HTTP://b.example:80",
    "https://b.example:08402",
    "https://b_2.example-c.org:65535",
    "http://localhost",
    "http://[::1]:8402",
    "https://bücher.example",
    "https://xn--bcher-kva.example:8443",
    "http://1.example:1",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_origin_is_what_a_purchase_there_writes(address: str) -> None:
    """However it is spelled: whoever pays there books it under the same words."""
    seller = seller_of(address)
    assert seller.origin == origin_of(httpx.URL(f"{seller.url}/v1/chat/completions"))


@given(
    st.text(alphabet="ab0179.-_xn:", min_size=1, max_size=12), st.sampled_from(["http", "https"])
)
def test_no_address_has_two_origins(netloc: str, scheme: str) -> None:
    """Whatever is taken for an address is one to the HTTP library, and the same one."""
    try:
        seller = seller_of(f"{scheme}://{netloc}")
    except BadSettings:
        return
    assert seller.origin == origin_of(httpx.URL(seller.url))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b.example",
        "ftp://b.example",
        "http://",
        "http://b.example:70000",
        "http://1.2.3.400",
        "http://b.example:x",
        "http://[::1",
        "https://b.example/v2",
    ],
)
def test_what_is_no_address_is_one_sentence(text: str) -> None:
    """It says how a seller is named."""
    with pytest.raises(BadSettings, match=r"a seller is named by its address|without a path"):
        seller_of(text)
