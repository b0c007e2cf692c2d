"""Where nginx is installed, tests may put it before a service; elsewhere they are skipped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.nginx.proxy import binary, nginx_before

LEFT_OUT = "nginx is not installed (Debian: apt-get install nginx-light)"
Before = Callable[[int], AbstractContextManager[str]]


@pytest.fixture
def nginx(tmp_path: Path) -> Before:
    """Starts an nginx before a port, or skips."""
    if binary() is None:
        pytest.skip(LEFT_OUT)
    folder = tmp_path / "nginx"
    folder.mkdir()
    return lambda port: nginx_before(port, folder)
