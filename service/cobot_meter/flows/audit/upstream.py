"""Audit: what was compared with the upstream's usage, lived again, and the usage of now.

Must not know: escrows, balances or the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from cobot_meter.domain.ledger.accounts import COST_UNATTRIBUTED, upstream_of
from cobot_meter.domain.money import usd_text
from cobot_meter.domain.transitions.kinds import BASELINE_KEY, COMPARED, FELL, KEY_NAMED, REBASED
from cobot_meter.domain.upstream.usage import UsageBaseline, baseline_of, usage_alarm
from cobot_meter.flows.audit.findings import Findings
from cobot_meter.ports.ledger_reports import JournalEntry

UPSTREAM = "upstream"


class UpstreamReplay:
    """`baseline` is what costs are counted from; `compared_pusd` what comparisons booked, where."""

    def __init__(self, findings: Findings) -> None:
        """Nothing said."""
        self.baseline: UsageBaseline | None = None
        self.compared_pusd: Counter[str] = Counter()
        self.comparisons = 0
        self._findings = findings
        # The most that entries had seen which name no upstream: of all of them together.
        self._highest_of_all_pusd = 0

    def told(self, entry: JournalEntry, *, booked_pusd: Callable[[str | None], int]) -> None:
        """Take one entry in.

        `booked_pusd` says what the journal has booked at one upstream, or at all (None).
        """
        if entry.kind == "usage_compared":
            self._compared(entry)
            return
        self._demand(entry, not entry.transfers, "it moves no money, but this entry does")
        if entry.key == BASELINE_KEY:
            self._begun(0, entry)
        elif entry.kind == "usage_rebased":
            self._rebased(entry, booked_pusd(_named(entry)))
        elif self.baseline is None:
            self._unknown(entry)
        elif entry.key == KEY_NAMED:
            key = entry.facts.get("upstream_key")
            self.baseline = replace(self.baseline, key=str(key))
        elif entry.key == f"{FELL}/{self.baseline.number}":
            self.baseline = replace(self.baseline, fell=True)
        else:
            self._unknown(entry)

    def _unknown(self, entry: JournalEntry) -> None:
        message = f"no entry of {entry.subject_id} is called {entry.kind} and stands here"
        self._findings.add("entry_unknown", entry.key, message)

    def _demand(self, entry: JournalEntry, sound: bool, message: str) -> None:  # noqa: FBT001
        self._findings.demand("postings_differ", entry.key, f"{entry.kind}: {message}", sound=sound)

    def _begun(self, number: int, entry: JournalEntry) -> UsageBaseline:
        self.baseline = baseline_of(number, entry.facts, named=None, compared=None, fell=False)
        usage_pusd = entry.facts.get("usage_pusd")
        self._highest_of_all_pusd = usage_pusd if isinstance(usage_pusd, int) else 0
        return self.baseline

    def _rebased(self, entry: JournalEntry, booked_pusd: int) -> None:
        number = self.baseline.number + 1 if self.baseline else 1
        baseline = self._begun(number, entry)
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {REBASED}/{number - 1}",
            sound=entry.key == f"{REBASED}/{number - 1}",
        )
        self._findings.demand(
            "baseline_differs",
            entry.key,
            f"it says that {baseline.booked_pusd} pusd were booked, the journal {booked_pusd}",
            sound=baseline.booked_pusd == booked_pusd,
        )

    def _compared(self, entry: JournalEntry) -> None:
        found_pusd, unsound, upstream = 0, False, _named(entry)
        for one in entry.transfers:
            sides = {one.debit, one.credit}
            unsound |= one.kind != "posted" or COST_UNATTRIBUTED.code not in sides
            at = next(filter(None, map(upstream_of, sorted(sides))), None)
            upstream = upstream or at
            unsound |= at is None or at != upstream
            found_pusd += one.amount if one.debit == COST_UNATTRIBUTED.code else -one.amount
        if upstream is not None:
            self.compared_pusd[upstream] += found_pusd
        said = entry.facts.get("unattributed_usd")
        self._demand(
            entry,
            not unsound and usd_text(found_pusd) == said,
            f"it books {found_pusd} pusd, but {said} USD were found",
        )
        self._findings.demand(
            "entry_mislabelled",
            entry.key,
            f"it should be {COMPARED}/{self.comparisons}",
            sound=entry.key == f"{COMPARED}/{self.comparisons}",
        )
        self.comparisons += 1
        self._grown(entry)

    def _grown(self, entry: JournalEntry) -> None:
        usage_pusd, baseline = entry.facts.get("usage_pusd"), self.baseline
        if not isinstance(usage_pusd, int) or baseline is None:
            return  # a version that did not keep it
        highest_pusd = baseline.highest_pusd if _named(entry) else self._highest_of_all_pusd
        self._findings.demand(
            "comparison_differs",
            entry.key,
            f"it was made at {entry.facts.get('usage_usd')} USD of the key "
            f"{entry.facts.get('upstream_key')} and baseline {entry.facts.get('baseline')}: the "
            f"books count baseline {baseline.number} of the key {baseline.key}, which had used "
            f"{usd_text(highest_pusd)} USD before",
            sound=usage_pusd >= highest_pusd
            and usd_text(usage_pusd) == entry.facts.get("usage_usd")
            and entry.facts.get("baseline") == baseline.number
            and entry.facts.get("upstream_key") in {baseline.key, None},
        )
        if _named(entry):
            self.baseline = replace(baseline, highest_pusd=max(usage_pusd, highest_pusd))
        else:
            self._highest_of_all_pusd = max(usage_pusd, highest_pusd)

    def compare(self, *, key: str | None, usage_pusd: int | None) -> None:
        """Hold the usage of now against what the books count from; `key` None is not known."""
        if self.baseline is None or usage_pusd is None:
            return
        key = self.baseline.key if key is None else key
        alarm = usage_alarm(self.baseline, key=str(key), usage_pusd=usage_pusd)
        if alarm is not None:
            self._findings.add(alarm.code, UPSTREAM, alarm.message)


def _named(entry: JournalEntry) -> str | None:
    """The upstream that the entry is of; None in one from when it was of all of them."""
    name = entry.facts.get("upstream")
    return name if isinstance(name, str) else None
