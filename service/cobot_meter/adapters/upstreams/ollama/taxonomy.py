"""Ollama's errors in one table: it names no types that say more than its statuses do."""

from __future__ import annotations

import re

from cobot_meter.adapters.upstreams.error_taxonomy import ErrorTaxonomy
from cobot_meter.domain.errors import UpstreamFaultKind

ERRORS = ErrorTaxonomy(
    by_type={},
    by_words=(
        (
            re.compile(r"context length|context window|token limit reached", re.IGNORECASE),
            UpstreamFaultKind.CONTEXT_LENGTH,
        ),
    ),
)
