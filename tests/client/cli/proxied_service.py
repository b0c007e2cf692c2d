"""`cobot-pay proxy` before a real service with a simulator behind it, each a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.end_to_end.live import Live, free_port


@contextlib.asynccontextmanager
async def open_proxied_service(folder: Path) -> AsyncIterator[str]:
    """The proxy's base URL; what it pays is kept in the folder's `home`."""
    live, port = Live(folder), free_port()
    await live.start()
    proxy = proxy_before(live, port, folder / "home")
    try:
        assert proxy.stderr is not None
        assert "OPENAI_BASE_URL=" in await asyncio.to_thread(proxy.stderr.readline)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.communicate(timeout=20)
        await live.aclose()


def proxy_before(live: Live, port: int, home: Path) -> subprocess.Popen[str]:
    """`cobot-pay proxy`, with the service's own play money."""
    words = ["--home", str(home), "proxy", live.face, "--listen", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        [sys.executable, "-m", "cobot_pay.cli", *words],
        env={**os.environ, "COBOT_PAY_WALLET": f"dev:{live.node}"},
        stderr=subprocess.PIPE,
        text=True,
    )
