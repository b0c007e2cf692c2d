"""What the exit code of every command means: five numbers, each with one meaning.

A script must be able to tell "the books are wrong" from "nobody could look", and both from "the
program fell over".
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """`RIGHT` all is well, or was done; `FINDING` something is not as it should be.

    `USAGE` is a command or a setting that cannot be used, `COULD_NOT_LOOK` a node, an upstream or
    a database that did not answer, also when a part alone was left unchecked. `BROKEN` is damage:
    books that cannot be read, or a fault that nobody foresaw.
    """

    RIGHT = 0
    FINDING = 1
    USAGE = 2
    COULD_NOT_LOOK = 3
    BROKEN = 4
