"""The HTTP face on the service's flows and ports. Must not know: listeners or commands."""

from __future__ import annotations

from collections.abc import Callable

from cobot_meter.flows.credit.caller_usage import CallerUsage
from cobot_meter.http_api.app import build_face
from cobot_meter.http_api.context import FaceLimits, FaceParts
from cobot_meter.http_api.http.addresses import trusted_networks
from cobot_meter.http_api.http.body_room import BodyRoom
from cobot_meter.http_api.http.exchange import AsgiApp, BodyLimits
from cobot_meter.http_api.l402.tokens import Tokens
from cobot_meter.http_api.quote_tokens import QuoteTokens
from cobot_meter.wiring.build import Service
from cobot_meter.wiring.connections.limits import LOOPBACK, ConnectionLimits
from cobot_meter.wiring.opening.detector import look_of
from cobot_meter.wiring.settings.settings import FaceSettings


def face_limits(settings: FaceSettings) -> ConnectionLimits:
    """Bounds of the face's connections: half of the descriptors, and so many by address.

    Behind a proxy every caller comes from one address, so that one is not counted.
    """
    return ConnectionLimits(
        connections_max=settings.connections_max,
        address_max=settings.address_connections_max,
        many_behind=(*LOOPBACK, *trusted_networks(settings.trusted_proxies)),
        files_share=2,
    )


def build_service_face(service: Service, *, is_draining: Callable[[], bool]) -> AsgiApp:
    """One application for every route; `is_draining` turns new asks away."""
    return build_face(face_parts(service, is_draining=is_draining))


def face_parts(service: Service, *, is_draining: Callable[[], bool]) -> FaceParts:
    """What the routes need of the service."""
    parts, flows, face = service.parts, service.flows, service.settings.face
    operating = flows.operating
    return FaceParts(
        books=parts.books,
        reports=parts.reports,
        ask_completion=flows.ask_completion,
        settle_invoice=flows.settle_invoice,
        top_up=flows.top_up,
        manage_keys=flows.manage_keys,
        manage_budgets=operating.manage_budgets,
        find_budgets=flows.find_budgets,
        tasks=flows.tasks,
        caller_usage=CallerUsage(reports=parts.reports, clock=parts.clock),
        catalogue=flows.catalogue,
        quote_request=flows.quote_request,
        route_request=flows.route_request,
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
            "upstream_credit": flows.watch_account.ping,
            "rate": parts.rates.current,
            "models": flows.catalogue.ping,
            "releases": flows.release_gate.ping,
            "settlements": operating.sweep_node.ping,
            "body_keys": flows.keep_body_keys.ping,
        },
        notices={
            "body_keys": lambda: flows.keep_body_keys.notice,
            "upstream_usage": lambda: (
                operating.compare_costs.alarm.code if operating.compare_costs.alarm else None
            ),
            "node_sweep": lambda: "payments_found" if operating.sweep_node.found else None,
        },
        registry=parts.metrics.registry,
        sell_edition=service.sell_edition,
        is_draining=is_draining,
        look=look_of(
            scans=service.settings.upstream.privacy.scans, monotonic_ms=parts.clock.monotonic_ms
        ),
        limits=FaceLimits(
            body=BodyLimits(
                bytes_max=face.body_bytes_max,
                room=BodyRoom(bytes_max=face.bodies_bytes_max, body_bytes_max=face.body_bytes_max),
            )
        ),
    )
