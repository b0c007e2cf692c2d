"""A client that reaches this machine alone, whatever a name resolves to."""

from __future__ import annotations

import socket

import httpx
import pytest

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session, loopback_socket
from tests.fakes.servers.ollama_server import fake_ollama
from tests.fakes.servers.outside_connects import no_outside_connects


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_socket_to_this_machine_is_made(host: str) -> None:
    """For every address of loopback."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    loopback_socket((family, socket.SOCK_STREAM, 6, "", (host, 80))).close()


@pytest.mark.parametrize("host", ["203.0.113.7", "10.0.0.7", "fe80::1%eth0", "2001:db8::1"])
def test_no_socket_to_another_machine_is_made(host: str) -> None:
    """Whatever name led to the address; a network of one's own is another machine too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with pytest.raises(OSError, match="no other machine"):
        loopback_socket((family, socket.SOCK_STREAM, 6, "", (host, 80)))


async def test_the_client_goes_here_and_nowhere_else() -> None:
    """Outside nothing is even tried; here it works, by address and by name."""
    async with http_session(HttpLimits(), here_only=True) as client, fake_ollama() as ollama:
        with no_outside_connects() as guard:
            with pytest.raises(httpx.TransportError):
                await client.get("http://203.0.113.7/")
            assert guard.tried == []
            for url in (ollama.url, ollama.url.replace("127.0.0.1", "localhost")):
                assert (await client.get(f"{url}/v1/models")).status_code == httpx.codes.OK
