"""How long things take, and how late a record comes.

Must not know: runs, accounts or HTTP.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

UNIFORM = "uniform"
LOG_NORMAL = "log_normal"
LAG_LAWS = (UNIFORM, LOG_NORMAL)
_MS_PER_S = 1_000
_SLOWER = 10
_MEDIAN_S = 3.0
_P99_S = 20.0
_Z_99 = 2.326
_SIGMA = math.log(_P99_S / _MEDIAN_S) / _Z_99


@dataclass(slots=True, kw_only=True)
class Timing:
    """A record's lag, the first token, each further piece, a hang; all in seconds.

    `lag_law` is `uniform` (half to one and a half times `lag_s`), or `log_normal` (median 3 s, 99 %
    within 20 s, ten times as much for a cancelled run; `lag_s` does not count).
    """

    lag_s: float
    latency_s: float
    chunk_s: float = 0.0
    hang_s: float = 600.0
    lag_law: str = UNIFORM

    def lag_ms(self, chance: random.Random, *, slow: bool, cancelled: bool) -> int:
        """The lag of one record."""
        if self.lag_law == LOG_NORMAL:
            lag_s = chance.lognormvariate(math.log(_MEDIAN_S), _SIGMA)
            lag_s *= _SLOWER if cancelled else 1
        else:
            lag_s = self.lag_s * chance.uniform(0.5, 1.5)
        return round(lag_s * _MS_PER_S * (_SLOWER if slow else 1))
