"""The models on offer: an old list is not priced from, but for what the operator priced."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import DependencyFault, ModelNotOffered
from cobot_meter.flows.offer.catalogue import FRESH_MS, ModelCatalogue
from tests.fakes.clock import FakeClock
from tests.fakes.upstream import FakeUpstream
from tests.flows.rigs.chains import FIRST, LOCAL, SECOND


def catalogue_of(clock: FakeClock, *allowed: str) -> ModelCatalogue:
    """One whose upstream lists a paid and a local model."""
    upstream = FakeUpstream(models=(FIRST, LOCAL))
    return ModelCatalogue(upstream=upstream, clock=clock, allowed=frozenset(allowed))


async def test_an_old_list_is_not_priced_from() -> None:
    """After an hour without a refresh nothing is offered."""
    clock = FakeClock()
    catalogue = catalogue_of(clock)
    with pytest.raises(DependencyFault):
        catalogue.offered(FIRST.model_id)
    await catalogue.refresh()
    assert catalogue.offered(FIRST.model_id) == FIRST
    clock.advance(FRESH_MS // 1_000 + 1)
    for model in (FIRST, LOCAL):
        with pytest.raises(DependencyFault):
            catalogue.offered(model.model_id)


async def test_what_the_operator_priced_stays_on_offer() -> None:
    """Without any list of the upstream's, and beside one that is too old."""
    clock = FakeClock()
    catalogue = catalogue_of(clock)
    catalogue.offer_own((LOCAL,))
    assert catalogue.offered(LOCAL.model_id) == LOCAL
    assert catalogue.models() == (LOCAL,)
    await catalogue.refresh()
    assert set(catalogue.models()) == {FIRST, LOCAL}
    clock.advance(FRESH_MS // 1_000 + 1)
    assert catalogue.offered(LOCAL.model_id) == LOCAL
    with pytest.raises(DependencyFault):
        catalogue.offered(FIRST.model_id)
    with pytest.raises(DependencyFault):
        await catalogue.ping()


async def test_the_offer_is_narrowed_for_all() -> None:
    """What is not among the allowed is not offered, whoever priced it."""
    catalogue = catalogue_of(FakeClock(), FIRST.model_id, SECOND.model_id)
    catalogue.offer_own((LOCAL,))
    await catalogue.refresh()
    assert catalogue.models() == (FIRST,)
    with pytest.raises(ModelNotOffered):
        catalogue.offered(LOCAL.model_id)


async def test_an_old_price_is_not_known_either() -> None:
    """The operator's own chain leaves out what it could only price from an old list."""
    clock = FakeClock()
    catalogue = catalogue_of(clock)
    await catalogue.refresh()
    catalogue.offer_own((LOCAL,))
    assert catalogue.known(FIRST.model_id) == FIRST
    clock.advance(FRESH_MS // 1_000 + 1)
    assert catalogue.known(FIRST.model_id) is None
    assert catalogue.known(LOCAL.model_id) == LOCAL
