"""How the books are, read whenever the metrics are. Must not know: who reads them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from service.adapters.storage.sqlite_files import free_bytes
from service.flows.unwritten_facts import UnwrittenFacts
from service.wiring.settings import Settings


def watch_books(
    registry: CollectorRegistry, settings: Settings, away_s: Callable[[], float]
) -> None:
    """For how long the books take no writes, and what is free on the disk of the data."""
    away = Gauge(
        "cobot_meter_books_away_seconds",
        "For how long the books have taken no writes; 0 while they do",
        registry=registry,
    )
    away.set_function(away_s)
    free = Gauge(
        "cobot_meter_data_free_bytes",
        "Free on the disk of the data directory, where SQLite's books are; -1 if unknown",
        registry=registry,
    )
    free.set_function(lambda: free_bytes(settings.data_dir))


def watch_unwritten(registry: CollectorRegistry, unwritten: UnwrittenFacts) -> None:
    """How many finished answers wait for the books."""
    waiting = Gauge(
        "cobot_meter_unwritten_answers",
        "Finished runs that wait in memory until the books take writes",
        registry=registry,
    )
    waiting.set_function(lambda: unwritten.count)
