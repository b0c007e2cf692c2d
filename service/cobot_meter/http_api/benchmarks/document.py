"""The route of the benchmarks as `/openapi.json` says it."""

from __future__ import annotations

from cobot_meter.http_api.http.openapi import BROKEN, RouteDocument, answered, failed, parameter

BENCHMARKS = RouteDocument(
    summary="What this service has measured of models before today: bought once a UTC day.",
    responses={
        200: answered("The edition: shares in ppm, costs in pico-USD an item, times in ms."),
        402: failed("A top-up of the price, or of what is missing; repeat with its proof."),
        404: failed("Nothing had been measured when this UTC day began."),
        **BROKEN,
    },
    extra={"parameters": [parameter("Authorization", "header", "A proof, or an API key.")]},
)
