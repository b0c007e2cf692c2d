"""Fifteen texts to be changed in one plain way, each with one right result, word for word."""

from __future__ import annotations

from collections.abc import Callable

from cobot_meter.domain.benchmarks.checks.exact_text import ExactLines
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "rewriting"
TOKENS = 200
_ASK = "Reply with the result alone."
NAMES = ("anna", "bela", "cora", "dario", "emil", "fritz", "gina", "hans", "ines", "jonas")
CITIES = ("porto", "leeds", "izmir", "turku", "ghent", "brno", "malaga", "gdansk")
THINGS = ("lamp", "chair", "kettle", "ladder", "mirror", "basket", "candle", "blanket", "hammer")
VERBS = (("walk", "walked"), ("sail", "sailed"), ("move", "moved"), ("return", "returned"))
SPELLINGS = (
    *(("colour", "color"), ("centre", "center"), ("theatre", "theater"), ("harbour", "harbor")),
    *(("neighbour", "neighbor"), ("fibre", "fiber"), ("flavour", "flavor"), ("honour", "honor")),
)
SLIPS = (
    *(("recieve", "receive"), ("seperate", "separate"), ("definately", "definitely")),
    *(("tommorow", "tomorrow"), ("adress", "address"), ("untill", "until"), ("wich", "which")),
)
SLIPPED = {
    "recieve": "We recieve the goods on Friday.",
    "seperate": "Please send the bill in a seperate letter.",
    "definately": "They will definately come by train.",
    "tommorow": "The shop opens again tommorow at nine.",
    "adress": "Her new adress is on the back.",
    "untill": "Wait here untill the bell rings.",
    "wich": "Tell me wich of the two is yours.",
}

# What is asked, the text, and the lines of the one right result.
Change = Callable[[Draws], tuple[str, str, tuple[str, ...]]]


def rewriting_items(seed: int) -> tuple[Item, ...]:
    """All of them, as this seed draws them."""
    return tuple(_item(number, change, seed) for number, change in enumerate(CHANGES, start=1))


def _item(number: int, change: Change, seed: int) -> Item:
    item_id = f"rewriting-{number:02d}"
    asked, text, result = change(Draws(seed, item_id))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{asked} {_ASK}\n\n{text}",
        max_tokens=TOKENS,
        check=ExactLines(result),
        solution="\n".join(result),
    )


def _unsorted(draws: Draws, several: tuple[str, ...], count: int) -> list[str]:
    """Drawn so that neither their order nor its reverse is that of the alphabet."""
    drawn = sorted(draws.some_of(several, count))
    at = draws.between(1, count - 2)
    return [drawn[at], *drawn[:at], *reversed(drawn[at + 1 :])]


def _alphabet(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    names = [name.title() for name in _unsorted(draws, NAMES, 5)]
    return (
        "Sort these names alphabetically, one on each line.",
        "\n".join(names),
        tuple(sorted(names)),
    )


def _numbers(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    low = draws.between(100, 400)
    numbers = [low + 7, low, low + draws.between(20, 90), low + 3]
    return (
        "Sort these numbers from the smallest to the largest, one on each line.",
        "\n".join(map(str, numbers)),
        tuple(map(str, sorted(numbers))),
    )


def _capitals(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    text = f"The {draws.one_of(THINGS)} from {draws.one_of(CITIES).title()} arrives on Monday"
    return "Write this text in capital letters only.", text, (text.upper(),)


def _small(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    text = f"PLEASE BRING THE {draws.one_of(THINGS)} TO {draws.one_of(NAMES)}".upper()
    return "Write this text in small letters only.", text, (text.lower(),)


def _twice(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    one, other, third, last = draws.some_of(THINGS, 4)
    return (
        "Remove the lines that have been there before, and keep the order of the others.",
        f"{one}\n{other}\n{one}\n{third}\n{other}\n{last}",
        (one, other, third, last),
    )


def _backwards(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    lines = _unsorted(draws, THINGS, 5)
    return (
        "Write these lines in reverse order, the last one first.",
        "\n".join(lines),
        tuple(reversed(lines)),
    )


def _american(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    (one, one_so), (other, other_so) = draws.some_of(SPELLINGS, 2)
    text = "They spoke of the {} and of the {}."
    return (
        "Change the British spellings to American ones, and nothing else.",
        text.format(one, other),
        (text.format(one_so, other_so),),
    )


def _past(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    (now, then), name = draws.one_of(VERBS), draws.one_of(NAMES).title()
    city = draws.one_of(CITIES).title()
    text = "{name} and I {verb} to {city}."
    return (
        "Put this sentence into the simple past.",
        text.format(name=name, verb=now, city=city),
        (text.format(name=name, verb=then, city=city),),
    )


def _first_person(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    thing, city = draws.one_of(THINGS), draws.one_of(CITIES).title()
    return (
        "Put this sentence into the first person singular.",
        f"She has lost her {thing} in {city}.",
        (f"I have lost my {thing} in {city}.",),
    )


def _replaced(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    one, other = draws.some_of(THINGS, 2)
    text = "The {0} is old. Nobody wants the {0}, so we keep the {0}."
    return (
        f"Replace the word “{one}” by “{other}” wherever it stands, and change nothing else.",
        text.format(one),
        (text.format(other),),
    )


def _spelling(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    wrong, right = draws.one_of(SLIPS)
    text = SLIPPED[wrong]
    return (
        "Correct the one spelling mistake in this sentence, and change nothing else.",
        text,
        (text.replace(wrong, right),),
    )


def _names(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    one, other = draws.some_of(NAMES, 2)
    city = draws.one_of(CITIES)
    text = "Yesterday {} and {} took the boat to {}."
    return (
        (
            "Write the names of people and places in this sentence with a capital letter, and "
            "change nothing else."
        ),
        text.format(one, other, city),
        (text.format(one.title(), other.title(), city.title()),),
    )


def _passive(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    thing, name = draws.one_of(THINGS), draws.one_of(NAMES).title()
    return (
        "Put this sentence into the passive, in the same tense.",
        f"{name} repaired the {thing}.",
        (f"The {thing} was repaired by {name}.",),
    )


def _several(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    thing = draws.one_of(THINGS)
    return (
        (
            "Put the noun that is the subject of this sentence into the plural, with what hangs on "
            "it, and change nothing else."
        ),
        f"The {thing} is under the stairs.",
        (f"The {thing}s are under the stairs.",),
    )


def _bullets(draws: Draws) -> tuple[str, str, tuple[str, ...]]:
    one, other, third = draws.some_of(THINGS, 3)
    return (
        "Turn this into a list of the things alone: each on a line of its own, with “- ” in front.",
        f"We need a {one}, a {other} and a {third}.",
        (f"- {one}", f"- {other}", f"- {third}"),
    )


CHANGES: tuple[Change, ...] = (
    *(_alphabet, _numbers, _capitals, _small, _twice, _backwards, _american, _past),
    *(_first_person, _replaced, _spelling, _names, _passive, _several, _bullets),
)
