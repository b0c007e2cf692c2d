"""What a key is refused for: errors of the caller, told apart by their codes.

CallerFault
├── KeyInvalid             no such key, or two that may be of two callers
│   ├── KeyRevoked             its owner has ended it
│   └── KeyExposed             it stands in the address of a request
├── KeyLimitReached        it may not spend so much, in all or today
├── KeyLossesReached       too much that broke off today was nobody's to pay
├── ModelNotAllowed        it may not ask for this model
├── ProofRequired          only the proof of a payment may do it, and a key was sent
└── CreditShort            its caller has less credit than the ask may cost
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.errors import CallerFault

# The names of the guards that a key's limits are.
KEY_GUARDS = frozenset({"key", "key_day"})


class KeyInvalid(CallerFault):
    """A key that names nobody here, or credentials that may name two callers."""

    code = "invalid_api_key"


class KeyRevoked(KeyInvalid):
    """A key whose owner has ended it."""

    code = "api_key_revoked"


class KeyExposed(KeyInvalid):
    """A key in an address, which logs and histories keep."""

    code = "api_key_in_url"


class KeyLimitReached(CallerFault):
    """The key would spend more than it may; amounts in msat."""

    code = "key_limit_reached"

    def __init__(
        self, message: str, *, guard: str, open_amount: int, limit: int, asked: int
    ) -> None:
        """`guard` is `key` for the limit in all, or `key_day` for that of today.

        `open_amount` is what the key has spent and reserved already, `asked` what would come to it.
        """
        super().__init__(message)
        self.guard = guard
        self.open_amount = open_amount
        self.limit = limit
        self.asked = asked


class KeyLossesReached(CallerFault):
    """Answers to this key that broke off have cost us as much as they may on one day."""

    code = "broken_answers_limit"


class ModelNotAllowed(CallerFault):
    """The key may ask for certain models, and this is none of them."""

    code = "model_not_allowed"


class ProofRequired(CallerFault):
    """Keys are made and managed by the proof of a payment, and a key was sent."""

    code = "proof_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What is there, what is reserved by others of the same caller, and what this would need.

    `fits_max_tokens` is the `max_tokens` with which this request would fit, 0 where none would;
    `cheaper_model` is a model with which it would fit unchanged. Amounts in msat.
    """

    available_msat: int
    reserved_msat: int
    needed_msat: int
    fits_max_tokens: int = 0
    cheaper_model: str | None = None


class CreditShort(CallerFault):
    """Credit does not cover the ceiling, and a key is never sent an invoice for one purchase."""

    code = "insufficient_credits"

    def __init__(self, message: str, *, shortfall: Shortfall) -> None:
        """`message` is for the caller; where to top up is added by the route."""
        super().__init__(message)
        self.shortfall = shortfall
