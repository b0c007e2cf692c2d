"""Debian's nginx as the usual proxy: keep-alive to the service, and the websocket map."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

import httpx

from tests.end_to_end.live import free_port

READY_S = 20.0
PAUSE_S = 0.02
# Upgrades are handed on as nearly every guide to websockets tells; all else keeps its connection.
CONFIGURATION = Template("""
$user
worker_processes 1;
daemon off;
pid $folder/nginx.pid;
error_log $folder/error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    map $$http_upgrade $$connection_upgrade { default upgrade; '' ''; }
    upstream service { server 127.0.0.1:$behind; keepalive 1; }
    server {
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $$http_upgrade;
            proxy_set_header Connection $$connection_upgrade;
            proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
        }
    }
}
""")


def binary() -> str | None:
    """Where nginx is; Debian keeps it off the path of ordinary users."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def nginx_before(port: int, folder: Path) -> Iterator[str]:
    """An nginx in front of a service on this port; gives its address."""
    found, own_port = binary(), free_port()
    assert found is not None
    user = "user root;" if os.geteuid() == 0 else ""
    written = CONFIGURATION.substitute(user=user, folder=folder, behind=port, port=own_port)
    (folder / "nginx.conf").write_text(written, encoding="utf-8")
    command = [found, "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{own_port}", process, folder)
        yield f"http://127.0.0.1:{own_port}"
    finally:
        process.terminate()
        process.wait(READY_S)


def _wait_for(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it accepts; the service behind it need not."""
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            break
        try:
            with httpx.Client(trust_env=False) as http:
                http.get(address, timeout=0.2)
        except httpx.ConnectError:
            time.sleep(PAUSE_S)
        except httpx.TimeoutException:
            return
        else:
            return
    raise AssertionError((folder / "error.log").read_text(encoding="utf-8"))
