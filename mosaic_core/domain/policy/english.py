"""English clauses that are harmless: questions of fact, wishes to be shown something, the listed harmless actions, what is
denied, small talk, and what is merely told. Everything else is `Kind.UNKNOWN`."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from typing import Final

from mosaic_core.domain.policy.clauses import Clause, Sentence, is_amount
from mosaic_core.domain.policy.frames import (
    FIGURES,
    WANTS,
    WH,
    asked_of_you,
    asks_figure,
    denied,
    denies,
    displays,
    i_may,
    is_listed,
    is_remark,
    moves,
)
from mosaic_core.domain.policy.kinds import Kind
from mosaic_core.domain.policy.phrases import told
from mosaic_core.domain.policy.verbs import act_at, acts, run_on
from mosaic_core.domain.policy.words import lists, opened

__all__ = ["CONJUNCTIONS", "is_helped", "judge"]

CONJUNCTIONS: Final = re.compile(
    r"\b(?:and then|and also|(?<!\d )and(?! (?:drinks?|utilities|merchandise|services)\b)|and(?! (?:[$€£]?\d|(?:drinks?|utilities|merchandise|services)\b))|but|(?<!since )(?<!back )(?<!until )(?<!by )(?<!now and )then|so that|so(?! far| much| many| long| called|-called| that)|otherwise)\b"
)


_INFORM: Final = re.compile(
    r" (?:just so you know|fyi|for your information|just saying|for the record|for info|nothing to do|no action needed|just wanted to mention|just for info) "
)
_TAG: Final = re.compile(
    r"^ (?:right|correct|true|or not|or did i|or no|ok|no|yes|yeah|isnt it|isnt that so|didnt (?:i|we|they|he|she|it)|havent (?:i|we|they)|hasnt it|wasnt it|is that (?:true|right|correct)|is it|am i right|or|or what) $"
)
_KNOW: Final = re.compile(
    rf"^(?: \w+){{0,4}} (?:wants?|needs?|like|love|curious|wonder|wonders|wondering|wondered|interested in|asks?|asked|asking|trying|keen|cant remember|dont remember|forgot|dont know|not sure|unsure|no idea|dont understand|cant recall|remember|recall|no clue)(?: me)?(?: to (?:know|see|hear|find out|understand|learn|check|figure out|work out|get an idea of|ask))?(?: about)? {WH} (?!(?:you|u|someone|we) (?:can|could|would|might)\b)"
)
_WANT_FIGURES: Final = re.compile(
    rf"^ (?:i|we|id|wed|ill)(?: (?:just|only|really|also|would|d))* (?:want|need|like|love|require|have)(?: to have| to get)? (?:(?:a|an|the|my|our|some|all|just|only|quick|full|complete|short|total) )*(?:[\w-]+ )?{FIGURES} (?!.* to (?:him|her|them) )"
)


_COST_TOGETHER: Final = re.compile(
    r"^ (?:[^ ]+ ){1,4}(?:cost|charged|came to|come to) (?:me|us|together|in|on|over|last|this|between) "
)
"""The second of two names of a question: "what did Shell | and Whole Foods cost us together"."""


def judge(clause: Clause, sentence: Sentence, context: Kind | None, *, helped: bool) -> Kind:
    """What the clause is. ``context`` is what the clause before it in its sentence was; ``helped`` where a question
    before it had an auxiliary, after which bare verbs may be listed."""
    words = opened(clause.words)
    if not words:
        return Kind.TALK
    line = f" {' '.join(words)} "
    full = clause.line
    if run_on(words):
        return Kind.UNKNOWN
    if _TAG.match(line) or _INFORM.search(full):
        return Kind.ASKS
    if _is_talk(clause.words):
        return Kind.UNKNOWN if context is not None and words[0] in ("stop", "hold") else Kind.TALK
    if re.match(r" (?:never mind|nevermind) (?:about )?(?:the|that|my|it|this)\b", full) and not any(
        is_amount(w) for w in words
    ):
        return Kind.TALK
    if is_remark(words) or asks_figure(words):
        return Kind.ASKS
    if context == Kind.ASKS and clause.lead == "and" and _COST_TOGETHER.match(line) and act_at(words, 0) is None:
        return Kind.ASKS
    if denies(full):
        return denied(full)
    if is_listed(words, sentence):
        return Kind.ASKS
    if clause.lead in ('"', "“", "”", "«") and len(words) == 1:
        return Kind.FRAGMENT
    if _KNOW.match(full) or _WANT_FIGURES.match(full):
        return Kind.ASKS
    return (
        asked_of_you(line, full)
        or _question(words, line, sentence)
        or told(words, line, full, sentence, clause, context, helped)
    )


def _is_talk(words: tuple[str, ...]) -> bool:
    if all(word in lists()["talk"] or not re.search(r"\w", word) for word in words) and len(words) <= 9:
        return True
    line = " ".join(words)
    return re.match(
        r"(?:many |ok |great |hi )?(?:thanks|thank you|thx|cheers|ty)\b(?! in advance)", line
    ) is not None and not any(acts(w) or w.endswith("ing") or is_amount(w) for w in words[1:])


def _question(words: tuple[str, ...], line: str, sentence: Sentence) -> Kind | None:
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in lists()["prepositions"] and second in lists()["wh"] and not (first == "about" and len(words) == 2):
        return Kind.ASKS
    if first in lists()["wh"]:
        return _wh(words, line, sentence)
    if displays(words):
        return Kind.ASKS
    if first in lists()["aux"]:
        return _yes_or_no(words, line, sentence)
    if re.match(r" (?:any|anything|anyone|anybody|ever) ", line) and not re.search(r" (?:chance|way) ", line):
        return Kind.ASKS
    if re.match(r" (?:what|how) (?:about|if) ", line):
        return None
    # "after rent how much is left", "I spent how much?"
    asks_inside = re.search(
        rf" (?:{'|'.join(('how much', 'how many', 'what', 'which', 'how often', 'who', 'when', 'where', 'why'))}) ",
        line,
    )
    if asks_inside and not act_at(words, 0):
        before = line[: asks_inside.start()].split()
        if sentence.asked and not WANTS.search(line):
            return Kind.ASKS
        if (
            before
            and before[0] in lists()["prepositions"]
            and re.match(r" \w+(?: \w+)? (?:do|did|does|is|are|was|were|have|has|will) ", line[asks_inside.start() :])
        ):
            return Kind.ASKS
    return None


def _wh(words: tuple[str, ...], line: str, sentence: Sentence) -> Kind | None:
    second = words[1] if len(words) > 1 else ""
    aux = lists()["aux"]
    if (
        words[0] in ("when", "whn", "wen")
        and second not in aux
        and not (sentence.asked and not any(acts(w) for w in words[1:]))
    ):
        return (
            Kind.ASKS
            if re.match(r" \w+ (?:i|we|my|the) last | \w+ (?:i|we) (?:first|paid|sent|bought)", line)
            and " then " not in line
            else Kind.TOLD
        )
    if re.match(r" (?:what|how|wat) (?:about|bout) ", line):
        rest = words[2:]
        asks = not rest or rest[0] in ("you", "we", "u") or acts(rest[0]) or rest[0].endswith("ing") or moves(words)
        return Kind.UNKNOWN if asks else Kind.ASKS
    if re.match(r" (?:what|why) (?:are|r) (?:you|u) waiting | what do you say ", line):
        return Kind.UNKNOWN
    if (
        re.match(r" what (?:i|we|id) (?:really )?(?:want|need|would like|like|d like|owe|wish) ", line)
        and not sentence.asked
    ):
        return Kind.UNKNOWN
    if (
        re.match(
            r" (?:what|whats|who|whoever|whichever) (?:\w+ ){1,5}(?:goes|should|must|needs) (?:go |to )?(?:to|into|in|on)? ?(?:my|the|him|her|them|savings)",
            line,
        )
        and not sentence.asked
    ):
        return Kind.UNKNOWN
    return Kind.ASKS


def _yes_or_no(words: tuple[str, ...], line: str, sentence: Sentence) -> Kind | None:
    first, second = words[0], words[1] if len(words) > 1 else ""
    if not second:
        return Kind.UNKNOWN if not sentence.asked else Kind.ASKS
    subject = second in lists()["subjects"]
    owner = second in ("my", "our", "the", "his", "her", "their", "all", "most", "both")
    if first in ("do", "dont"):
        plural = owner or second in ("people", "subscriptions", "transfers", "payments")
        return Kind.ASKS if subject or (sentence.asked and plural and len(words) > 4) else Kind.UNKNOWN
    if first in ("have", "had", "havent"):
        plural = second in ("i", "we", "you", "u", "they", "there", "any", "these", "those", "people")
        done = re.match(
            r" have (?:\w+ ){1,4}(?:paid|sent|moved|cancelled|closed|deleted|transferred)\b(?! (?:been|this|yet))", line
        )
        return (
            Kind.ASKS if plural or (sentence.asked and (owner or second.endswith("s")) and not done) else Kind.UNKNOWN
        )
    if first == "were" and (
        second.endswith("ing")
        or second in ("about", "not", "done", "all", "on", "in", "out", "at", "so", "also", "both")
    ):
        return None  # "we're"
    if re.match(
        r" (?:was|is|are|am|were) (?:to|hoping|wondering|thinking|due|asking|calling|writing) ", line
    ) or re.match(r" (?:has|had) (?:to|better) ", line):
        return None
    if first in ("can", "could", "cant", "couldnt", "may", "might", "must"):
        if not subject and second not in ("my", "our", "the", "a", "an", "any", "banks", "anyone"):
            return Kind.UNKNOWN
        return (
            Kind.UNKNOWN
            if (re.search(r" (?:be|get|have|become|go) ", line) and first != "might")
            or (second in ("i", "we") and not i_may(line))
            else Kind.ASKS
        )
    if first in ("would", "will", "should", "wont", "wouldnt", "shouldnt"):
        if second in (
            "be",
            "love",
            "like",
            "appreciate",
            "prefer",
            "rather",
            "want",
            "really",
            "do",
            "you",
            "u",
            "someone",
            "somebody",
            "anyone",
            "need",
            "also",
        ):
            return None if second not in ("you", "u") else Kind.UNKNOWN
        if re.match(
            r" (?:would|will|wouldnt) (?:it|that|this) be (?:possible|ok|okay|great|nice|good|lovely|best|better|too much|alright|fair|time)",
            line,
        ):
            return Kind.UNKNOWN
        return Kind.ASKS
    if re.match(
        r" (?:shouldnt|isnt|arent|wasnt|hasnt|didnt|dont) .* (?:supposed|by now|time to|time we|time you|should) | dont you think ",
        line,
    ):
        return Kind.UNKNOWN
    if re.match(
        r" (?:is|isnt|was) (?:it|this|that) (?:possible|ok|okay|alright|time|about time|not time|high time|fine) ", line
    ):
        return Kind.UNKNOWN
    return Kind.ASKS


def is_helped(words: tuple[str, ...]) -> bool:
    """Whether the question has an auxiliary or an infinitive after which bare verbs may be listed."""
    return not {"did", "do", "does", "can", "could", "should", "would", "will", "to", "didnt", "dont", "dd"}.isdisjoint(
        words
    )
