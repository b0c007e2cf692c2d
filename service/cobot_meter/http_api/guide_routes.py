"""GET /llms.txt: how to ask and how to pay, in a page that a model reads. It writes nothing."""

from __future__ import annotations

from cobot_meter.domain.money import MSAT_PER_SAT
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.exchange import HttpRequest, PlainAnswer

GUIDE_PATH = "/llms.txt"
OK = 200
_GUIDE = """\
# cobot-meter

> An OpenAI-compatible API for completions, paid with Bitcoin over Lightning. No account: a caller
> is named by the proof of a payment (L402), or by an API key that such a proof has made.

## With a key (two settings: base URL and key)
1. `POST {url}/v1/topups` with `{{"amount_sat": {example}, "key": {{"name": "my agent"}}}}`:
   402 with a Lightning invoice (`invoice`) and a macaroon. From {least} to {most} sat.
2. Pay the invoice, and repeat the same request with `Authorization: L402 <macaroon>:<preimage>`:
   200 with `key.key`, the API key. Keep the proof: it alone makes, changes and ends keys.
3. Base URL `{url}/v1`, API key `sk-cobot-...`, as `Authorization: Bearer` or `x-api-key`.

Every request is paid from the credit at what it cost. 402 `insufficient_credits` says in
`error.message` what is left, what would fit and how much to top up by: `POST {url}/v1/topups`.

## Without a key
`POST {url}/v1/chat/completions`: 402 with an invoice over what the answer cost, which is held until
it is paid. Pay it, and repeat the same request with `Authorization: L402 <macaroon>:<preimage>`.

## Further
- `GET {url}/v1/models`: models and prices. `POST {url}/v1/quotes`: the most a request can cost.
- `GET {url}/v1/key`, `GET {url}/v1/credits`, `GET {url}/v1/ledger`: limits, credit, statement.
- `POST`, `GET {url}/v1/keys`, `PATCH`, `DELETE {url}/v1/keys/{{id}}`: keys with limits in all
  (`limit_sat`), a day (`day_limit_sat`) and by model (`models`).
- `PUT`, `GET {url}/v1/budgets`: what may be spent an hour, day, week or month, in a time zone.
{sold}- `GET {url}/openapi.json`: everything else.
"""
_BENCHMARKS = (
    "- `GET {url}/v1/benchmarks`: what this service has measured of models, by the UTC day: "
    "{price}.\n"
)


class GuideRoutes:
    """The one page."""

    def __init__(self, *, parts: FaceParts) -> None:
        """Addresses and bounds are those of this service."""
        bounds = parts.top_up.bounds
        least, most = bounds.least_msat // MSAT_PER_SAT, bounds.most_msat // MSAT_PER_SAT
        example = min(max(1_000, least), most)
        text = _GUIDE.format(
            url=parts.public_url, least=least, most=most, example=example, sold=_sold(parts)
        )
        self._body = text.encode()

    async def llms(self, _request: HttpRequest) -> PlainAnswer:
        """The page, cacheable."""
        headers = [
            (b"content-type", b"text/markdown; charset=utf-8"),
            (b"content-length", b"%d" % len(self._body)),
            (b"cache-control", b"public, max-age=300"),
        ]
        return PlainAnswer(OK, headers, self._body)


def _sold(parts: FaceParts) -> str:
    if parts.sell_edition is None:
        return ""
    sat = parts.sell_edition.price_msat // MSAT_PER_SAT
    return _BENCHMARKS.format(url=parts.public_url, price=f"{sat} sat" if sat else "free")
