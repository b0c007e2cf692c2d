"""Fifteen short sentences to and from German, French and Spanish, with every right translation.

Only such sentences are asked as have few translations, all of which can be listed; so this says
whether a model translates plain words rightly, and not how well it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from cobot_meter.domain.benchmarks.checks.exact_text import SameWords
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "translation"
TOKENS = 200
_ASK = "Reply with the translation alone."
# Variants of one word or phrase have a stroke between them, the usual one first.
NUMBERS = ("two", "three", "four", "five", "six")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Words by their English ones; `{}` of a phrase is where the rest of it stands.

    `nouns` have their article and their gender, and `like` has the adjectives by gender.
    """

    name: str
    is_like: str
    nouns: Mapping[str, tuple[str, str]]
    like: Mapping[str, Mapping[str, str]]
    where: str
    places: Mapping[str, str]
    have: str
    numbers: tuple[str, ...]
    several: Mapping[str, str]


GERMAN = Language(
    name="German",
    is_like="{} ist {}",
    nouns={
        "house": ("das Haus", ""),
        "book": ("das Buch", ""),
        "table": ("der Tisch", ""),
        "door": ("die Tür", ""),
        "bread": ("das Brot", ""),
    },
    like={
        "": {"red": "rot", "white": "weiß", "black": "schwarz", "small": "klein", "new": "neu"},
    },
    where="wo ist {}|wo befindet sich {}|wo liegt {}",
    places={
        "hospital": "das Krankenhaus|das Spital",
        "library": "die Bibliothek|die Bücherei",
        "bridge": "die Brücke",
        "beach": "der Strand",
        "church": "die Kirche",
        "market": "der Markt",
    },
    have="ich habe {}",
    numbers=("zwei", "drei", "vier", "fünf", "sechs"),
    several={
        "books": "Bücher",
        "tables": "Tische",
        "doors": "Türen",
        "houses": "Häuser",
        "apples": "Äpfel",
        "keys": "Schlüssel",
    },
)
FRENCH = Language(
    name="French",
    is_like="{} est {}",
    nouns={
        "house": ("la maison", "f"),
        "book": ("le livre", "m"),
        "table": ("la table", "f"),
        "door": ("la porte", "f"),
        "bread": ("le pain", "m"),
    },
    like={
        "m": {"red": "rouge", "white": "blanc", "black": "noir", "small": "petit"}
        | {"new": "neuf|nouveau"},
        "f": {"red": "rouge", "white": "blanche", "black": "noire", "small": "petite"}
        | {"new": "neuve|nouvelle"},
    },
    where="où est {}|où se trouve {}|où est-ce que se trouve {}",
    places={
        "hospital": "l'hôpital",
        "library": "la bibliothèque",
        "bridge": "le pont",
        "beach": "la plage",
        "church": "l'église",
        "market": "le marché",
    },
    have="j'ai {}",
    numbers=("deux", "trois", "quatre", "cinq", "six"),
    several={
        "books": "livres",
        "tables": "tables",
        "doors": "portes",
        "houses": "maisons",
        "apples": "pommes",
        "keys": "clés|clefs",
    },
)
SPANISH = Language(
    name="Spanish",
    is_like="{} es {}|{} está {}",
    nouns={
        "house": ("la casa", "f"),
        "book": ("el libro", "m"),
        "table": ("la mesa", "f"),
        "door": ("la puerta", "f"),
        "bread": ("el pan", "m"),
    },
    like={
        "m": {"red": "rojo", "white": "blanco", "black": "negro", "small": "pequeño|chico"}
        | {"new": "nuevo"},
        "f": {"red": "roja", "white": "blanca", "black": "negra", "small": "pequeña|chica"}
        | {"new": "nueva"},
    },
    where="dónde está {}|dónde se encuentra {}|dónde queda {}",
    places={
        "hospital": "el hospital",
        "library": "la biblioteca",
        "bridge": "el puente",
        "beach": "la playa",
        "church": "la iglesia",
        "market": "el mercado",
    },
    have="tengo {}|yo tengo {}",
    numbers=("dos", "tres", "cuatro", "cinco", "seis"),
    several={
        "books": "libros",
        "tables": "mesas",
        "doors": "puertas",
        "houses": "casas",
        "apples": "manzanas",
        "keys": "llaves",
    },
)
LANGUAGES = (GERMAN, FRENCH, SPANISH)
_SMALL = {"small": "small|little"}

# What the text is in English and in the other language, all variants.
Pair = tuple[tuple[str, ...], tuple[str, ...]]


def translation_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the words of this seed."""
    asked = [(language, kind, home) for kind, home in KINDS for language in LANGUAGES]
    return tuple(
        _item(number, language, kind(language, Draws(seed, f"translation-{number:02d}")), home)
        for number, (language, kind, home) in enumerate(asked, start=1)
    )


def _item(number: int, language: Language, pair: Pair, home: bool) -> Item:  # noqa: FBT001 - a row
    english, other = pair
    text, accepted = (other[0], english) if home else (english[0], other)
    said = f"{text[0].upper()}{text[1:]}{'?' if _asks(english[0]) else '.'}"
    return Item(
        item_id=f"translation-{number:02d}",
        task=TASK,
        prompt=f"Translate into {'English' if home else language.name}: {said} {_ASK}",
        max_tokens=TOKENS,
        check=SameWords(accepted),
        solution=f"{accepted[0]}.",
    )


def _asks(english: str) -> bool:
    return english.startswith("where")


def _is_like(language: Language, draws: Draws) -> Pair:
    noun, adjective = draws.one_of(sorted(language.nouns)), draws.one_of(sorted(_LIKE))
    article, gender = language.nouns[noun]
    likes = language.like[gender][adjective]
    return (
        _filled("the {} is {}", noun, _SMALL.get(adjective, adjective)),
        _filled(language.is_like, article, likes),
    )


_LIKE = ("red", "white", "black", "small", "new")


def _where(language: Language, draws: Draws) -> Pair:
    place = draws.one_of(sorted(language.places))
    return (
        _filled("where is the {}", place),
        _filled(language.where, language.places[place]),
    )


def _have(language: Language, draws: Draws) -> Pair:
    at, things = draws.between(0, len(NUMBERS) - 1), draws.one_of(sorted(language.several))
    english, other = NUMBERS[at], language.numbers[at]
    return (
        _filled("I have {}|I've got {}|I have got {}", f"{english} {things}"),
        tuple(
            text
            for word in language.several[things].split("|")
            for text in _filled(language.have, f"{other} {word}")
        ),
    )


def _filled(phrases: str, *parts: str) -> tuple[str, ...]:
    """Every phrase with every variant of its parts."""
    return tuple(
        phrase.format(*variants)
        for phrase in phrases.split("|")
        for variants in product(*(part.split("|") for part in parts))
    )


# What is asked, and whether the translation is into English.
KINDS: tuple[tuple[Callable[[Language, Draws], Pair], bool], ...] = (
    (_is_like, False),
    (_where, False),
    (_have, False),
    (_is_like, True),
    (_have, True),
)
