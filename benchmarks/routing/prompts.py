"""Two sets of prompts of our own: routine ones, which ought to go cheap, and hard ones.

Written for this benchmark and nobody's data. They were written beside the rules that they try, by
the same hands: what they show is that a change of the rules breaks nothing here, and no more. What
generalises is shown on recorded data of others.
"""

from __future__ import annotations

from itertools import product

TEXTS = (
    (
        "Hi team, the delivery for order 48213 slipped to Thursday 14 March because the driver "
        "called "
        "in sick. Please tell Mrs. Okafor at the Leeds depot. Best, Tomas"
    ),
    (
        "Invoice 2026-0117 from Brandt GmbH, Hamburg. Total due: 1,482.50 EUR by 30 April. "
        "Contact: "
        "billing@brandt.example, +49 40 555 0199."
    ),
    (
        "I loved the room and the breakfast, but the air conditioning rattled all night and nobody "
        "came "
        "to look at it. Would stay again if that is repaired."
    ),
    (
        "The museum opens at nine on weekdays and at ten on Sundays. Tickets are 12 pounds, "
        "children "
        "under six come in free, and the cafe closes half an hour before the galleries do."
    ),
    "their going to meet us at the stasion tomorow morning, so dont be late and bring you're bag",
    (
        "Maria Lopez (Madrid), Jan Kowalski (Gdansk) and Aiko Tanaka (Osaka) will present the "
        "results "
        "on 3 June 2026; the recording is kept for ninety days."
    ),
    (
        "Why did you charge me twice? I only bought one lamp. If this must go to my bank it will, "
        "but "
        "I would rather you explain how it happened and gave the money back."
    ),
    (
        "The council voted seven to two on Monday to repave Mill Lane. Work starts in August and "
        "should "
        "be over before schools return; buses will be diverted past the library."
    ),
    (
        "Mix two cups of flour with a pinch of salt, rub in 100 g of butter, add a little cold "
        "water, "
        "rest the dough for half an hour and bake it for twenty minutes at 190 degrees."
    ),
)
CHORES = (
    "Translate the following into French:",
    "Translate this text to Spanish.",
    "Summarize this in one sentence:",
    "Write a short summary of the text below.",
    "Give me the main points of the following.",
    "Classify the sentiment of this text as positive, negative or neutral:",
    "Is the following spam? Answer with yes or no.",
    "Which category fits this text: billing, delivery, praise, news or other?",
    "Extract all names and dates from this text as JSON:",
    "List all amounts of money in the following text.",
    "Pull out every place that is mentioned here:",
    "Rewrite this in a more formal tone:",
    "Fix the grammar and spelling of the following:",
    "Make this shorter:",
    "Rephrase this so that a child understands it:",
    "Turn this into bullet points:",
    "Suggest a headline for the following:",
    "Detect the language of this text:",
    "Proofread the following paragraph.",
    "Remove all punctuation from this text:",
)
QUESTIONS = (
    "What is the capital of Portugal?",
    "Who wrote Middlemarch?",
    "When did the Berlin Wall fall?",
    "Which planet is closest to the sun?",
    "How many legs does a spider have?",
    "What is the chemical symbol for gold?",
    "Who painted The Night Watch?",
    "What is the boiling point of water at sea level in Fahrenheit?",
    "Which river flows through Vienna?",
    "How tall is Mount Kilimanjaro?",
    "In which year did the Titanic sink?",
    "What currency is used in Japan?",
    "Who was the first woman to win a Nobel prize?",
    "What is the largest ocean?",
    "Define the word 'ephemeral'.",
    "What is the plural of 'ox'?",
    "How do you say 'good morning' in Italian?",
    "Name the three states of matter.",
    "What does the abbreviation ISBN stand for?",
    "Which country has the most inhabitants?",
    "Who composed The Four Seasons?",
    "What is the opposite of 'scarce'?",
    "How many minutes are there in a day?",
    "What colour do blue and yellow make?",
    "Which language is spoken in Brazil?",
    "What is the freezing point of water in Celsius?",
    "Who discovered penicillin?",
    "Where is the Prado museum?",
    "What is the national animal of Scotland?",
    "How many players are there in a football team on the field?",
    "What is a group of lions called?",
    "Which gas do plants take in?",
    "Who is the author of The Old Man and the Sea?",
    "What is the longest bone of the human body?",
    "When is Bastille Day?",
    "Is Tasmania a part of Australia?",
    "What is the area code of Manhattan?",
    "How long is a marathon in kilometres?",
    "Which sea lies between Italy and Croatia?",
    "What is the square root of 144?",
    "Spell 'necessary'.",
    "Convert 5 miles to kilometres.",
    "What day comes after Wednesday?",
    "Give me a synonym for 'quick'.",
    "Who founded the Red Cross?",
)
SUMS = tuple(
    form.format(a, b)
    for a, b in ((12, 7), (48, 6), (125, 25), (81, 9), (230, 45), (64, 16), (15, 80), (99, 11))
    for form in (
        "What is {} plus {}?",
        "What is {} times {}?",
        "How much is {} percent of {}?",
        "{} + {} = ?",
        "Divide {} by {}.",
        "Subtract {1} from {0}.",
        "Compute {} * {}.",
        "Add {} and {}.",
        "What's {} minus {}?",
        "Is {} larger than {}?",
    )
)
ROUTINE: tuple[str, ...] = (
    *(f"{chore}\n\n{text}" for chore, text in product(CHORES, TEXTS)),
    *QUESTIONS,
    *SUMS,
)

