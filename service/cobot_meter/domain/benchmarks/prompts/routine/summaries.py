"""Ten messages to be put into one short sentence: what matters is named, what does not is left out.

A judge that is no model cannot say how well a summary reads. It can see that it is short, that the
facts which are asked for are in it, and that the talk around them is not.
"""

from __future__ import annotations

from collections.abc import Callable

from cobot_meter.domain.benchmarks.checks import instructions as rules
from cobot_meter.domain.benchmarks.checks.exact_text import Names
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "summary"
TOKENS = 200
WORDS_MAX = 25
# Each kind of message is asked so often, with other names.
_TIMES = 2
PEOPLE = ("Anna", "Bela", "Cora", "Dario", "Emil", "Fritz", "Gina", "Hans")
CITIES = ("Porto", "Leeds", "Izmir", "Turku", "Ghent", "Brno", "Malaga", "Gdansk")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
TOPICS = ("printer", "website", "warehouse", "newsletter", "server", "canteen")

# The message, what the sentence has to say, and a sentence that says it; then words of the talk.
Message = Callable[[Draws], tuple[str, str, str, tuple[str, ...], tuple[str, ...]]]


def summary_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the names of this seed."""
    several = [message for _ in range(_TIMES) for message in MESSAGES]
    return tuple(_item(number, message, seed) for number, message in enumerate(several, start=1))


def _item(number: int, message: Message, seed: int) -> Item:
    item_id = f"summary-{number:02d}"
    text, asked, solution, facts, talk = message(Draws(seed, item_id))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=(
            f"Summarize this message in one sentence of at most {WORDS_MAX} words. Say {asked}, "
            f"and leave everything else out.\n\n{text}"
        ),
        max_tokens=TOKENS,
        check=rules.All((rules.Words(1, WORDS_MAX), Names(facts), rules.Without(talk))),
        solution=solution,
    )


def _moved(draws: Draws) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    who, (was, now), city = draws.one_of(PEOPLE), draws.some_of(DAYS, 2), draws.one_of(CITIES)
    return (
        (
            f"Hi all, hope you enjoyed the long weekend; the garden is finally dry again. {who} "
            f"here. The meeting in {city} was planned for {was}, but the room has been double "
            f"booked, so we meet on {now} instead. There will be biscuits. Best, and see you soon!"
        ),
        "who moved the meeting, in which city it is, and to which day it moved",
        f"{who} moved the meeting in {city} to {now}.",
        (who, city, now),
        ("garden", "biscuits"),
    )


def _broken(draws: Draws) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    topic, who, day = draws.one_of(TOPICS), draws.one_of(PEOPLE), draws.one_of(DAYS)
    return (
        (
            f"Dear team, first of all thank you for the lovely flowers. As some have noticed, the "
            f"{topic} is out of order since this morning. {who} has looked at it twice and will "
            f"have it running again by {day}. Until then, please be patient. The flowers are in "
            "the kitchen, by the way."
        ),
        "what is out of order, who repairs it, and by which day",
        f"The {topic} is out of order and {who} will have it running by {day}.",
        (topic, who, day),
        ("flowers", "kitchen"),
    )


def _order(draws: Draws) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    who, city, count = draws.one_of(PEOPLE), draws.one_of(CITIES), draws.between(31, 98)
    return (
        (
            f"Good morning! What a storm that was last night, our cat hid under the sofa. {who} "
            f"from the branch in {city} called: they need {count} more chairs for the fair. I said "
            "that should be fine. Now I am off to look for the cat."
        ),
        "who needs something, in which city, and how many chairs (in digits)",
        f"{who} in {city} needs {count} more chairs.",
        (who, city, str(count)),
        ("storm", "sofa"),
    )


def _hired(draws: Draws) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    (new, old), day, topic = draws.some_of(PEOPLE, 2), draws.one_of(DAYS), draws.one_of(TOPICS)
    return (
        (
            f"It has been a busy month, and the coffee machine has suffered most of all. Some good "
            f"news, though: {new} starts on {day} and takes over the {topic} from {old}. Please "
            "make the newcomer welcome. A new coffee machine is on its way too."
        ),
        "who starts, on which day, and from whom the work is taken over",
        f"{new} starts on {day} and takes over from {old}.",
        (new, day, old),
        ("coffee",),
    )


def _trip(draws: Draws) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    who, (start, end), day = draws.one_of(PEOPLE), draws.some_of(CITIES, 2), draws.one_of(DAYS)
    return (
        (
            f"You know how {who} is about trains: never on time for one in a whole life. This time "
            f"it went wrong in {start}, where the umbrella was left on the platform. Anyway: the "
            f"arrival in {end} is on {day} now, and somebody should be at the station."
        ),
        "who arrives, in which city, and on which day",
        f"{who} arrives in {end} on {day}.",
        (who, end, day),
        ("umbrella", start),
    )


MESSAGES: tuple[Message, ...] = (_moved, _broken, _order, _hired, _trip)
