"""The detector as it ships, for tests: its rules, on a clock that a test moves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cobot_meter
from cobot_meter.domain.privacy.detector import Detector
from cobot_meter.domain.privacy.secret_rules import SecretRules, read_rules

RULES = Path(cobot_meter.__file__).parent / "domain/privacy/secret_rules.toml"


@cache
def shipped_rules() -> SecretRules:
    """The rules of the file, read once for all tests."""
    return read_rules(RULES.read_text())


def shipped_detector() -> Detector:
    """A detector for which no time passes."""
    return Detector(shipped_rules(), monotonic_ms=lambda: 0)


def signals(*texts: str) -> tuple[str, ...]:
    """What is detected in these messages of a user."""
    return shipped_detector().signals([{"role": "user", "content": text} for text in texts])
