"""Fifteen short questions with one answer, out of lists of our own: what hardly any model misses.

A list has what is asked and every answer that is right. Nothing in it changes from year to year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cobot_meter.domain.benchmarks.checks.exact_text import AnyAnswer
from cobot_meter.domain.benchmarks.checks.final_answer import MARKER
from cobot_meter.domain.benchmarks.draws import Draws
from cobot_meter.domain.benchmarks.item import Item

TASK = "factual"
TOKENS = 200
_ASK = "Reply with the answer alone."


@dataclass(frozen=True, slots=True)
class FactList:
    """A question with `{it}` in it; accepted answers have a stroke between them."""

    question: str
    answers: Mapping[str, str]


def _facts(told: str) -> Mapping[str, str]:
    """What is asked and its answers, out of `asked = answer|answer; asked = answer`."""
    pairs = (one.partition(" = ") for one in told.split("; "))
    return {asked.strip(): answers.strip() for asked, _, answers in pairs}


def factual_items(seed: int) -> tuple[Item, ...]:
    """All of them, with what this seed asks about."""
    return tuple(_item(number, facts, seed) for number, facts in enumerate(FACTS, start=1))


def _item(number: int, facts: FactList, seed: int) -> Item:
    item_id = f"factual-{number:02d}"
    asked = Draws(seed, item_id).one_of(sorted(facts.answers))
    accepted = tuple(facts.answers[asked].split("|"))
    return Item(
        item_id=item_id,
        task=TASK,
        prompt=f"{facts.question.format(it=asked)} {_ASK}",
        max_tokens=TOKENS,
        check=AnyAnswer(accepted),
        solution=f"{MARKER} {accepted[0]}",
    )


FACTS: tuple[FactList, ...] = (
    FactList(
        "What is the capital of {it}?",
        _facts(
            "Japan = Tokyo; Australia = Canberra; Canada = Ottawa; Egypt = Cairo; Brazil = "
            "Brasília|Brasilia; Turkey = Ankara; Kenya = Nairobi; Norway = Oslo; Peru = Lima; "
            "Vietnam = Hanoi|Ha Noi; Poland = Warsaw; Portugal = Lisbon; Morocco = Rabat; New "
            "Zealand = Wellington"
        ),
    ),
    FactList(
        "Of which country is {it} the capital?",
        _facts(
            "Budapest = Hungary; Helsinki = Finland; Bogotá = Colombia; Reykjavík = Iceland; "
            "Nicosia = Cyprus; Tallinn = Estonia; Santiago = Chile; Hanoi = Vietnam; Dakar = "
            "Senegal; Sofia = Bulgaria; Kathmandu = Nepal; Ulaanbaatar = Mongolia; Muscat = Oman"
        ),
    ),
    FactList(
        "What is the chemical symbol of {it}?",
        _facts(
            "iron = Fe; gold = Au; silver = Ag; sodium = Na; potassium = K; lead = Pb; tin = Sn; "
            "mercury = Hg; copper = Cu; tungsten = W; antimony = Sb; magnesium = Mg; helium = He; "
            "zinc = Zn"
        ),
    ),
    FactList(
        "Which chemical element has the symbol {it}? Say its English name.",
        _facts(
            "Ne = neon; Si = silicon; P = phosphorus; Mn = manganese; U = uranium; Li = lithium; "
            "B = boron; Xe = xenon; Ni = nickel; Pt = platinum; As = arsenic; Ca = calcium; Br = "
            "bromine; Ti = titanium"
        ),
    ),
    FactList(
        "What is the atomic number of {it}?",
        _facts(
            "hydrogen = 1; carbon = 6; nitrogen = 7; oxygen = 8; fluorine = 9; sodium = 11; "
            "aluminium = 13; sulfur = 16; chlorine = 17; iron = 26; copper = 29; silver = 47; "
            "gold = 79; uranium = 92"
        ),
    ),
    FactList(
        "Who wrote “{it}”? Say the family name.",
        _facts(
            "Pride and Prejudice = Austen; Moby-Dick = Melville; Hamlet = Shakespeare; Don "
            "Quixote = Cervantes|de Cervantes; War and Peace = Tolstoy|Tolstoi; Faust = "
            "Goethe|von Goethe; Frankenstein = Shelley; The Odyssey = Homer; Jane Eyre = "
            "Brontë|Bronte; Les Misérables = Hugo; Nineteen Eighty-Four = Orwell; The "
            "Metamorphosis = Kafka; Dracula = Stoker"
        ),
    ),
    FactList(
        "In which year {it}?",
        _facts(
            "did the Berlin Wall fall = 1989; did a human first walk on the Moon = 1969; did the "
            "First World War begin = 1914; did the French Revolution begin = 1789; did the Second "
            "World War end = 1945; did the Titanic sink = 1912; did Columbus first reach the "
            "Americas = 1492; was the battle of Hastings = 1066; was the battle of Waterloo = "
            "1815; did Constantinople fall to the Ottomans = 1453; was the United States "
            "Declaration of Independence adopted = 1776"
        ),
    ),
    FactList(
        "Which planet is number {it}, counted from the Sun?",
        _facts(
            "one = Mercury; two = Venus; three = Earth|the Earth; four = Mars; five = Jupiter; "
            "six = Saturn; seven = Uranus; eight = Neptune"
        ),
    ),
    FactList(
        "What is the three-letter ISO code of the currency of {it}?",
        _facts(
            "Japan = JPY; Switzerland = CHF; the United Kingdom = GBP; India = INR; Sweden = SEK; "
            "Poland = PLN; Brazil = BRL; Mexico = MXN; China = CNY; Norway = NOK; Turkey = TRY; "
            "South Africa = ZAR; Australia = AUD"
        ),
    ),
    FactList(
        "What is the two-letter ISO 3166 code of {it}?",
        _facts(
            "Germany = DE; Spain = ES; Switzerland = CH; Denmark = DK; Sweden = SE; Japan = JP; "
            "South Africa = ZA; Ukraine = UA; the Netherlands = NL; Austria = AT; Croatia = HR; "
            "Estonia = EE"
        ),
    ),
    FactList(
        "Who composed “{it}”? Say the family name.",
        _facts(
            "The Magic Flute = Mozart; Carmen = Bizet; Aida = Verdi; Tosca = Puccini; Swan Lake = "
            "Tchaikovsky|Tschaikowsky; Messiah = Handel|Händel; Fidelio = Beethoven|van "
            "Beethoven; The Ring of the Nibelung = Wagner; Boléro = Ravel; The Brandenburg "
            "Concertos = Bach; Finlandia = Sibelius"
        ),
    ),
    FactList(
        "How many {it}? Say a number in digits.",
        _facts(
            "legs has a spider = 8; legs has an insect = 6; strings has a violin = 4; keys has a "
            "full piano = 88; squares has a chessboard = 64; cards are in a deck without jokers = "
            "52; minutes has a day = 1440|1,440; states has the United States = 50; bits are in a "
            "byte = 8; degrees has a circle = 360; sides has a hexagon = 6; players of one "
            "football (soccer) team are on the field = 11"
        ),
    ),
    FactList(
        "Which river flows through {it}?",
        _facts(
            "Paris = Seine|the Seine|Seine River; Cairo = Nile|the Nile|Nile River; Rome = "
            "Tiber|the Tiber|Tiber River; Baghdad = Tigris|the Tigris|Tigris River; Vienna = "
            "Danube|the Danube|Danube River; Florence = Arno|the Arno|Arno River; Prague = "
            "Vltava|the Vltava|Vltava River|Moldau|the Moldau; Cologne = Rhine|the Rhine|Rhine "
            "River; Dresden = Elbe|the Elbe|Elbe River; London = Thames|the Thames|River "
            "Thames|the River Thames|Thames River"
        ),
    ),
    FactList(
        "Which HTTP status code means “{it}”?",
        _facts(
            "Not Found = 404; OK = 200; Created = 201; No Content = 204; Moved Permanently = 301; "
            "Not Modified = 304; Bad Request = 400; Unauthorized = 401; Payment Required = 402; "
            "Forbidden = 403; Method Not Allowed = 405; Conflict = 409; Too Many Requests = 429; "
            "Internal Server Error = 500; Bad Gateway = 502; Service Unavailable = 503"
        ),
    ),
    FactList(
        "What is the SI unit of {it}? Say its name, in singular.",
        _facts(
            "force = newton; pressure = pascal; energy = joule; power = watt; electric charge = "
            "coulomb; electric potential = volt; resistance = ohm; frequency = hertz; capacitance "
            "= farad; inductance = henry; temperature = kelvin; magnetic flux density = tesla"
        ),
    ),
)
