"""The routing table: the operator's own where it names one, else the priors that are shipped.

Must not know: requests, or how anything is decided.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cobot_meter.domain import outside
from cobot_meter.domain.errors import SettingInvalid
from cobot_meter.domain.money import pusd_from_text
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.routing.table import SuccessTable, read_table
from cobot_meter.domain.upstream.completions import Model

SETTING = "COBOT_METER_ROUTING_TABLE"
BYTES_MAX = 262_144
_SHIPPED = "routing_table.json"
_PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """`successes` is decided from. `listed` are its models at the prices of the document itself.

    Those are for whoever explains a decision without a service; a model without them is left out.
    """

    successes: SuccessTable
    listed: Mapping[str, Model]


def routing_table(path: Path | None) -> RoutingTable:
    """The table in this file, None for the shipped one. Raises SettingInvalid."""
    return _shipped_table() if path is None else _read(path)


@functools.cache
def _shipped_table() -> RoutingTable:
    """Read once, however many services a process opens: nobody changes what is shipped."""
    return _read(None)


def _read(path: Path | None) -> RoutingTable:
    try:
        document = table_document(path)
        return RoutingTable(successes=read_table(document), listed=_listed(document["models"]))
    except (OSError, ValueError, RecursionError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        message = f"{SETTING} is no routing table ({path}): {why}; docs/routing.md has the format"
        raise SettingInvalid(message) from None


def table_document(path: Path | None) -> Any:  # noqa: ANN401 - any JSON
    """What stands in this file, None for the shipped one. Raises OSError and ValueError."""
    if path is None:
        return json.loads(resources.files(__package__).joinpath(_SHIPPED).read_bytes())
    return json.loads(_bounded(path))


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ValueError(f"it is longer than {BYTES_MAX} bytes")
    return content


def _listed(models: Mapping[str, Any]) -> dict[str, Model]:
    listed = ((name, _model(name, said)) for name, said in models.items())
    return {name: model for name, model in listed if model is not None}


def _model(name: str, said: Mapping[str, Any]) -> Model | None:
    usd = said.get("usd_per_million")
    context = outside.count(said.get("context"))
    if not isinstance(usd, dict) or not context:
        return None
    return Model(
        model_id=name,
        price=ModelPrice(
            prompt_pusd=_unit(usd.get("prompt")), completion_pusd=_unit(usd.get("completion"))
        ),
        context_length=context,
        max_completion_tokens=outside.count(said.get("max_completion_tokens")) or context,
        document=b"{}",
        upstream="",
    )


def _unit(said: object) -> int:
    return -(-pusd_from_text(str(said)) // _PER_MILLION)
