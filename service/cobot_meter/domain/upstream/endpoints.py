"""Who serves a model at which price, and whom of them a caller wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cobot_meter.domain.pricing.prices import ImagePrice, ModelPrice

# Served only to who names them whole: a provider's name alone never means them.
_TIERS = frozenset({"priority", "flex"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One provider of a model; `document` is the upstream's own JSON object for it.

    `tag` is how preferences name it exactly (`deepinfra/fp8`), `provider` how people do.
    `image_price` is None where none is said. One that `stops` is known to charge nothing further
    when an answer is closed before its end.
    """

    tag: str
    provider: str
    price: ModelPrice
    document: bytes
    image_price: ImagePrice | None = None
    stops: bool = False

    def is_meant_by(self, names: Iterable[str]) -> bool:
        """Whether one of these lower-case names means this endpoint (openrouter: routing)."""
        tag = self.tag.lower()
        slug, _, tier = tag.partition("/")
        mine = {tag} if tier in _TIERS else {tag, slug, self.provider.lower()}
        return not mine.isdisjoint(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChoice:
    """Whom a caller wants to be served by, in lower case: nobody but `only`, `preferred` first."""

    only: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def allows(self, endpoint: Endpoint) -> bool:
        """Whether this endpoint may serve: it is one of the only ones, if any, and not ignored."""
        named = not self.only or endpoint.is_meant_by(self.only)
        return named and not endpoint.is_meant_by(self.ignored)

    def meant(self, endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        """Those that are named, less those that are ignored."""
        names = self.only or self.preferred
        return tuple(
            endpoint
            for endpoint in endpoints
            if endpoint.is_meant_by(names) and not endpoint.is_meant_by(self.ignored)
        )