LANGUAGES = ("Python", "TypeScript", "Rust", "Go")
PROGRAMS = (
    "Write a {} function that merges two sorted linked lists without allocating.",
    "Implement an LRU cache in {} with constant time operations, and explain the invariants.",
    "Write a {} program that finds the shortest path in a weighted graph.",
    "Refactor this {} module so that the parser no longer depends on global state.",
    "How do I fix a race condition between two threads that share a counter in {}?",
    "Write unit tests in {} for a function that parses ISO 8601 durations.",
    "Design an API in {} for a rate limiter that several processes share.",
    "My {} server leaks memory under load; find the bug and propose a fix.",
    "Write a {} script that walks a directory and deduplicates files by hash.",
    "Port this recursive algorithm to an iterative one in {}.",
    "Create a {} class for a persistent priority queue.",
    "Explain why this {} code deadlocks and rewrite it so that it cannot.",
)
BROKEN = (
    "Why does this fail?\n\n```python\ndef f(xs):\n    return [x for x in xs if x.ok]\n```",
    (
        'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    f(None)\n'
        "TypeError: 'NoneType' object is not iterable\n\nWhat is wrong?"
    ),
    (
        "Review this change:\n\ndiff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n"
        "-a = 1\n+a = 2"
    ),
    (
        "What does this print?\n\nfor (let i = 0; i < 3; i++) {\n"
        "  setTimeout(() => console.log(i));\n}\n"
        "const x = 5"
    ),
    (
        "Make this faster:\n\nSELECT u.id FROM users u JOIN orders o ON o.user_id = u.id "
        "WHERE o.total > 5"
    ),
    (
        'Exception in thread "main" java.lang.NullPointerException\n'
        "    at com.example.App.run(App.java:41)"
        "\nHelp."
    ),
    "Summarize what this does:\n\n~~~c\nint *p = malloc(4); free(p); return *p;\n~~~",
    "thread 'main' panicked at src/main.rs:4:5: index out of bounds\n\nWhere do I look?",
)
SUBJECTS = ("n", "x", "the sequence", "the matrix", "the graph")
PROOFS = (
    "Prove that the sum of two odd numbers is even, by induction, for {}.",
    (
        "Derive the closed form of the recurrence that {} satisfies when each term is three times "
        "the "
        "one before plus two."
    ),
    "Find all integer solutions of the equation x^2 - 7y^2 = 1 and say what they mean for {}.",
    (
        "A fair coin is tossed until two heads come in a row; what is the expected value of the "
        "number "
        "of tosses, and how does it depend on {}?"
    ),
    "Show that \\sqrt{{2}} + \\sqrt{{3}} is irrational, and use it for {}.",
    "In how many ways can eight rooks be placed on a board so that none attacks another, given {}?",
    "Compute \\int_0^1 x^2 e^x dx step by step and relate it to {}.",
    "Let f(n) be the number of divisors of n. Prove a bound for it in terms of {}.",
)
MATTERS = (
    "moving our monolith to services",
    "a four day week in a hospital",
    "raising prices before a competitor does",
    "a carbon tax with a dividend",
    "opening an office in a second country",
    "replacing a vendor in the middle of a contract",
    "a merger of two charities",
)
THOUGHTS = (
    "Compare the trade-offs of {} and recommend what we should do, with the risks of each.",
    "Analyze the consequences of {} for the next five years, step by step.",
    "Write an argument against {} and then rebut it as its strongest opponent would.",
    "Propose a strategy for {} under a fixed budget, and justify every assumption.",
    "What would happen if {} were decided today? Think carefully about second-order effects.",
    "Evaluate the evidence for {} and say which study would change your mind.",
    "Plan a twelve month roadmap for {} with milestones, owners and what could go wrong.",
    "Diagnose why {} might have failed elsewhere and design a pilot that would tell.",
    "Critique the following plan for {}: hire ten people, then think about the law.",
)
PUZZLES = tuple(
    f"There are {count} houses in a row. Who owns the {animal}?\n"
    "1. The baker must live next to the painter.\n"
    "2. The doctor cannot live in the first house.\n"
    f"3. Only the house at the right end may hold the {animal}."
    for count in (3, 4, 5)
    for animal in ("fish", "parrot", "cat")
)
HARD: tuple[str, ...] = (
    *(program.format(language) for program, language in product(PROGRAMS, LANGUAGES)),
    *BROKEN,
    *(proof.format(subject) for proof, subject in product(PROOFS, SUBJECTS)),
    *(thought.format(matter) for thought, matter in product(THOUGHTS, MATTERS)),
    *(f"{thought.format(matter)} Be brief." for thought, matter in product(THOUGHTS[:5], MATTERS)),
    *PUZZLES,
)
