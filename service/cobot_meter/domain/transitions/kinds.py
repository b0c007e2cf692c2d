"""Kinds and keys of journal entries that record no event of an escrow or a top-up."""

from __future__ import annotations

BASELINE_KEY = "upstream/baseline"
RELEASES = "releases"
RELEASES_STOPPED = "releases_stopped"
RELEASES_OPENED = "releases_opened"
BUDGETS = "budgets"
BUDGETS_SET = "budgets_set"
# A day's edition of the benchmarks that a caller bought.
EDITIONS, EDITION_SOLD = "benchmarks", "benchmarks_sold"
# Names under which entries are numbered or written once.
COMPARED = "upstream/usage_compared"
REBASED = "upstream/usage_rebased"
FELL = "upstream/usage_fell"
KEY_NAMED = "upstream/key_named"
NODE_ADOPTED, NODE_SWEPT = "node_adopted", "node_swept"
PAYMENT_FOUND, PAYMENT_SET_ASIDE = "payment_found", "payment_set_aside"
SWEPT = f"node/{NODE_SWEPT}"
# The kinds that are numbered by how many of one name there are: `{name}/{number}` is their key.
NUMBERED_KINDS = frozenset(
    {
        "usage_compared",
        "usage_rebased",
        "caller_changed",
        NODE_SWEPT,
        RELEASES_STOPPED,
        RELEASES_OPENED,
        BUDGETS_SET,
    }
)
