"""Where parts listen."""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.wiring.settings.values import Values

OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As a base URL, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read_address(values: Values, name: str, default: str) -> Address:
    """The address of a setting. Raises SettingInvalid."""
    host, port = values.host_and_port(name, default)
    return Address(host=host, port=port)


def read_address_or_off(values: Values, name: str, default: str) -> Address | None:
    """The address of a setting; None for the word `off`: nothing listens. Raises SettingInvalid."""
    return None if values.text(name, default) == OFF else read_address(values, name, default)
