"""Fixtures of the buyer's tests."""

from __future__ import annotations

import pytest

from tests.client.shop import Shop


@pytest.fixture
def shop() -> Shop:
    """A fresh one."""
    return Shop()
