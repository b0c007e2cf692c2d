"""Which answers on credit have reached their callers: what tells the same request from a retry.

Agents send the same request again when an answer broke off, at once and without any mark; they also
ask the same thing twice. The first gets the answer that it has paid for, the second is a new sale.
Kept in the memory of this process alone: what is forgotten, or was handed over elsewhere, counts as
not handed over, and then the same answer is read once more within its two minutes, at no price.
Must not know: what an answer says, or how it is sent.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cobot_meter.domain.escrow.record import Escrow

# Two minutes of ten deliveries a second; what is older than that opens anew anyway.
KEPT_MAX = 1_200


@dataclass(slots=True)
class _Reached:
    """Of one sale: whether an answer reached its end, and how many that broke off are owed."""

    escrow_id: str
    whole: bool = False
    owed: int = 0


class Deliveries:
    """By the request key of a sale, the newest last; one request has one sale at a time."""

    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        """Beyond `kept_max` requests the oldest is forgotten."""
        self._kept_max = kept_max
        self._reached: OrderedDict[str, _Reached] = OrderedDict()

    def begun(self, escrow: Escrow) -> Delivery:
        """One answer of this sale that is about to be handed over."""
        return Delivery(self, escrow, repays=bool(self._of(escrow).owed))

    def is_over(self, escrow: Escrow) -> bool:
        """Whether its answer reached whoever asked for it: then the same request is a new one.

        Not while one that broke off may still be asked for again, by another reader of the same.
        """
        reached = self._of(escrow)
        return reached.whole and not reached.owed

    def reached_end(self, escrow: Escrow, *, repays: bool) -> None:
        """One was handed over whole; with `repays` to somebody who had asked again for it."""
        reached = self._kept(escrow)
        reached.whole = True
        if repays and reached.owed:
            reached.owed -= 1

    def broke_off(self, escrow: Escrow, *, repays: bool) -> None:
        """One was not; its reader may ask again, and with `repays` was owed it already."""
        reached = self._kept(escrow)
        reached.owed += not repays

    def _of(self, escrow: Escrow) -> _Reached:
        found = self._reached.get(escrow.ask.request_key)
        same = found is not None and found.escrow_id == escrow.escrow_id
        return found if found is not None and same else _Reached(escrow.escrow_id)

    def _kept(self, escrow: Escrow) -> _Reached:
        key, reached = escrow.ask.request_key, self._of(escrow)
        self._reached[key] = reached
        self._reached.move_to_end(key)
        if len(self._reached) > self._kept_max:
            self._reached.popitem(last=False)
        return reached


class Delivery:
    """One answer on its way to one reader. Whoever writes it says how that ended, once."""

    def __init__(self, deliveries: Deliveries, escrow: Escrow, *, repays: bool) -> None:
        """With `repays` an answer that broke off was owed to somebody when this one began."""
        self._deliveries = deliveries
        self._escrow = escrow
        self._repays = repays

    def reached_end(self) -> None:
        """The last of it was handed to the socket."""
        self._deliveries.reached_end(self._escrow, repays=self._repays)

    def broke_off(self) -> None:
        """Its reader went away, or was told of a fault, before that."""
        self._deliveries.broke_off(self._escrow, repays=self._repays)
