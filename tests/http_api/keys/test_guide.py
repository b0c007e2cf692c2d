"""GET /llms.txt: a page for models, true of this very service."""

from __future__ import annotations

from pathlib import Path

from tests.http_api.face_rig import PUBLIC_URL, open_face


async def test_the_page_names_this_service_and_its_bounds(tmp_path: Path) -> None:
    """Addresses as callers reach them, and what a top-up may be here."""
    async with open_face(tmp_path, TOPUP_LEAST_SAT="7", TOPUP_MOST_SAT="900") as rig:
        page = await rig.get("/llms.txt")
        text = page.body.decode()
        assert (page.status, page.header("content-type")) == (200, "text/markdown; charset=utf-8")
        assert f"POST {PUBLIC_URL}/v1/topups" in text
        assert "From 7 to 900 sat" in text
        assert '{"amount_sat": 900, "key": {"name": "my agent"}}' in text
        described = (await rig.get("/openapi.json")).json()["paths"]
        for path in ("/v1/keys", "/v1/key", "/v1/credits", "/v1/ledger", "/v1/quotes"):
            assert path in described
            assert f"{PUBLIC_URL}{path}" in text
