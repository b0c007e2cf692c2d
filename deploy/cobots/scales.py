"""A skill of the cobot that sells: a plugin with one tool, which weighs parcels."""

from __future__ import annotations

from typing import Any

from cobot.plugins.base import Plugin, PluginMeta
from cobot.plugins.interfaces import ToolProvider

TOOL = "weigh_parcel"
_WEIGHTS = {"Lisbon": "2.4 kg", "Oslo": "11 kg"}
_PARCEL = {"type": "string", "enum": sorted(_WEIGHTS)}


class ScalesPlugin(Plugin, ToolProvider):  # type: ignore[misc] # cobot is not there to be checked
    """Weighs what lies on the scales."""

    meta = PluginMeta(id="scales", version="1.0.0", capabilities=["tools"], priority=35)

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    def get_definitions(self) -> list[dict[str, Any]]:
        """The one tool."""
        parameters = {"type": "object", "properties": {"parcel": _PARCEL}, "required": ["parcel"]}
        function = {"name": TOOL, "description": "Weigh a parcel.", "parameters": parameters}
        return [{"type": "function", "function": function}]

    def execute(self, tool_name: str, args: dict[str, Any]) -> str:
        """The weight of a parcel."""
        if tool_name != TOOL:
            return f"Error: Unknown tool '{tool_name}'"
        return _WEIGHTS.get(str(args.get("parcel")), "There is no such parcel.")

    @property
    def restart_requested(self) -> bool:
        """Never."""
        return False


def create_plugin() -> ScalesPlugin:
    """What cobot looks for."""
    return ScalesPlugin()
