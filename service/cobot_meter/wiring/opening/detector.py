"""The detector of what is private, on the rules for secrets that come with the program."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from cobot_meter.domain import privacy
from cobot_meter.domain.privacy.detector import Detector, Look, nothing_seen
from cobot_meter.domain.privacy.secret_rules import RULES, read_rules


def look_of(*, scans: bool, monotonic_ms: Callable[[], int]) -> Look:
    """What looks at requests; nothing where `scans` is not wanted."""
    if not scans:
        return nothing_seen
    written = files(privacy).joinpath(RULES).read_text(encoding="utf-8")
    return Detector(read_rules(written), monotonic_ms=monotonic_ms).signals
