"""One price service asked over HTTP: bounded in time and size, and never a fault of ours."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import httpx

from cobot_meter.adapters.rates.rate_answers import RateService
from cobot_meter.domain.pricing.exchange_rates import NoReading, Reading
from cobot_meter.ports.process import Clock

_OK = 200
_BYTES_MAX = 65_536
_TIMEOUT_S = 10.0
# TimeoutError is an OSError, and so are resets that no library has wrapped.
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)


class HttpRateSource:
    """Implements `ports.exchange_rate.RateSource` over one GET."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        name: str,
        service: RateService,
        clock: Clock,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        """`client` is the process's own and is not closed here."""
        self._client = client
        self._name = name
        self._service = service
        self._clock = clock
        self._timeout_s = timeout_s
        self._headers = httpx.Headers(
            {
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "cobot-meter",
            }
        )

    @property
    def name(self) -> str:
        """The short word, as it was given, that stands in the source of a stored rate."""
        return self._name

    async def read(self) -> Reading | NoReading:
        """One GET within `timeout_s`: the price in 1e-6 USD for a bitcoin, or why there is none.

        Raises nothing of the outside. A service that dates its price is believed only to be older
        than now.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = self._service.read(await self._body())
        except TimeoutError:
            return self._nothing(f"has not answered within {self._timeout_s:g} s")
        except _FAULTS as fault:
            return self._nothing(f"cannot be reached ({type(fault).__name__})")
        except ValueError as wrong:
            return self._nothing(str(wrong))
        now_ms = self._clock.now_ms()
        said_at_ms = now_ms if answer.said_at_ms is None else answer.said_at_ms
        return Reading(
            source=self._name,
            usd_micro_per_btc=answer.usd_micro_per_btc,
            at_ms=min(now_ms, said_at_ms),
        )

    async def _body(self) -> bytes:
        """The answer. Raises ValueError when there is none to read, and transport faults."""
        request = httpx.Request(
            "GET",
            self._service.url,
            headers=self._headers,
            extensions={"timeout": self._client.timeout.as_dict()},
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code != _OK:
                raise ValueError(f"answered {response.status_code}")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _BYTES_MAX:
                    raise ValueError(f"answered with more than {_BYTES_MAX} bytes")
            return body
        finally:
            with contextlib.suppress(*_FAULTS):
                await response.aclose()

    def _nothing(self, why: str) -> NoReading:
        return NoReading(source=self._name, why=why)
