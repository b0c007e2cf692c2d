"""What a turn is about, read off its structure: code, traces, formulas, the verb it begins with.

Only the last turn of the user is looked at, for the standing instructions of an agent mention
everything. What it is to be done to stands in its first or its last lines, and what it is done to
between them, so that a letter to be translated is no puzzle because it asks why. Nothing here is
trained: a rule is there because of what a request is, and what no rule knows is `general`, which
is not cheap. Every pattern is linear in the text. Must not know: models, prices or messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from cobot_meter.domain.routing.hints import Task

# Whoever sends more is judged by its beginning and its end.
HEAD_CHARS, TAIL_CHARS = 3_072, 1_024
TURN_CHARS_MAX = HEAD_CHARS + TAIL_CHARS
_SAID_CHARS = 320
_SHORT_CHARS = 240
# What only has to be there at all is looked for no further than this.
_NEAR_CHARS = 1_000
_LONG_CHARS = 2_000
_CLUES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a decision looks at of a request. `turn` is what the user said last, bounded."""

    turn: str = ""
    has_tools: bool = False
    has_schema: bool = False
    has_images: bool = False


def bounded_turn(text: str) -> str:
    """Its beginning and its end, where it is long."""
    if len(text) <= TURN_CHARS_MAX:
        return text
    return text[:HEAD_CHARS] + text[-TAIL_CHARS:]


def _words(pattern: str) -> re.Pattern[str]:
    """For text in lower case: a pattern that minds no case takes half as long again."""
    return re.compile(rf"\b(?:{pattern})\b")


