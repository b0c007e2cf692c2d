"""What a key is refused for: errors of the caller, told apart by their codes.

CallerFault
├── KeyInvalid             no such key, or none that can be told
│   ├── KeyRevoked             its owner has ended it
│   └── KeyExposed             it stands in the address of a request
├── KeyLimitReached        it may not spend so much, in all or today
├── ModelNotAllowed        it may not ask for this model
├── ProofRequired          what takes the proof of a payment, and not a key
└── CreditShort            its caller has not so much credit
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.errors import CallerFault

# The names of the guards that a key's limits are.
KEY_GUARDS = frozenset({"key", "key_day"})


class KeyInvalid(CallerFault):
    """A key that names nobody here."""

    code = "invalid_api_key"
    may_retry = False


class KeyRevoked(KeyInvalid):
    """A key whose owner has ended it."""

    code = "api_key_revoked"


class KeyExposed(KeyInvalid):
    """A key in an address, which logs and histories keep."""

    code = "api_key_in_url"


class KeyLimitReached(CallerFault):
    """The key would spend more than it may; amounts in msat."""

    code = "key_limit_reached"
    may_retry = False

    def __init__(
        self, message: str, *, guard: str, open_amount: int, limit: int, asked: int
    ) -> None:
        """`guard` is `key` or `key_day`; `open_amount` is spent and reserved by it."""
        super().__init__(message)
        self.guard = guard
        self.open_amount = open_amount
        self.limit = limit
        self.asked = asked


class ModelNotAllowed(CallerFault):
    """The key may ask for certain models, and this is none of them."""

    code = "model_not_allowed"
    may_retry = False


class ProofRequired(CallerFault):
    """A key may spend, and not say what keys there are."""

    code = "proof_required"
    may_retry = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What is there, what is reserved by others of the same caller, and what this would need.

    `fits_max_tokens` is with how many tokens the same request would fit, 0 for none;
    `cheaper_model` one that would fit as it is. Amounts in msat.
    """

    available_msat: int
    reserved_msat: int
    needed_msat: int
    fits_max_tokens: int = 0
    cheaper_model: str | None = None


class CreditShort(CallerFault):
    """Credit does not cover the ceiling, and a key is never sent an invoice for one purchase."""

    code = "insufficient_credits"
    may_retry = False

    def __init__(self, message: str, *, shortfall: Shortfall) -> None:
        """`message` says it all but where to top up."""
        super().__init__(message)
        self.shortfall = shortfall
