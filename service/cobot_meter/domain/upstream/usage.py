"""What our costs are counted against: the usage figure of one key of ours, from a baseline on.

Theory of operation. The usage of one key only grows, so a smaller figure is another account's or a
counter that began anew, and says nothing about what was spent: nothing is booked from it, and it
rings until the operator has looked and said from where to go on. A key is named by its mark, a
digest, and never by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cobot_meter.domain.money import usd_text

MARK_CHARS = 16
REBASE = "Look at the account there, then say: cobot-meter upstream rebase --reason …"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReading:
    """What the key of ours with this mark had used in all at the upstream of this name."""

    upstream: str
    usage_pusd: int
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBaseline:
    """The `number`-th baseline (0: the first): what the key had used, and what we had booked.

    `key` is the key's mark, None in books from before keys had marks; `highest_pusd` is the most
    that this key was ever seen to have used. `fell` once a smaller figure was believed.
    """

    number: int
    usage_pusd: int
    booked_pusd: int
    key: str | None
    highest_pusd: int
    fell: bool = False

    def unexplained_pusd(self, *, usage_pusd: int, booked_pusd: int) -> int:
        """What the upstream took since the baseline beyond what was booked since."""
        return (usage_pusd - self.usage_pusd) - (booked_pusd - self.booked_pusd)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAlarm:
    """Why nothing can be concluded from the usage figure: a stable code and one sentence."""

    code: str
    message: str


def key_mark(api_key: str) -> str:
    """What tells our keys apart in books and logs; it opens nothing."""
    digest = hashlib.sha256(b"cobot-meter upstream key\n" + api_key.encode()).hexdigest()
    return digest[:MARK_CHARS]


def usage_alarm(baseline: UsageBaseline, *, key: str, usage_pusd: int) -> UsageAlarm | None:
    """What is wrong with this figure of this key, None when it can be compared."""
    if baseline.key is not None and baseline.key != key:
        return UsageAlarm(
            code="upstream_key_changed",
            message=(
                f"The books count against the usage of the key {baseline.key}, and the key in the "
                f"settings is {key}: no costs are compared until you have said so. {REBASE}"
            ),
        )
    if baseline.fell or usage_pusd < baseline.highest_pusd:
        return UsageAlarm(
            code="upstream_usage_fell",
            message=(
                f"The upstream says that our key has used {usd_text(usage_pusd)} USD, and it had "
                f"used {usd_text(baseline.highest_pusd)} before: usage only grows, so nothing is "
                f"booked from it. {REBASE}"
            ),
        )
    return None


def ahead_alarm(ahead_pusd: int) -> UsageAlarm | None:
    """What is wrong when the books have more than the upstream took, None at 0."""
    if not ahead_pusd:
        return None
    return UsageAlarm(
        code="upstream_usage_short",
        message=(
            f"The books have {usd_text(ahead_pusd)} USD more than the upstream says it took; "
            f"nothing is booked from that. {REBASE}"
        ),
    )


def baseline_of(
    number: int,
    begun: Mapping[str, str | int | None],
    *,
    named: Mapping[str, str | int | None] | None,
    compared: Mapping[str, str | int | None] | None,
    fell: bool,
) -> UsageBaseline:
    """From the entry that began it, the one that named its key, and the newest comparison.

    An entry that names no upstream is from when the usage was the sum over all of them: the figure
    of one may well be smaller, and has not fallen for that. What was booked is the sum of then too,
    so that the difference from it goes on.
    """
    usage_pusd = _amount(begun, "usage_pusd")
    key = begun.get("upstream_key") or (named or {}).get("upstream_key")
    since = compared if compared is not None and compared.get("baseline") == number else {}
    return UsageBaseline(
        number=number,
        usage_pusd=usage_pusd,
        booked_pusd=_amount(begun, "booked_pusd"),
        key=key if isinstance(key, str) else None,
        highest_pusd=max(
            _amount(one, "usage_pusd") if one.get("upstream") else 0 for one in (begun, since)
        ),
        fell=fell,
    )


def _amount(facts: Mapping[str, str | int | None], name: str) -> int:
    value = facts.get(name, 0)
    return value if isinstance(value, int) else 0
