"""Find the baseline that costs are counted from, by a few reads of the journal by key.

Must not know: who asks the upstream, or whether a service runs.
"""

from __future__ import annotations

from service.domain.transitions import BASELINE_KEY, COMPARED, FELL, KEY_NAMED, REBASED
from service.domain.upstream_usage import UsageBaseline, baseline_of
from service.ports.books import JournalKeys


async def current_baseline(journal: JournalKeys) -> UsageBaseline | None:
    """The one that the operator set last, or the first; None in books that have none yet."""
    number = await journal.numbered(REBASED)
    begun = await journal.entry_facts(f"{REBASED}/{number - 1}" if number else BASELINE_KEY)
    if begun is None:
        return None
    comparisons = await journal.numbered(COMPARED)
    compared = await journal.entry_facts(f"{COMPARED}/{comparisons - 1}") if comparisons else None
    return baseline_of(
        number,
        begun,
        named=None if begun.get("upstream_key") else await journal.entry_facts(KEY_NAMED),
        compared=compared,
        fell=await journal.entry_facts(f"{FELL}/{number}") is not None,
    )
