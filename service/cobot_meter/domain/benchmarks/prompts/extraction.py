"""Fifteen notes, letters and lines of logs, out of which facts are to be taken as JSON.

Names, dates and amounts are drawn, and so are the ones beside them that are not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cobot_meter.domain.benchmarks.checks.json_reply import JsonValues
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "extraction"
TOKENS = 250
_ASK = "Reply with one JSON object and nothing else. Its members, exactly these: "
FIRST = ("Ada", "Boris", "Chloe", "Dmitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas")
LAST = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Novak", "Silva", "Becker", "Haddad")
CITIES = ("Porto", "Gdansk", "Leeds", "Izmir", "Turku", "Ghent", "Brno", "Malaga")
THINGS = ("lamps", "chairs", "kettles", "ladders", "rugs", "clocks", "shelves", "mirrors")
MONTHS = ("January", "March", "April", "June", "August", "October", "November")
_MONTH_NUMBER = {"January": 1, "March": 3, "April": 4, "June": 6} | {
    "August": 8,
    "October": 10,
    "November": 11,
}

Made = tuple[str, str, dict[str, Any]]


def extraction_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the names and figures of this seed."""
    return tuple(_item(number, note, seed) for number, note in enumerate(NOTES, start=1))


def _item(number: int, note: Callable[[Draws], Made], seed: int) -> Item:
    item_id = f"extraction-{number:02d}"
    text, members, found = note(Draws(seed, item_id))
    expected = json.dumps(found)
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{text}\n\n{_ASK}{members}.",
        max_tokens=TOKENS,
        check=JsonValues(expected),
        solution=expected,
    )


def _person(draws: Draws) -> str:
    return f"{draws.one_of(FIRST)} {draws.one_of(LAST)}"


def _date(draws: Draws) -> tuple[str, str]:
    """As a letter writes it, and as a program does."""
    month, day = draws.one_of(MONTHS), draws.between(1, 28)
    year = draws.between(2024, 2029)
    return f"{day} {month} {year}", f"{year}-{_MONTH_NUMBER[month]:02d}-{day:02d}"


def _order(draws: Draws) -> Made:
    who, (told, date), city = _person(draws), _date(draws), draws.one_of(CITIES)
    thing, count = draws.one_of(THINGS), draws.between(3, 48)
    return (
        (
            f"Hello, {who} here. Please send {count} {thing} to our shop in {city}, not to the old "
            f"address, and have them there by {told}. Thank you!"
        ),
        (
            "`name` (first and last name), `thing` (one word), `count` (a number), `city`, `by` "
            "(as YYYY-MM-DD)"
        ),
        {"name": who, "thing": thing, "count": count, "city": city, "by": date},
    )


def _invoice(draws: Draws) -> Made:
    number, net, tax = draws.between(1_000, 9_999), draws.between(120, 900), draws.between(11, 99)
    told, date = _date(draws)
    return (
        (
            f"INVOICE No. {number}\nNet {net}.00 EUR\nTax {tax}.00 EUR\nTotal {net + tax}.00 EUR\n"
            f"Order No. {number + 17}\nDue {told}"
        ),
        "`invoice` (a number), `total` (a number, in EUR), `due` (as YYYY-MM-DD)",
        {"invoice": number, "total": net + tax, "due": date},
    )


def _log(draws: Draws) -> Made:
    port, took, status = (
        draws.between(2_000, 9_000),
        draws.between(12, 980),
        500 + draws.between(0, 4),
    )
    path = draws.one_of(("/orders", "/users", "/search", "/login"))
    return (
        (
            f"10:02:11 INFO listening on {port}\n10:02:14 INFO GET /health 200 1ms\n10:02:19 ERROR "
            f"POST {path} {status} {took}ms\n10:02:20 INFO GET /health 200 2ms"
        ),
        "`path` and `status` (a number) of the request that failed, and `took_ms` (a number)",
        {"path": path, "status": status, "took_ms": took},
    )


def _people(draws: Draws) -> Made:
    names, ages = draws.some_of(FIRST, 3), [draws.between(19, 71) for _ in range(3)]
    return (
        (
            f"{names[0]} is {ages[0]} years old. {names[1]} is {ages[1]}, and {names[2]}, who came "
            f"last, is {ages[2]}."
        ),
        "`people`, a list in the order of the text of objects with `name` and `age` (a number)",
        {"people": [{"name": n, "age": a} for n, a in zip(names, ages, strict=True)]},
    )


def _meeting(draws: Draws) -> Made:
    hour, city = draws.between(8, 17), draws.one_of(CITIES)
    (told, date), who = _date(draws), draws.some_of(FIRST, 3)
    return (
        (
            f"Notes: {who[0]} and {who[1]} will meet at {hour}:30 on {told} in {city}. {who[2]} "
            "cannot come and sends greetings."
        ),
        (
            "`date` (as YYYY-MM-DD), `time` (as HH:MM, 24 hours), `city`, `present` (a list of "
            "names in the order of the text)"
        ),
        {"date": date, "time": f"{hour:02d}:30", "city": city, "present": who[:2]},
    )


