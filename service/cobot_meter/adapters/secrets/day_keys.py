"""The keys of the day, as a running service holds them: read once, then in memory.

The request path waits for a file at the first ask of a day only; every look at files is in a thread
and has a time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TypeVar

from cobot_meter.adapters.secrets.day_key_files import (
    DayKey,
    dropped_keys,
    found_key,
    is_gone,
    made_key,
    put_back,
)
from cobot_meter.domain.body_keys import day_of, lacks_sentence, unusable
from cobot_meter.domain.errors import SealBroken

LOOK_S = 5.0
# Twice the days for which a body may be kept: what runs never loses its key for want of room.
HELD_MAX = 64
T = TypeVar("T")


class DayKeys:
    """Implements `ports.body_keys.BodyKeys`, and lends the secrets to the sealer."""

    def __init__(self, *, folder: Path, look_s: float = LOOK_S) -> None:
        """Nothing is read, made or looked at yet. A look at files may take `look_s`."""
        self._folder = folder
        self._look_s = look_s
        self._of_day: dict[str, DayKey] = {}
        self._held: dict[str, DayKey] = {}
        self._looking = asyncio.Lock()

    @property
    def where(self) -> str:
        """The directory."""
        return str(self._folder)

    async def of_day(self, day: str) -> DayKey:
        """The key that this day's bodies are sealed with. Raises BodyKeysUnusable."""
        key = self._of_day.get(day)
        if key is None:
            key = await self._made(day)
            self._of_day[day] = key
            _bound(self._of_day)
        return self._keep(key)

    async def named(self, name: str) -> DayKey:
        """The key of this name. Raises SealBroken when it is gone, else BodyKeysUnusable."""
        key = self._held.get(name)
        if key is None:
            key = await self._in_thread(partial(_wanted, self._folder, name))
        return self._keep(key)

    async def prepare(self, day: str) -> None:
        """Make the file of this day's key unless there is one. Raises BodyKeysUnusable.

        Looks at the files every time: this is how a directory that went away is noticed.
        """
        key = await self._made(day)
        self._of_day[day] = key
        self._keep(key)

    async def missing(self, names: Collection[str]) -> tuple[str, ...]:
        """Which of these names have no file, no mark that they are gone, and no key held here.

        A key that is held here has its file written again. Raises BodyKeysUnusable.
        """
        held = {name: key for name, key in self._held.items() if name in names}
        return await self._in_thread(partial(_missing, self._folder, tuple(names), held))

    async def drop(self, *, kept: Collection[str], before: str) -> tuple[str, ...]:
        """Erase the files of keys of days before `before` that are not `kept`; their names.

        What is dropped is forgotten here too, whoever dropped it. Raises BodyKeysUnusable.
        """
        for name in [one for one in self._held if day_of(one) < before and one not in kept]:
            del self._held[name]
        for day in [one for one in self._of_day if one < before]:
            del self._of_day[day]
        return await self._in_thread(
            partial(dropped_keys, self._folder, kept=frozenset(kept), before=before)
        )

    async def _made(self, day: str) -> DayKey:
        begins = not self._held
        return await self._in_thread(partial(made_key, self._folder, day, begins=begins))

    def _keep(self, key: DayKey) -> DayKey:
        """Held as the one that was used last."""
        self._held.pop(key.name, None)
        self._held[key.name] = key
        _bound(self._held)
        return key

    async def _in_thread(self, look: Callable[[], T]) -> T:
        """One at a time, so that a file system that hangs holds one thread and not all."""
        try:
            async with asyncio.timeout(self._look_s), self._looking:
                return await asyncio.to_thread(look)
        except TimeoutError:
            why = (
                f"{self._folder} does not answer within {self._look_s:g} s; look at its file system"
            )
            raise unusable(why) from None


def missing_keys(folder: Path, names: Collection[str]) -> tuple[str, ...]:
    """Which of these are neither there nor gone; nothing is changed. Raises BodyKeysUnusable."""
    return tuple(
        name for name in names if found_key(folder, name) is None and not is_gone(folder, name)
    )


def _missing(folder: Path, names: Collection[str], held: dict[str, DayKey]) -> tuple[str, ...]:
    lacking = [name for name in names if found_key(folder, name) is None]
    for name in lacking:
        if name in held:
            put_back(folder, held[name])
    return tuple(name for name in lacking if name not in held and not is_gone(folder, name))


def _wanted(folder: Path, name: str) -> DayKey:
    key = found_key(folder, name)
    if key is not None:
        return key
    if is_gone(folder, name):
        message = f"the key of the day {name} is gone, and with it what it sealed"
        raise SealBroken(message)
    raise unusable(lacks_sentence(str(folder), (name,)))


def _bound(held: dict[str, DayKey]) -> None:
    while len(held) > HELD_MAX:
        del held[next(iter(held))]
