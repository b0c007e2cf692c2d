"""The address an ask counts against, and whom it is believed from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.http_api.http.addresses import HOPS_MAX, UNKNOWN, address_of, trusted_networks

PROXIES = trusted_networks(["10.0.0.0/8", " fd00::/8", "192.0.2.1"])


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:0001:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::1", "::/64"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("a socket", UNKNOWN),
    ],
)
def test_a_peer_as_it_is_counted(peer: str | None, shown: str) -> None:
    """IPv4 as it is, IPv6 by its /64, IPv4 in IPv6 as IPv4, and nothing made up for no address."""
    assert address_of(peer=peer, forwarded_for=(), trusted_proxies=()) == shown


def test_a_stranger_cannot_choose_his_address() -> None:
    """Without trusted proxies, and from an untrusted peer, forwarded headers mean nothing."""
    forwarded = [b"198.51.100.1"]
    for proxies in ((), PROXIES):
        shown = address_of(peer="203.0.113.7", forwarded_for=forwarded, trusted_proxies=proxies)
        assert shown == "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded", "shown"),
    [
        ([b"198.51.100.1"], "198.51.100.1"),
        ([b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ([b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
        ([b"1.1.1.1, 198.51.100.1, 10.1.1.1,192.0.2.1"], "198.51.100.1"),
        ([b"198.51.100.1, fd12::1"], "198.51.100.1"),
        ([b"198.51.100.1, ::ffff:10.0.0.3"], "198.51.100.1"),
        ([b"198.51.100.1:4711"], "198.51.100.1"),
        ([b"[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::/64"),
        ([b"[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
        ([b"2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
        ([b"10.0.0.9"], "10.0.0.9"),
        ([b"10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        ([b"1.1.1.1, unknown"], "10.0.0.2"),
        ([b"1.1.1.1, ,10.0.0.8"], "10.0.0.8"),
        ([b"\xff\xfe"], "10.0.0.2"),
        ([], "10.0.0.2"),
    ],
)
def test_the_rightmost_hop_that_no_trusted_proxy_is(forwarded: list[bytes], shown: str) -> None:
    """Behind trusted proxies the nearest other hop counts; what lies left of it is not believed."""
    assert address_of(peer="10.0.0.2", forwarded_for=forwarded, trusted_proxies=PROXIES) == shown


def test_the_work_is_bounded() -> None:
    """A header of endless hops is read only so far."""
    hops = b", ".join([b"198.51.100.1"] + [b"10.0.0.1"] * (HOPS_MAX * 100))
    shown = address_of(peer="10.0.0.2", forwarded_for=[hops], trusted_proxies=PROXIES)
    assert shown == "10.0.0.1"


@given(st.text(max_size=60), st.lists(st.binary(max_size=60), max_size=3))
def test_nothing_raises(peer: str, forwarded: list[bytes]) -> None:
    """Whatever a peer or a header says, there is an address to count against."""
    trusted = trusted_networks(["0.0.0.0/0", "::/0"])
    assert address_of(peer=peer, forwarded_for=forwarded, trusted_proxies=trusted)
    assert address_of(peer="10.0.0.2", forwarded_for=forwarded, trusted_proxies=trusted)


def test_a_wrong_network_is_refused() -> None:
    """A setting that is no network stops the start."""
    with pytest.raises(ValueError, match="does not appear"):
        trusted_networks(["example.org"])