def _none_said(draws: Draws) -> Made:
    who, city = _person(draws), draws.one_of(CITIES)
    return (
        f"Dear all, {who} has moved to {city}. The new telephone number will follow next week.",
        "`name`, `city`, `telephone`; a value that the text does not say is null",
        {"name": who, "city": city, "telephone": None},
    )


def _corrected(draws: Draws) -> Made:
    first, right = draws.between(11, 49), draws.between(51, 98)
    thing = draws.one_of(THINGS)
    return (
        (
            f"We need {first} {thing}. No, wait: it was {right} {thing}, I misread my own list. "
            "Two of last year's are still here and are fine."
        ),
        "`thing` (one word) and `count` (a number), as they are meant in the end",
        {"thing": thing, "count": right},
    )


def _table(draws: Draws) -> Made:
    cities = draws.some_of(CITIES, 3)
    heights = draws.some_of(range(110, 990), 3)
    rows = "\n".join(f"| {c} | {h} |" for c, h in zip(cities, heights, strict=True))
    highest = max(range(3), key=lambda at: heights[at])
    return (
        f"| city | height in m |\n|---|---|\n{rows}",
        "`highest` (the city that lies highest) and `height_m` (a number)",
        {"highest": cities[highest], "height_m": heights[highest]},
    )


def _flags(draws: Draws) -> Made:
    paid, shipped = draws.between(0, 1) == 1, draws.between(0, 1) == 1
    number = draws.between(100, 999)
    return (
        (
            f"Order {number} {'has been paid for' if paid else 'has not been paid for yet'}. It "
            f"{'left our house this morning' if shipped else 'is still in our house'}."
        ),
        "`order` (a number), `paid` (true or false), `shipped` (true or false)",
        {"order": number, "paid": paid, "shipped": shipped},
    )


def _address(draws: Draws) -> Made:
    who, city = _person(draws), draws.one_of(CITIES)
    house, code = draws.between(2, 190), draws.between(10_000, 99_999)
    return (
        f"{who}\nHarbour Lane {house}\n{code} {city}",
        "`name`, `street` (without the number), `house` (a number), `postcode` (a text), `city`",
        {
            "name": who,
            "street": "Harbour Lane",
            "house": house,
            "postcode": str(code),
            "city": city,
        },
    )


def _prices(draws: Draws) -> Made:
    things, prices = draws.some_of(THINGS, 3), [draws.between(5, 95) for _ in range(3)]
    told = ", ".join(f"{t} for {p} crowns each" for t, p in zip(things, prices, strict=True))
    return (
        f"This week at the market: {told}. Last week everything was two crowns cheaper.",
        "one for each thing that is sold this week, with its price of this week (a number)",
        dict(zip(things, prices, strict=True)),
    )


def _mail(draws: Draws) -> Made:
    who, other = draws.some_of(FIRST, 2)
    number = draws.between(10, 99)
    return (
        (
            f"From: {who.lower()}{number}@example.org\nTo: {other.lower()}@example.net\nSubject: "
            f"Re: ticket {number * 31}\n\nI have closed it. Best, {who}"
        ),
        "`from` and `to` (the addresses), `ticket` (a number)",
        {
            "from": f"{who.lower()}{number}@example.org",
            "to": f"{other.lower()}@example.net",
            "ticket": number * 31,
        },
    )


def _versions(draws: Draws) -> Made:
    major, minor, patch = draws.between(1, 9), draws.between(0, 20), draws.between(0, 30)
    return (
        (
            f"harbour {major}.{minor}.{patch} is out. It needs quay {major + 1}.0 or newer and "
            f"replaces harbour {major}.{minor}.{patch + 1}-rc, which was withdrawn."
        ),
        (
            "`name`, `version` (a text) of what is out, and `needs` (an object with `name` and "
            "`version`)"
        ),
        {
            "name": "harbour",
            "version": f"{major}.{minor}.{patch}",
            "needs": {"name": "quay", "version": f"{major + 1}.0"},
        },
    )


def _journey(draws: Draws) -> Made:
    start, over, end = draws.some_of(CITIES, 3)
    first, second = draws.between(20, 90), draws.between(20, 90)
    return (
        (
            f"The train from {start} takes {first} minutes to {over}, where one waits for 15 "
            f"minutes; from there it is {second} minutes more to {end}."
        ),
        "`from`, `to`, `changes_at` (cities), `minutes` (a number: all of it, the wait included)",
        {"from": start, "to": end, "changes_at": over, "minutes": first + second + 15},
    )


def _votes(draws: Draws) -> Made:
    names, yes = draws.some_of(FIRST, 4), draws.between(1, 3)
    told = ". ".join(f"{n} votes {'yes' if at < yes else 'no'}" for at, n in enumerate(names))
    return (
        f"{told}.",
        "`yes` and `no`, each a list of names in the order of the text",
        {"yes": names[:yes], "no": names[yes:]},
    )


NOTES: tuple[Callable[[Draws], Made], ...] = (
    *(_order, _invoice, _log, _people, _meeting, _none_said, _corrected, _table),
    *(_flags, _address, _prices, _mail, _versions, _journey, _votes),
)
