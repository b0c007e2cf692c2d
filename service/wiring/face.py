"""The HTTP face on the service's flows and ports. Must not know: listeners or commands."""

from __future__ import annotations

from collections.abc import Callable

from service.flows.caller_usage import CallerUsage
from service.http_api.addresses import trusted_networks
from service.http_api.asgi_io import BodyLimits
from service.http_api.authentication import Tokens
from service.http_api.face import build_face
from service.http_api.face_parts import FaceLimits, FaceParts
from service.http_api.quote_tokens import QuoteTokens
from service.wiring.build import Service
from service.wiring.listening import AsgiApp


def build_service_face(service: Service, *, is_draining: Callable[[], bool]) -> AsgiApp:
    """One application for every route; `is_draining` turns new asks away."""
    parts, face = service.parts, service.settings.face
    return build_face(
        FaceParts(
            books=parts.books,
            reports=parts.reports,
            asks=service.asks,
            settlements=service.settlements,
            topups=service.topups,
            usage=CallerUsage(reports=parts.reports, clock=parts.clock),
            catalogue=service.catalogue,
            quoting=service.quoting,
            quotes=QuoteTokens(secret=parts.keys.token),
            rates=parts.rates,
            wakes=parts.wakes,
            clock=parts.clock,
            identifiers=parts.identifiers,
            tokens=Tokens(secret=parts.keys.token),
            price_terms=service.settings.prices,
            exposure=service.settings.exposure,
            public_url=face.public_url,
            trusted_proxies=trusted_networks(face.trusted_proxies),
            pings={
                "books": parts.books.ping,
                "node": parts.node.ping,
                "upstream": parts.upstream.ping,
                "upstream_credit": service.account.ping,
                "rate": parts.rates.current,
                "models": service.catalogue.ping,
                "releases": service.gate.ping,
                "settlements": service.node_sweep.ping,
            },
            notices={
                "upstream_usage": lambda: service.costs.alarm.code if service.costs.alarm else None,
                "node_sweep": lambda: "payments_found" if service.node_sweep.found else None,
            },
            registry=parts.metrics.registry,
            is_draining=is_draining,
            limits=FaceLimits(body=BodyLimits(bytes_max=face.body_bytes_max)),
        )
    )
