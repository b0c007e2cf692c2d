"""What in a request is private, as far as it can be seen: types, and never what was found.

It only ever raises a tier. What it cannot look at, does not finish or fails at counts as found:
a guess that errs must err towards keeping things here. Must not know: tiers, callers or upstreams.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cobot_meter.domain.privacy.personal_data import personal_data
from cobot_meter.domain.privacy.secret_rules import SecretRules
from cobot_meter.domain.privacy.texts import decoded, plain, texts_of
from cobot_meter.domain.privacy.tiers import DETECTOR_FAILED, UNSCANNABLE

SECRET = "secret"  # noqa: S105 - the name of a type
# A whole request of the largest size takes a tenth of this on an idle machine.
WITHIN_MS = 250


# What is found in a JSON value: types, in alphabetic order.
Look = Callable[[object], tuple[str, ...]]


def nothing_seen(_value: object) -> tuple[str, ...]:
    """Where no detector is: a request is what its caller says."""
    return ()


class OutOfTime(Exception):
    """There was more to look at than there was time for."""


class Detector:
    """Looks at the texts of requests. Holds nothing of them."""

    def __init__(self, rules: SecretRules, *, monotonic_ms: Callable[[], int]) -> None:
        """`monotonic_ms` is the clock by which it gives up."""
        self._rules = rules
        self._monotonic_ms = monotonic_ms

    def signals(self, document: object) -> tuple[str, ...]:
        """The types of what was found in a JSON value, in alphabetic order."""
        try:
            return tuple(sorted(self._found(document)))
        except (LookupError, MemoryError, OutOfTime, RecursionError, ValueError, re.error):
            return (DETECTOR_FAILED,)

    def _found(self, document: object) -> set[str]:
        until_ms = self._monotonic_ms() + WITHIN_MS
        texts = texts_of(document)
        said = plain(texts.joined)
        inner = decoded(said)
        found = self._in_text(said, until_ms)
        if inner.joined:
            found |= self._in_text(plain(inner.joined), until_ms)
        if not (texts.whole and inner.whole):
            found.add(UNSCANNABLE)
        return found

    def _in_text(self, text: str, until_ms: int) -> set[str]:
        found: set[str] = set()
        lowered = text.lower()
        for kind in personal_data(text, lowered):
            found.add(kind)
            self._refuse_late(until_ms)
        self._refuse_late(until_ms)
        for rule, part in self._rules.candidates(text, lowered):
            if rule.is_in(part):
                found.add(SECRET)
                break
            self._refuse_late(until_ms)
        return found

    def _refuse_late(self, until_ms: int) -> None:
        if self._monotonic_ms() > until_ms:
            raise OutOfTime
