"""The proxy example that is shipped: a real nginx accepts it, and sells through it."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cobot_meter.wiring.settings.settings import read_settings
from tests.architecture.source_tree import source
from tests.end_to_end.live import Live, ask_body, free_port, proof_of
from tests.fakes.lnd.lnd_certificates import make_tls_pair

EXAMPLE = "deploy/nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
READY_S = 20.0
PUBLIC = "https://shop.example"
TOLD = {
    "COBOT_METER_PUBLIC_URL": PUBLIC,
    "COBOT_METER_TRUSTED_PROXIES": "127.0.0.1",
}
WHOLE = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/cobot-meter.conf;
}}
"""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def written(folder: Path, *, behind: str, port: int) -> list[str]:
    """The example with a certificate and ports of this test; the command that runs it."""
    pair = make_tls_pair()
    (folder / "fullchain.pem").write_bytes(pair.certificate)
    (folder / "privkey.pem").write_bytes(pair.key)
    example = source(EXAMPLE)
    for theirs, ours in (
        ("/etc/ssl/shop.example", str(folder)),
        ("127.0.0.1:8402;", f"{behind};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
    ):
        assert example.count(theirs) in {1, 2}
        example = example.replace(theirs, ours)
    (folder / "cobot-meter.conf").write_text(example)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, user=user))
    return [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "error.log")]


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[Live, str]]:
    """A service with the settings that the example tells of, and nginx before it."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    live, port = Live(tmp_path, settings=TOLD), free_port()
    command = written(folder, behind=live.face.removeprefix("http://"), port=port)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield live, f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(READY_S)


def trusting(folder: Path) -> httpx.AsyncClient:
    """A client that knows the certificate of this test."""
    trust = ssl.create_default_context(cafile=str(folder / "nginx" / "fullchain.pem"))
    return httpx.AsyncClient(verify=trust, timeout=30, trust_env=False)


def test_the_settings_that_the_example_tells_of_are_settings() -> None:
    """They stand in its head as they are typed, and no risk is run with them."""
    for name, value in TOLD.items():
        assert f"{name}={value}" in source(EXAMPLE)
    assert read_settings(TOLD).risks == ()


@needs_nginx
def test_nginx_accepts_the_example(tmp_path: Path) -> None:
    """`nginx -t` on it, with another certificate and port."""
    command = written(tmp_path, behind="127.0.0.1:9", port=free_port())
    checked = subprocess.run(
        [*command, "-t"], capture_output=True, text=True, timeout=READY_S, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr.replace("conflicting server name", "")


@needs_nginx
async def test_a_completion_is_bought_through_it(proxied: tuple[Live, str], tmp_path: Path) -> None:
    """402 with links to the public address, payment, 200; metrics are nobody's."""
    live, proxy = proxied
    try:
        await live.start()
        async with trusting(tmp_path) as http:
            url, body = f"{proxy}/v1/chat/completions", ask_body("About proxies")
            challenge = await http.post(url, json=body, headers={"Upgrade": "h2c"})
            assert challenge.status_code == httpx.codes.PAYMENT_REQUIRED
            assert PUBLIC in challenge.text
            assert live.face not in challenge.text
            proof = proof_of(challenge, await live.pay(challenge.json()["invoice"]))
            answer = await http.post(url, json=body, headers=proof)
            assert answer.status_code == httpx.codes.OK
            streamed = {**body, "stream": True}
            again = await http.post(url, json=streamed, headers={"X-Forwarded-For": "8.8.8.8"})
            assert again.status_code == httpx.codes.PAYMENT_REQUIRED
            assert (await http.get(f"{proxy}/metrics")).status_code == httpx.codes.NOT_FOUND
            assert (await http.get(f"{proxy}/readyz")).status_code == httpx.codes.OK
            large = await http.post(url, content=b" " * 2_000_000)
            assert large.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    finally:
        await live.aclose()


@needs_nginx
async def test_a_paid_post_is_sent_once(proxied: tuple[Live, str], tmp_path: Path) -> None:
    """A service that is away is 502 at once: nothing is tried a second time."""
    live, proxy = proxied
    async with trusting(tmp_path) as http:
        until_s = time.monotonic() + READY_S
        while True:
            try:
                answer = await http.post(f"{proxy}/v1/chat/completions", json=ask_body("x"))
            except httpx.ConnectError:
                assert time.monotonic() < until_s
                continue
            break
    assert answer.status_code == httpx.codes.BAD_GATEWAY
    assert "proxy_next_upstream off;" in source(EXAMPLE)
    await live.aclose()
