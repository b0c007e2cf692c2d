"""Fifteen texts, each under one of a few labels: moods, departments, languages, urgency.

A text stands under its label because it could stand under no other; what is drawn is which one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cobot_meter.domain.benchmarks.checks.exact_text import AnyAnswer
from cobot_meter.domain.benchmarks.checks.final_answer import MARKER
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "classification"
TOKENS = 200
# Each way of sorting is asked so often, every time of other texts.
_TIMES = 3
_ASK = "Reply with the label alone."


@dataclass(frozen=True, slots=True)
class Sorting:
    """What is asked of a text, and for each label texts that are of that label."""

    question: str
    texts: Mapping[str, tuple[str, ...]]


def sorting_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the texts of this seed."""
    asked = [(sorting, turn) for turn in range(_TIMES) for sorting in SORTINGS]
    return tuple(
        _item(number, sorting, turn, seed) for number, (sorting, turn) in enumerate(asked, start=1)
    )


def _item(number: int, sorting: Sorting, turn: int, seed: int) -> Item:
    item_id = f"sorting-{number:02d}"
    draws = Draws(seed, item_id)
    label = draws.one_of(sorted(sorting.texts))
    text = draws.one_of(sorting.texts[label][turn::_TIMES])
    labels = ", ".join(sorted(sorting.texts))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{sorting.question} Labels: {labels}. {_ASK}\n\n{text}",
        max_tokens=TOKENS,
        check=AnyAnswer((label,)),
        solution=f"{MARKER} {label}",
    )


SORTINGS: tuple[Sorting, ...] = (
    Sorting(
        "Classify the sentiment of this review.",
        {
            "positive": (
                "The room was spotless and the staff could not have been kinder. We will be back.",
                "Best headphones I have ever owned, and worth every cent.",
                "Arrived a day early, works perfectly, and looks lovely on the shelf.",
                "I finished the book in one night and cried happy tears. Wonderful.",
                "Fast, friendly and cheap: what more could one wish for?",
                "My kids adore it, and so do I.",
            ),
            "negative": (
                "It broke after two days and nobody answers my e-mails. Avoid.",
                "Cold soup, rude waiter, and an hour of waiting. Never again.",
                "The battery hardly lasts a morning. I want my money back.",
                "Dull from the first page to the last; I gave up halfway.",
                "The picture online has nothing to do with the cheap thing that came.",
                "Every update makes it slower. I regret buying it.",
            ),
        },
    ),
    Sorting(
        "Which department should this message of a customer go to?",
        {
            "billing": (
                "You have charged my card twice for the October invoice.",
                "Please send me a receipt with our VAT number on it.",
                "Why is this month's bill ten euros higher than the last one?",
                "I would like to pay by bank transfer instead of by card from now on.",
                "The discount code was accepted, and yet the full amount was taken.",
                "May I pay this invoice in two instalments?",
            ),
            "shipping": (
                "The tracking says delivered, but no parcel has arrived.",
                "Can you send my order to my office address instead?",
                "The courier left the box in the rain and it is soaked.",
                "How long does a parcel to Norway take?",
                "My order has been “out for delivery” for six days.",
                "The driver could not find the entrance. Can he try again tomorrow?",
            ),
            "technical": (
                "The app closes by itself whenever I open the settings.",
                "After the update my device does not connect to the network any more.",
                "I get error 0x80 when I try to export a file.",
                "The screen stays black after the start logo.",
                "Since yesterday the search finds nothing at all.",
                "How do I reset the firmware? The button does nothing.",
            ),
        },
    ),
    Sorting(
        "Which language is this sentence in?",
        {
            "Dutch": (
                "Morgen gaan we met de fiets naar het strand.",
                "Ik heb gisteren een nieuwe jas gekocht.",
                "Waar kan ik hier een kaartje kopen?",
            ),
            "Italian": (
                "Domani andiamo al mare con gli amici.",
                "Ho comprato una giacca nuova ieri sera.",
                "Dove posso comprare un biglietto?",
            ),
            "Polish": (
                "Jutro jedziemy rowerami na plażę.",
                "Wczoraj kupiłem nową kurtkę.",
                "Gdzie mogę kupić bilet?",
            ),
            "Portuguese": (
                "Amanhã vamos à praia com os nossos amigos.",
                "Ontem comprei um casaco novo na cidade.",
                "Onde posso comprar um bilhete? Não encontro a bilheteira.",
            ),
            "Swedish": (
                "I morgon cyklar vi till stranden med våra vänner.",
                "Jag köpte en ny jacka i går.",
                "Var kan jag köpa en biljett?",
            ),
        },
    ),
    Sorting(
        "How urgent is this message to the caretaker of a house?",
        {
            "urgent": (
                "Water is pouring through the ceiling of the kitchen right now!",
                "It smells of gas on the whole staircase, please come at once.",
                "The lift is stuck between two floors and my neighbour is in it.",
                "Sparks are coming out of the fuse box in the cellar.",
                "A burst pipe is flooding the laundry room as I write.",
                "The front door cannot be opened from inside and there is smoke.",
            ),
            "not urgent": (
                "Whenever you have time, the hinge of the letter box could use some oil.",
                "Could we plant a few herbs in the yard next spring?",
                "The house number is a little faded; perhaps at the next repainting.",
                "May I put a second bicycle into the shed some day?",
                "Just so you know: the notice on the board is of last year.",
                "A bulb in the attic is out. No hurry, nobody goes there.",
            ),
        },
    ),
    Sorting(
        "What is this headline about?",
        {
            "sport": (
                "Late goal sends the home side into the semi-final",
                "Marathon record falls by eleven seconds in the rain",
                "Striker out for six weeks after knee injury",
            ),
            "science": (
                "Telescope finds water vapour around a distant planet",
                "Biologists describe a frog species that nobody had seen before",
                "New measurement of the proton settles an old dispute among physicists",
            ),
            "food": (
                "Five soups to cook from what winter leaves in the cellar",
                "Why sourdough needs patience: a baker explains",
                "The best dumplings of the city are sold from a window",
            ),
            "weather": (
                "Storm warning for the coast, gusts of 120 km/h expected",
                "Frost at night and fog in the valleys until Thursday",
                "Heatwave to end with thunderstorms at the weekend",
            ),
        },
    ),
)
