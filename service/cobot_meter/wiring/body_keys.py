"""What an operator is told of the keys of the day; nothing is made or changed.

Must not know: terminals.
"""

from __future__ import annotations

import asyncio

from cobot_meter.adapters.secrets.day_key_files import refuse_unusable
from cobot_meter.adapters.secrets.day_keys import missing_keys
from cobot_meter.domain.body_keys import is_key_name, lacks_sentence
from cobot_meter.domain.errors import BodyKeysUnusable
from cobot_meter.flows.offer.keep_body_keys import NAMES_MAX
from cobot_meter.wiring.opening.databases import BOOKS_FILE, open_reports
from cobot_meter.wiring.settings.settings import Settings


async def look_at_body_keys(settings: Settings) -> tuple[bool | None, str]:
    """Whether every sealed body can be opened, and a new one sealed. Raises BooksBusy."""
    folder = settings.body_keys_dir
    names = tuple(filter(is_key_name, await _named(settings)))
    try:
        missing = await asyncio.to_thread(missing_keys, folder, names)
        if missing:
            return False, lacks_sentence(str(folder), missing)
        if not names and not folder.exists():
            return None, f"{folder} is made by the first `cobot-meter serve`"
        await asyncio.to_thread(refuse_unusable, folder)
    except BodyKeysUnusable as fault:
        return False, fault.why
    return True, f"{folder} has all that sealed bodies need ({len(names)})"


async def _named(settings: Settings) -> tuple[str, ...]:
    if not settings.database.url and not (settings.data_dir / BOOKS_FILE).exists():
        return ()
    async with open_reports(settings) as reports:
        return await reports.body_keys(limit=NAMES_MAX)
