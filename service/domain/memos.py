"""The memos of our invoices: what they are for, and a tag that names the caller to us alone.

The tag is what a payment can be credited by when the books that knew its invoice are lost. Must
not know: how a tag is made or read.
"""

from __future__ import annotations

COMPLETION = "cobot-meter completion"
TOPUP = "cobot-meter top-up"


def tagged(what: str, tag: str) -> str:
    """The memo of one invoice."""
    return f"{what} {tag}"


def is_ours(memo: str) -> bool:
    """Whether a service like this one made the invoice: this one, or another on the same node."""
    return any(memo == what or memo.startswith(f"{what} ") for what in (COMPLETION, TOPUP))


def tag_of(memo: str) -> str | None:
    """The tag; None in a memo from before invoices had tags."""
    for what in (COMPLETION, TOPUP):
        if memo.startswith(f"{what} "):
            return memo.removeprefix(f"{what} ")
    return None
