"""The order of things when a service starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.domain.errors import DependencyFault, UpstreamUnreachable
from service.wiring.loops import refresh_prices
from tests.http_api.face_rig import MODEL, open_face


async def test_nothing_is_priced_before_the_usage_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run before the baseline would be counted in it, and the books would miss it for ever."""

    async def unreachable() -> int:
        raise UpstreamUnreachable("the usage cannot be asked for")

    async with open_face(tmp_path) as rig:
        catalogue = rig.service.catalogue
        catalogue.refreshed_at_ms = None
        with monkeypatch.context() as patched:
            patched.setattr(rig.upstream, "usage_pusd", unreachable)
            with pytest.raises(UpstreamUnreachable):
                await refresh_prices(rig.service)
        with pytest.raises(DependencyFault):
            catalogue.offered(MODEL)
        await refresh_prices(rig.service)
        assert catalogue.offered(MODEL).model_id == MODEL
        assert (await rig.books.quiet()).baseline_pusd == 0
