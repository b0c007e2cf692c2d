"""Twenty-five asks with instructions whose keeping can be seen: in the kinds of IFEval, asks ours.

The subject is drawn; what a right reply looks like does not hang on it, so that every solution here
passes whatever was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.benchmarks.checks import instructions as rules
from cobot_meter.domain.benchmarks.checks.json_reply import JsonShape
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item, ReplyCheck

TASK = "general"
TOKENS = 350
SUBJECTS = (
    *("rain", "bread", "bicycles", "lighthouses", "owls", "winter", "maps", "bridges", "tea"),
    *("gardens", "snow", "harbours", "paper", "clocks", "islands", "kites"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """An ask with `{subject}` in it, its judge, and a reply that keeps everything."""

    prompt: str
    check: ReplyCheck
    solution: str


def instructed_items(seed: int) -> tuple[Item, ...]:
    """All of them, with the subjects of this seed."""
    return tuple(_item(number, asked, seed) for number, asked in enumerate(ASKS, start=1))


def _item(number: int, asked: Asked, seed: int) -> Item:
    item_id = f"instructed-{number:02d}"
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=asked.prompt.replace("{subject}", Draws(seed, item_id).one_of(SUBJECTS)),
        max_tokens=TOKENS,
        check=asked.check,
        solution=asked.solution,
    )


def _all(*several: rules.Instruction) -> rules.All:
    return rules.All(several)


ASKS: tuple[Asked, ...] = (
    Asked(
        "Write three sentences about {subject}. Use no comma anywhere in your reply.",
        _all(rules.Without((",",)), rules.Sentences(3, 3)),
        "It is here. It is well known. Many people like it.",
    ),
    Asked(
        "Write two sentences about {subject} in small letters only: no capital anywhere.",
        _all(rules.InOneCase(upper=False), rules.Sentences(2, 2)),
        "it is here. many people like it.",
    ),
    Asked(
        "Write one sentence about {subject}, of at least eight words, in capital letters only.",
        _all(rules.InOneCase(upper=True), rules.Sentences(1, 1), rules.Words(least=8)),
        "THIS IS A THING THAT MANY PEOPLE LIKE VERY MUCH.",
    ),
    Asked(
        "Give exactly five reasons to like {subject}, each as a line that begins with `* `. Write "
        "no other line.",
        _all(rules.Bullets(5), rules.Lines(5)),
        "* one\n* two\n* three\n* four\n* five",
    ),
    Asked(
        "Write about {subject} in 40 to 60 words.",
        _all(rules.Words(least=40, most=60)),
        "word " * 50,
    ),
    Asked(
        "Write exactly three paragraphs about {subject}, of one sentence each, with a blank line "
        "between them.",
        _all(rules.Paragraphs(3), rules.Sentences(3, 3)),
        "It is here.\n\nIt is old.\n\nIt is liked.",
    ),
    Asked(
        "Write four sentences about {subject}. The word `always` must occur exactly three times.",
        _all(rules.WordTimes("always", 3, 3), rules.Sentences(4, 4)),
        "It is always here. It is always old. It is always liked. That is all.",
    ),
    Asked(
        "Describe {subject} in two or three sentences without the words `is`, `are` and `was`.",
        _all(
            rules.WordTimes("is", 0, 0),
            rules.WordTimes("are", 0, 0),
            rules.WordTimes("was", 0, 0),
            rules.Sentences(2, 3),
        ),
        "Many people know it. Some people like it.",
    ),
    Asked(
        "Write a short note about {subject} and end it with exactly these words, nothing after "
        "them: Is there anything else you wish to know?",
        _all(rules.Ends("Is there anything else you wish to know?"), rules.Words(least=12)),
        "There is much to say. Is there anything else you wish to know?",
    ),
    Asked(
        "Write two sentences about {subject}. The whole reply stands in one pair of double "
        "quotation marks.",
        _all(rules.Quoted(), rules.Words(least=6)),
        '"It is here. Many people like it."',
    ),
    Asked(
        "Write a template of an invitation to an evening about {subject}, with at least four "
        "placeholders in square brackets, such as [address].",
        _all(rules.Placeholders(4), rules.Words(least=12)),
        "Dear [name], please come to [place] on [date] at [time], and bring a friend. Yours, us.",
    ),
    Asked(
        "Write a poem of exactly six lines about {subject}. Give it a title in double angle "
        "brackets, such as <<a title>>, on a line of its own before it.",
        _all(rules.Titled(), rules.Lines(7)),
        "<<one>>\na\nb\nc\nd\ne\nf",
    ),
    Asked(
        "Explain {subject} in exactly two sections. Begin them with lines SECTION 1 and SECTION 2.",
        _all(rules.Sections(2), rules.Words(least=12)),
        "SECTION 1\nThis says what it is.\nSECTION 2\nThis says what it is for.",
    ),
    Asked(
        "Give two different short replies to the question whether you like {subject}. Write six "
        "asterisks, ******, between the two, and nowhere else.",
        _all(rules.PartsBetween("******", 2)),
        "Yes, very much.\n******\nNot at all.",
    ),
    Asked(
        "Write a sentence about {subject} in which the letter `z` occurs at least four times.",
        _all(rules.LetterTimes("z", 4), rules.Sentences(1, 1)),
        "A dizzy lizard in a haze dozes.",
    ),
    Asked(
        "Name eight things that have to do with {subject}: one word a line, in alphabetical order, "
        "without numbers or bullets.",
        _all(rules.Lines(8), rules.Words(8, 8), rules.Sorted()),
        "apple\nbox\ncup\ndoor\neye\nfan\nglove\nhat",
    ),
    Asked(
        "Reply with one JSON object and nothing else: `title` (a text about {subject}), `words` (a "
        "list of exactly three texts) and `rating` (a whole number).",
        JsonShape(
            (("title", "string"), ("words", "array"), ("rating", "integer")), (("words", 3),)
        ),
        '{"title": "x", "words": ["a", "b", "c"], "rating": 3}',
    ),
    Asked(
        "Reply with one JSON object and nothing else: `subject` (the text {subject}), `common` "
        "(true or false) and `facts` (an object with whatever texts you like).",
        JsonShape((("subject", "string"), ("common", "boolean"), ("facts", "object"))),
        '{"subject": "x", "common": true, "facts": {"a": "b"}}',
    ),
    Asked(
        "Begin your reply with exactly `To begin with,` and write three sentences about {subject}.",
        _all(rules.Begins("To begin with,"), rules.Sentences(3, 3)),
        "To begin with, it is here. It is old. It is liked.",
    ),
    Asked(
        "Write three sentences about {subject} in which exactly two words stand in capital "
        "letters, and have two letters or more.",
        _all(rules.CapitalWords(2, 2), rules.Sentences(3, 3)),
        "It is VERY old. It is ALWAYS here. People like it.",
    ),
    Asked(
        "Answer in four to ten words: why do people care about {subject}?",
        _all(rules.Words(least=4, most=10)),
        "Because it helps them every day.",
    ),
    Asked(
        "Write two sentences about {subject} without the letter `q`, without digits and without an "
        "exclamation mark.",
        _all(rules.Without(("q", "!", *"0123456789")), rules.Sentences(2, 2)),
        "It is here. People like it.",
    ),
    Asked(
        "List exactly four questions that a child could ask about {subject}, each on a line of its "
        "own that begins with `- ` and ends with a question mark. Write no other line.",
        _all(rules.Bullets(4), rules.Lines(4), rules.LetterTimes("?", 4), rules.Ends("?")),
        "- What is it?\n- Where is it?\n- Who made it?\n- Why?",
    ),
    Asked(
        "Write one paragraph about {subject} of exactly five sentences, then a blank line, then a "
        "line that begins with `P.S.`, without a mark at its end.",
        _all(
            rules.Paragraphs(2), rules.Without(("\nP.S.\n",)), rules.WordTimes("P"), rules.Words(15)
        ),
        "It is here. It is old. It is liked. It is known. It is good.\n\nP.S. Write to me soon",
    ),
    Asked(
        "Repeat this line first, word for word: `Tell me about {subject}, briefly.` Then, below "
        "it, write exactly two sentences.",
        _all(rules.Begins("Tell me about "), rules.Sentences(3, 3), rules.Lines(2)),
        "Tell me about it, briefly.\nIt is here. People like it.",
    ),
)
