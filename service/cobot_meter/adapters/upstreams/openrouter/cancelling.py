"""Who stops charging when an answer is closed before its end, as OpenRouter documents it.

It names some who do and some who do not; whoever is on neither list goes on charging, as far as
anybody knows. Must not know: requests, or answers.
"""

from __future__ import annotations

from collections.abc import Iterable

# By slug, as preferences name them.
SLUGS = (
    *("anthropic", "azure", "cloudflare", "deepinfra", "deepseek", "fireworks", "novita", "openai"),
    *("together", "xai"),
)
_SLUGS = frozenset(SLUGS)


def stops(name: str) -> bool:
    """Whether this provider, by its name, its slug or the tag of an endpoint, is one of them."""
    return name.partition("/")[0].lower().replace(" ", "-") in _SLUGS


def served_by_one_that_stops(head: dict[str, object]) -> bool:
    """Whether the answer that begins so names one of them as its provider."""
    provider = head.get("provider")
    return isinstance(provider, str) and stops(provider)


def only_those(names: Iterable[object]) -> list[str]:
    """Who may serve, of those whom the caller names as the only ones; all where it names nobody."""
    named = [name for name in names if isinstance(name, str)]
    return [name for name in named if stops(name)] if named else list(SLUGS)