# Structure that only programs have; each is a clue of its own name.
# With each a character that few other texts have: looking for one is twenty times as quick.
_DIFF_WORDS = (("g", "diff --git "), ("@", "\n@@ -"), ("+", "\n+++ b/"))
_TRACE = re.compile(r"^\s{1,8}at [\w.$<>]{1,80}\([^()\n]{1,80}:\d+", re.MULTILINE)
_TRACE_LINES = (("\n", "\n  at "), ("\n", "\n    at "), ("\t", "\n\tat "))
_TRACE_WORDS = (
    ("(", "Traceback (most recent call last)"),
    ("E", "Exception in thread"),
    ("S", "Segmentation fault"),
    ("'", "' panicked at "),
    ("[", "error[E"),
)
_FENCES = (("`", "```"), ("~", "~~~"))
# Patterns that begin a line are looked for behind a line's end, which is found at once: `_lined`.
_LINES_OF_CODE = re.compile(
    r"\n\s{0,40}(?:def \w{1,60}\(|class \w{1,60}[:({]|import \w|from \w[\w.]{0,60} import "
    r"|#include ?[<\"]|(?:public|private|static) [\w<>\[\] ]{1,40}\(|func(?:tion)? ?\w{0,60}\("
    r"|fn \w{1,60}[(<]|(?:const|let|var) \w{1,40} ?=|SELECT .{1,200} FROM |CREATE TABLE |#!/"
    r"|package \w{1,60};?$)",
    re.MULTILINE,
)
_CODE_THINGS = (
    r"functions?|classes|methods?|code|scripts?|programs?|regex(?:es|p)?|regular expressions?"
    r"|quer(?:y|ies)|sql|unit tests?|tests?|algorithms?|api|endpoints?|module|compiler|parser"
    r"|dockerfile|makefile|decorator|iterator|generator|closure|macro|mutex|thread|goroutine"
    r"|coroutine|async|recursion|data structures?|linked list|binary (?:search|tree)"
    r"|hash ?(?:map|table)|trie|heap|schema|migration|python|javascript|typescript|java|rust"
    r"|golang|kotlin|swift|haskell|c\+\+|bash|react|django|pandas|kubernetes|terraform|bugs?"
    r"|stack overflow|race condition|deadlock|memory leak|component|server"
)
_CODE_VERBS = (
    r"write|implement|fix|debug|refactor|review|optimi[sz]e|code|create|build|add|port|complete"
    r"|design|develop|generate|vectori[sz]e|rewrite|convert|find|make|explain|change|extend"
    r"|simplify|test"
)
_CODE_ASK = re.compile(rf"\b(?:{_CODE_VERBS})\b[^.?!\n]{{0,90}}?\b(?:{_CODE_THINGS})(?:\b|(?<=\+))")
_LATEX = re.compile(r"\\(?:frac|sqrt|int|sum|prod|lim|mathbb|begin\{|binom|cdot|equiv|pmod)")
_SIGNS = re.compile(r"[∫∑∏√∞≤≥≠∈∀∃∂∇]")
_POWER = re.compile(r"\b[a-z]\^(?:\d|\{|n\b)|\d ?\^ ?\d")
_EQUATION = re.compile(r"\b[fg]\([xnt]\)|\b\d{0,3}[xyn] ?[+*/^=-] ?\d")
_EQUATION_SIGNS = "+*/^=-("
_MATHS_WORDS = _words(
    r"prove|derive|proof|theorem|lemma|integrals?|integrate|derivatives?|differentiate"
    r"|equations?|polynomials?|eigenvalues?|matri(?:x|ces)|determinant|probabilit(?:y|ies)"
    r"|expected value|variance|combinatorics|permutations?|prime numbers?|primes|modulo"
    r"|congruent|divisible|remainder|logarithms?|triangles?|perimeter|hypotenuse|converges?"
    r"|geometric series|arithmetic progression|how many ways|simplif(?:y|ied) the expression"
    r"|solve for|closed form|by induction"
)
_NUMBER = re.compile(r"(?<![\w.])\$?\d[\d,]*(?:\.\d+)?%?")
_HOW_MANY = _words(
    r"how (?:many|much|long|far|old|fast|often)|what (?:is|was|are|were) the (?:total|average"
    r"|cost|profit|price|sum|difference|ratio|percentage|value|area|length|speed|distance"
    r"|number)|find the|calculate"
)
_REASONING = _words(
    r"step[- ]by[- ]step|think (?:carefully|through|hard)|reason(?:ing)? (?:through|about)"
    r"|explain (?:why|how)|why (?:does|do|did|is|are|was|were|would|might|can|should)"
    r"|trade-?offs?|pros and cons|weigh|compare (?:and contrast|the)|contrast|evaluate|assess"
    r"|critique|criti[cq]\w*|argue|argument (?:for|against)|root cause|diagnos\w+|strateg(?:y"
    r"|ies|ic)|plan (?:a|an|the|out|how|for)|design (?:a|an|the)|propose|roadmap|implications?"
    r"|consequences?|counter-?examples?|hypothes[ie]s|justify|analy[sz]e|anal?ysis"
    r"|what would happen|what if|suppose|assum(?:e|ing) that|deduce|infer|logically|puzzle"
    r"|riddle|knights? and knaves?|truth-?teller|liars?|schedule|constraints?|optimal"
    r"|prioriti[sz]e|recommend|should (?:we|i|they|the)|which (?:option|approach|strategy)"
    r"|investigate|negotiat\w+|essay|legal|liabilit(?:y|ies)|root-?cause|forecast|architecture"
    r"|interpret|philosoph\w+|ethic\w+|thesis"
)
_CLUE_LINES = re.compile(
    r"\n\s{0,6}(?:\(?\d{1,2}[.)]|[-*•]) +\S.{0,200}\b(?:must|cannot|can't|not|only|before|after"
    r"|exactly|either|neither|at (?:least|most)|if|next to|left|right)\b",
    re.MULTILINE | re.IGNORECASE,
)
_CHOICES = re.compile(r"(?:^|[\s,;'\"])\(?[A-E][.):] ?\S", re.MULTILINE)

