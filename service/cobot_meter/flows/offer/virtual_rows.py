"""A virtual name as a row of `GET /v1/models`, in the shape in which OpenRouter lists its models.

Must not know: which models stand behind the name, or how one of them is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from cobot_meter.domain.upstream.completions import Model


def virtual_row(model: Model, *, means: str, description: str, takes: Iterable[str]) -> Model:
    """The model with its row: what its name `means`, in words, and the parameters that it `takes`.

    Nothing but text is promised, since the models behind a name differ in what else they read.
    """
    name, context = model.model_id, model.context_length
    document = {
        "id": name,
        "canonical_slug": name,
        "name": f"{name}: {means}",
        "created": 0,
        "description": description,
        "context_length": context,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Router",
            "instruct_type": None,
        },
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": model.max_completion_tokens,
            "is_moderated": False,
        },
        "supported_parameters": list(takes),
    }
    return replace(model, document=json.dumps(document).encode())
