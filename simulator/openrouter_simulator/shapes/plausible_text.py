"""Answers that read like answers: sentences around the words of the prompt, the same every time.

Must not know: tokens, money or HTTP. Nothing here is a language model; it is a parlour trick that
lets demonstrations read well and tests repeat.
"""

from __future__ import annotations

import random
import re

_WORD_OR_STOP = re.compile(r"[^\W_][\w'-]*|[^\w\s]")
_WANTED_WORDS = re.compile(r"\b(\d{1,4})\s+words?\b", re.IGNORECASE)
_LONG = re.compile(r"\b(long|detailed|essay|report|thorough|in depth|at length)\b", re.IGNORECASE)
_SHORT = re.compile(r"\b(short|brief|briefly|one sentence|one line|concise)\b", re.IGNORECASE)
_PROMPT_READ_MAX = 4_000
_WORDS_MAX = 4_000
_TOPICS_MAX = 5
_PHRASE_WORDS_MAX = 4
_TOPIC_LETTERS_MIN = 3
_FALLBACK_TOPICS = ("everyday practice", "the simplest case")

# Words that carry no topic: function words, what prompts ask for, and verbs that would not stand
# where a noun is wanted.
_PASSED_OVER = re.compile(
    r"(?:an?|the|and|or|but|nor|for|from|with|into|onto|about|above|after|again|against|also|"
    r"because|been|before|being|below|between|both|buys?|by|can|could|did|do|does|doing|done|down|each|"
    r"else|every|few|get|gets|give|had|happens?|has|have|having|he|her|here|him|his|how|i|if|in|"
    r"is|it|its|just|keep|let|like|list|made|make|makes|many|matters?|may|me|mean|means|might|"
    r"more|most|much|must|my|need|needs|not|of|off|on|once|one|only|other|our|out|over|own|pays?|"
    r"please|runs?|said|same|say|says|see|settles?|shall|she|should|show|so|some|still|such|take|"
    r"takes|tell|than|that|their|them|then|there|these|they|thing|things|this|those|through|to|"
    r"too|two|three|under|until|up|us|use|used|uses|using|very|want|wants|was|way|we|well|were|"
    r"what|when|where|whether|which|while|who|whom|whose|why|will|with|without|works?|would|"
    r"write|yes|yet|you|your|yours|are|be|as|at|answer|brief|briefly|compare|concise|describe|"
    r"detailed|discuss|essay|explain|long|outline|paragraphs?|question|report|sentences?|short|"
    r"summar(?:y|ise|ize)|thorough|words?|\d+)",
    re.IGNORECASE,
)

_OPENINGS = (
    "The short version is that a good account of {a} has to begin with {b}.",
    "It helps to begin with {a} and only then to turn to {b}.",
    "Any account of {a} has two sides, and one of them is {b}.",
    "Most of the confusion about {a} goes away once the role of {b} is clear.",
)
_SENTENCES = (
    "In practice, nobody looks at {a} without also looking at {b}.",
    "Arguments about {a} are often arguments about {b} in disguise.",
    "A useful test is to change one detail of {a} and watch what that does to {b}.",
    "None of this holds without {a}.",
    "The step from {a} to {b} is shorter than it looks.",
    "The cost of {a} shows only when it comes due.",
    "The hard part is left to {b}, and the honest part to {a}.",
    "If only one thing can be measured, it should have to do with {a}.",
    "Earlier work kept {a} apart from {b}, and paid for it twice.",
    "That leaves {a}, which deserves more care than is usual.",
    "With the basics of {b} in place, a treatment of {a} becomes routine.",
    "The risk lies in taking {a} for granted.",
    "Anyone can check this against {a}, and that is the point.",
    "A small example says more about {a} than any definition.",
    "When it comes to {a}, the cheapest answer is often the right one.",
    "There is no need to trust a claim about {a} that can be proved from {b}.",
    "The rest follows in order: first {a}, then {b}, then whatever depends on the two.",
    "It would be a mistake to judge {a} by the standards of {b}.",
)
_CLOSINGS = (
    "So the answer rests on {a}; everything else is detail.",
    "Keep {a} and {b} in one picture, and the rest stays manageable.",
    "That is the whole of it: {a}, seen from the side of {b}.",
)


def plausible_answer(prompt: str, *, seed: str) -> str:
    """A few sentences about the prompt's own words; the same for the same prompt and seed.

    Its length follows the prompt (`in 200 words`, `briefly`, `a detailed report`), else 40 to 120
    words.
    """
    chance = random.Random(f"{seed}\n{prompt}")
    topics = _topics(prompt[-_PROMPT_READ_MAX:])
    wanted = _wanted_words(prompt, chance)
    sentences = [_filled(chance.choice(_OPENINGS), topics, chance)]
    words = len(sentences[0].split())
    deck: list[str] = []
    while words < wanted:
        if not deck:
            deck = chance.sample(_SENTENCES, len(_SENTENCES))
        sentences.append(_filled(deck.pop(), topics, chance))
        words += len(sentences[-1].split())
    if deck:
        sentences.append(_filled(chance.choice(_CLOSINGS), topics, chance))
    return " ".join(sentences)


def _topics(prompt: str) -> tuple[str, ...]:
    """Neighbouring words that say something, as phrases, in the order they came."""
    phrases: dict[str, None] = {}
    phrase: list[str] = []
    for word in [*_WORD_OR_STOP.findall(prompt), "."]:
        telling = word[0].isalnum() and not _PASSED_OVER.fullmatch(word)
        if telling and len(phrase) < _PHRASE_WORDS_MAX:
            phrase.append(word)
            continue
        text = " ".join(phrase)
        if len(text) >= _TOPIC_LETTERS_MIN:
            phrases.setdefault(text, None)
        phrase = [word] if telling else []
    topics = tuple(phrases)[-_TOPICS_MAX:]
    return topics if len(topics) > 1 else (*topics, *_FALLBACK_TOPICS)


def _wanted_words(prompt: str, chance: random.Random) -> int:
    said = _WANTED_WORDS.search(prompt)
    if said:
        return min(int(said.group(1)), _WORDS_MAX)
    if _LONG.search(prompt):
        return chance.randint(300, 450)
    if _SHORT.search(prompt):
        return chance.randint(12, 24)
    return chance.randint(40, 120)


def _filled(sentence: str, topics: tuple[str, ...], chance: random.Random) -> str:
    first, second = chance.sample(topics, 2)
    text = sentence.format(a=first, b=second)
    return text[0].upper() + text[1:]