# What is done to a text that is given along: the verb, and nothing that has to be thought up.
_ROUTINE: tuple[tuple[Task, re.Pattern[str]], ...] = (
    (
        Task.TRANSLATION,
        _words(
            r"translat(?:e|ion)|(?:in|into|to) (?:english|french|german|spanish|italian"
            r"|portuguese|dutch|polish|czech|swedish|danish|finnish|norwegian|greek|turkish"
            r"|russian|ukrainian|arabic|hebrew|hindi|chinese|mandarin|japanese|korean|vietnamese"
            r"|thai|latin)"
        ),
    ),
    (
        Task.SUMMARY,
        _words(
            r"summari[sz]e|summary|tl;?dr|in (?:one|two|three) (?:short )?sentences?"
            r"|main points?|key points?|(?:one|two|three)[- ]sentence|gist|headline|boil (?:this"
            r"|it) down|condense"
        ),
    ),
    (
        Task.CLASSIFICATION,
        _words(
            r"classif(?:y|ication)|categori[sz]e|sentiment|which (?:category|label|topic|class"
            r"|department|team|language)|spam|label (?:this|the|each|it)|tag (?:this|the|each)"
            r"|is (?:this|the following) (?:\w+ ){0,3}(?:positive|negative|spam|urgent"
            r"|a (?:question|complaint|refund))|positive,? (?:or )?negative"
            r"|answer (?:only )?(?:with )?(?:yes or no|true or false)|detect the language"
            r"|route this|(?:yes|true) or (?:no|false)"
        ),
    ),
    (
        Task.EXTRACTION,
        _words(
            r"extract|pull out|pick out|list (?:all |every |only )?(?:the |each )?(?:names?"
            r"|dates?|e-?mails?|phone|numbers?|people|places|cities|prices?|items?|products?"
            r"|compan(?:y|ies)|urls?|links?|countries|amounts?|addresses|skills?|keywords?"
            r"|hashtags?|ingredients?)|(?:find|get|give me|return"
            r"|read) (?:me )?the (?:\w+ ){0,2}(?:names?|dates?|e-?mail|phone|number|total|price"
            r"|address|amount|sender|invoice|deadline|id|zip|postcode|order|iban|title|author"
            r"|due)|what (?:is|was|are) the (?:\w+ ){0,2}(?:date|total|amount|sender|deadline"
            r"|price|order number|invoice number|tracking number|due date) (?:in|on|of) (?:this"
            r"|the)|as json|to json|parse|convert (?:this|the)|turn (?:this"
            r"|the) (?:\w+ ){0,3}into|format (?:this|the|as)|fill in"
        ),
    ),
    (
        Task.REWRITING,
        _words(
            r"rewrite|rephrase|reword|paraphrase|proof-?read|correct the|fix the (?:grammar"
            r"|spelling|punctuation|typos?)|(?:make|write) (?:this|it) (?:\w+ ){0,3}(?:more|less"
            r"|shorter|polite|formal|friendlier|clearer|concise|simpler|casual)|shorten"
            r"|simplify (?:this|the) (?:text|sentence|paragraph|wording)|change (?:this"
            r"|the) (?:\w+ ){0,2}(?:to|into) (?:the )?(?:past|present|passive|active|future"
            r"|third|first|british|american|plural|singular)|polish (?:this|the|my)"
            r"|capitali[sz]e|in (?:title|upper|lower) ?case|sort (?:this|these|the)"
            r"|alphabeti[sz]e|alphabetical|remove (?:the )?duplicates|remove (?:all|the)"
            r"|lower-?case|upper-?case|bullet points?"
        ),
    ),
)
_FACTUAL = re.compile(
    r"\s{0,4}(?:who|whom|whose|what|when|where|which|how (?:many|much|tall|old|far|long|high"
    r"|deep|big|do you (?:say|spell|convert|write))|is|are|was|were|did|does|do|can|in (?:which"
    r"|what)|on (?:which|what)|name (?:the|a|an|one|two|three)|define|give (?:me )?(?:the|a|an)"
    r"|tell me|spell|convert|what's|who's|list (?:the|three|five|four|two)|at what|from (?:which"
    r"|what)|compute|add|multiply|divide|subtract)\b",
    re.IGNORECASE,
)
_SUM = re.compile(
    r"\d ?(?:[-+*/×÷]|plus|minus|times|divided by|percent of|% of) ?\$?\d", re.IGNORECASE
)


def task_of(facts: RequestFacts) -> tuple[Task | None, tuple[str, ...]]:
    """The task that the structure says, None where no rule knows; and what it was read off."""
    turn = facts.turn
    beside = _beside(facts)
    code = _code_signals(turn)
    if code:
        return Task.CODE, (*code, *beside)
    said = _instruction(turn).lower()
    if _CODE_ASK.search(said):
        return Task.CODE, ("asks_for_code", *beside)
    for task, signal in _of_words(turn, said):
        return task, (signal, *beside)
    return None, beside


def _beside(facts: RequestFacts) -> tuple[str, ...]:
    said = {
        "tools": facts.has_tools,
        "schema": facts.has_schema,
        "images": facts.has_images,
        "long": len(facts.turn) > _LONG_CHARS,
    }
    return tuple(name for name, stands in said.items() if stands)


def _code_signals(turn: str) -> tuple[str, ...]:
    found = {
        "diff": _has_any(turn, _DIFF_WORDS),
        "stack_trace": _is_trace(turn),
        "code_fence": _has_any(turn, _FENCES),
        "lines_of_code": _LINES_OF_CODE.search(_lined(turn[:_LONG_CHARS])),
    }
    return tuple(name for name, there in found.items() if there)


def _is_trace(turn: str) -> bool:
    """Words that only traces have; the lines of one are looked for where there may be some."""
    if _has_any(turn, _TRACE_WORDS):
        return True
    return _has_any(turn, _TRACE_LINES) and _TRACE.search(turn) is not None


def _is_formula(turn: str) -> bool:
    """Each pattern only where its sign is at all: most turns have none of them."""
    return (
        ("\\" in turn and _LATEX.search(turn) is not None)
        or (not turn.isascii() and _SIGNS.search(turn) is not None)
        or ("^" in turn and _POWER.search(turn) is not None)
        or _has_equation(turn[:_SAID_CHARS])
    )


def _has_equation(said: str) -> bool:
    """None is without a sign or a bracket, and few sentences are with one."""
    for sign in _EQUATION_SIGNS:
        if sign in said:
            return _EQUATION.search(said) is not None
    return False


def _has_any(turn: str, clues: tuple[tuple[str, str], ...]) -> bool:
    return any(rare in turn and words in turn for rare, words in clues)


def _lined(text: str) -> str:
    """The text with a line's end before its first line as well."""
    return f"\n{text}"


def _of_words(turn: str, said: str) -> list[tuple[Task, str]]:
    """The tasks that fit, the one that counts in front."""
    clues = _has_clues(turn)
    hard = "clues" if clues else "reasons" if _REASONING.search(said) else ""
    found: list[tuple[Task, str]] = [(Task.REASONING, hard)] if hard else []
    maths = _maths_signal(turn, said)
    if maths:
        found.insert(0 if maths == "formula" else len(found), (Task.MATHS, maths))
    if not found:
        found = [(task, f"asks_for_{task}") for task, words in _ROUTINE if words.search(said)]
    if not found and len(_CHOICES.findall(turn[-_NEAR_CHARS:])) >= _CLUES:
        found = [(Task.REASONING, "choices")]
    if not found and _is_factual(turn):
        found = [(Task.FACTUAL, "short_question")]
    return found


def _has_clues(turn: str) -> bool:
    """Whether there are as many lines with clues; looked for no further than that."""
    if turn.count("\n") < _CLUES - 1:
        return False
    return next(islice(_CLUE_LINES.finditer(_lined(turn)), _CLUES - 1, None), None) is not None


def _maths_signal(turn: str, said: str) -> str:
    if _is_formula(turn):
        return "formula"
    if _MATHS_WORDS.search(said):
        return "maths"
    if len(turn) > _SHORT_CHARS // 2 and _HOW_MANY.search(said):
        return "word_problem" if len(_NUMBER.findall(turn[:_NEAR_CHARS])) >= _CLUES else ""
    return ""


def _is_factual(turn: str) -> bool:
    """One short question, or a sum of two numbers: nothing in it has to be worked out."""
    stripped = turn.strip()
    if len(stripped) > _SHORT_CHARS:
        return False
    asks = stripped.endswith("?") or _FACTUAL.match(stripped) is not None
    return asks or _SUM.search(stripped) is not None


def _instruction(turn: str) -> str:
    """What is to be done: the first lines, and the last ones where more than those was said."""
    stripped = turn.strip()
    if len(stripped) <= _SAID_CHARS:
        first, _, rest = stripped.partition("\n\n")
        return (
            first
            if rest and len(first) > len(rest) // 4
            else stripped.partition("\n")[0]
            if rest
            else stripped
        )
    first = stripped[:_SAID_CHARS].partition("\n\n")[0]
    return f"{first}\n{stripped[-_SAID_CHARS // 2 :].rpartition(chr(10))[2]}"
