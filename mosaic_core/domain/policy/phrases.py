"""English clauses that are no question by their form: what is told, what is called up by its name, fragments of a question."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from typing import Final

from mosaic_core.domain.policy.clauses import Clause, Sentence, is_amount
from mosaic_core.domain.policy.frames import WANTS, shows_only_with
from mosaic_core.domain.policy.kinds import Kind
from mosaic_core.domain.policy.verbs import act_at, acts, foreign_act, orders_within
from mosaic_core.domain.policy.words import lists

__all__ = ["told"]

_IF: Final = re.compile(
    r"^ (?:if|unless|when|whenever|after|before|because|cause|cuz|since|once|while|although|though|until|till|suppose|supposing|assuming|say i|given|in case|now that|even if|even though|every time|by the time|whether|as soon as|as long as|as you|as i|as we|as it|as the|as my|which|who|imagine|as far as)\b"
)
_HINTS: Final = re.compile(
    r" (?:owes?|owed|owing|due|overdue|lost|stolen|missing|stole|hacked|cloned|fraud|fraudulent|scam|scammed|compromised|decided|agreed|promised|planned|meant|forgot|forgotten|asked you|told you|said you|wasnt me|not mine|complained|yet|finished|broken|enough|lent|lend|loaned|borrowed|covered|fronted|chipped|said|mentioned|asking|asks|moving|moved out|wrong|unpaid|approved|confirmed|ready|over|too much|too expensive|changed|new) "
)


def told(
    words: tuple[str, ...], line: str, full: str, sentence: Sentence, clause: Clause, context: Kind | None, helped: bool
) -> Kind:
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if _IF.match(line):
        return (
            Kind.UNKNOWN
            if orders_within(words)
            or re.search(r" (?:do|make|get|handle|sort) (?:it|that|this|so|him|her|them) $", line)
            else Kind.TOLD
        )
    polite = re.sub(r" (?:please|pls|plz)(?= )", "", full)
    asks = WANTS.search(full) is not None
    orders = act_at(words, 0) is not None or (shows_only_with(first))
    if WANTS.search(polite) is None and _noun_phrase(words, line, full, sentence.asked):
        return Kind.ASKS
    if (
        not asks
        and not orders
        and (
            first in lists()["pronouns"]
            or first in lists()["determiners"]
            or (second not in lists()["determiners"] and _has_verb(words))
        )
    ):
        kind = _statement(words, line, full, sentence)
        if kind is not None:
            return kind
    if (
        orders
        and helped
        and context in (Kind.ASKS, Kind.FRAGMENT)
        and _bare(words)
        and clause.lead not in ("then", "and then")
    ):
        return Kind.ASKS
    if not asks and not orders and _fragment(words, listed=helped and sentence.asked):
        if (
            first in ("in", "by", "per", "since", "during", "until", "between", "excluding", "including")
            and context is None
            and len(words) <= 5
        ):
            return Kind.ASKS
        return Kind.FRAGMENT
    return Kind.UNKNOWN


def _has_verb(words: tuple[str, ...]) -> bool:
    if words[0] in lists()["present"] and words[0] not in ("can", "may", "is", "are"):
        return False
    return any(words[i] in lists()["present"] or _past(words, i) for i in range(1, min(4, len(words)))) or (
        _past(words, 0) and not act_at(words, 0)
    )


def _past(words: tuple[str, ...], i: int) -> bool:
    word = words[i]
    if word in lists()["same_past"]:
        return i > 0 and words[i - 1] in ("i", "we", "he", "she", "they", "it", "who")
    return word in lists()["past"] or (_regular(word) and not (i and words[i - 1] in lists()["determiners"]))


def _regular(word: str) -> bool:
    return (
        len(word) > 4
        and word.endswith("ed")
        and not word.endswith(("eed", "shred"))
        and word not in ("wanted", "needed", "required", "requested", "desired", "overdue")
    )


def _statement(words: tuple[str, ...], line: str, full: str, sentence: Sentence) -> Kind | None:
    finite = any(words[i] in lists()["present"] or _past(words, i) for i in range(len(words))) or words[0] in (
        "im",
        "its",
        "thats",
        "theres",
        "were",
        "hes",
        "shes",
        "theyre",
        "ive",
        "weve",
    )
    if not finite:
        return None
    you = re.search(r" (?:you|u) (?:can|could|should|must|may|will|would|have|need)\b| your (?:job|turn|task) ", line)
    if you:
        return None
    if sentence.asked:
        return Kind.ASKS
    hints = (
        _HINTS.search(full) is not None
        or re.search(
            r" (?:not|never|no|didnt|havent|hasnt|wasnt|isnt|dont|doesnt|arent|cant|wont|hadnt|couldnt) ", full
        )
        is not None
    )
    told = any(_past(words, i) for i in range(len(words)))
    now: object = re.search(
        r" (?:id|ill|wed|would|could|should|if|might|is|are|am|im|has|have|keeps?|its|thats|theres|wont|will|ill|can|get|going|do|does|thinking|about to) ",
        full,
    )
    perfect = re.search(
        r" (?:has|have|ive|weve|hes|shes) (?:just |already |now |also |all )?(?:been|paid|sent|\w+ed|bought|sold|got|made|done|spent|moved|left|taken)\b",
        full,
    )
    now = now or any(
        w in lists()["present"]
        and w not in ("have", "has", "work", "live", "use", "like", "may")
        and words[i] not in lists()["determiners"]
        for i, w in enumerate(words[1:])
    )
    if told and not hints and (not now or perfect):
        return Kind.REPORT
    return Kind.TOLD


def _noun_phrase(words: tuple[str, ...], line: str, full: str, sentence_asked: bool) -> bool:
    """What one calls up by its name: "total spent on groceries in May", "transfers over 100", "Uber this year"."""
    first = words[0]
    second, third = (*words[1:3], "", "")[:2]
    if any(
        is_amount(w)
        and (not i or words[i - 1] not in (lists()["licence"] | lists()["bounds"]))
        and not (
            i + 1 < len(words)
            and words[i + 1] in lists()["counted"] | lists()["periods"] | lists()["adjectives"] | lists()["ledger"]
        )
        and not (i and words[i - 1] in lists()["periods"])
        for i, w in enumerate(words)
    ):
        return False
    if re.search(
        r" (?:me|him|them|it|us|you|u|asap|tomorrow|tonight|now on|instead|should|goes|over to|please to) ", line
    ) or (
        words[-1] in ("now", "today", "tonight")
        and not (first in lists()["ledger"] or first in lists()["adjectives"] or second in ("worth", "balance"))
    ):
        return False
    if not sentence_asked and re.search(
        r"^ (?:a|an|another|one|(?:the |my )?(?:usual|same)) (?:[\w-]+ ){0,2}(?:payment|transfer|wire|refund|donation|withdrawal|deposit|cancellation|amount|sum) |^ (?:(?:the|my|our|his|her|their) )?(?:share|rest|remainder|balance|difference|rent|money|half|bill|salary|bonus|refund|payment|transfer|deposit|amount|sum) (?:[^ ]+ ){0,6}to (?!date|income|savings ratio)",
        line,
    ):
        return False
    if re.search(
        r"^ (?:a |an |the |my |immediate |urgent )*(?:\w+ )?(?:payment|transfer|wire|refund|donation|withdrawal|deposit|cancellation|remittance|bill|rent|invoice) ",
        line,
    ) and re.search(r" (?:please|pls|plz|now|today|of \d+) ", full):
        return False
    if any(
        w in lists()["finite"]
        and words[i] not in ("i", "we", "they", "you", "that", "which", "who", "ive", "he", "she")
        for i, w in enumerate(words[1:])
    ):
        return False
    if (first in lists()["ledger"] and second in lists()["owned"]) or (shows_only_with(first)):
        return False
    named = any(w in lists()["ledger"] for w in words)
    timed = re.search(
        r" (?:this|last|past|previous|each|per|every) (?:\w+ )?(?:year|month|week|quarter|day|weekend|\w+day|summer|winter|spring|autumn|christmas|\d+ \w+|few \w+|january|february|march|april|may|june|july|august|september|october|november|december)s? | (?:199\d|20[0-4]\d) (?:$|[a-z]+ (?:to|vs|and|versus) )| (?:in|since|vs|versus|and|to|for|from|by) (?:199\d|20[0-4]\d) | (?:in|since|during|until|from|before|for) (?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec|q[1-4]|20\d\d|spring|summer|autumn|winter|the last|the past|yesterday) | (?:ytd|lately|recently|so far|yesterday|year to date|all time|in total|on average|vs|versus) ",
        line,
    )
    compared = re.search(
        r" (?:vs|versus|compared (?:to|with)|minus|by (?:month|category|week|year|merchant|day|payee|quarter)|[<>]) ",
        line,
    )
    if first in ("same", "usual") and "to" in words:
        return False
    most = re.search(
        r" (?:biggest|largest|highest|smallest|lowest|cheapest|priciest|greatest|most \w+|least \w+) ", line
    )
    if not (named or timed or compared or most):
        return False
    if first in lists()["ledger"] and not (act_at(words, 0) and not _nominal(words)):
        return True
    if first in lists()["adjectives"] or first in lists()["determiners"] or first in lists()["periods"]:
        return first not in ("no",) and not (first in ("another", "one") and not timed)
    if first in lists()["prepositions"] or re.fullmatch(r"\d{1,4}", first):
        return False
    if _past(words, 0):
        return True
    if acts(first) or (first.endswith("ing") and acts(first.removesuffix("ing")) and second not in lists()["figures"]):
        return _nominal(words)
    if second in lists()["determiners"] or second in ("that", "those", "these"):
        return False
    if second in ("this", "last", "next", "past") and (
        not timed or (third in ("years", "months", "weeks", "quarters"))
    ):
        return False
    near = next((i for i, w in enumerate(words) if w in lists()["ledger"]), None)
    return (near is not None and near <= 3) or (bool(timed or compared) and len(words) <= 8)


def _nominal(words: tuple[str, ...]) -> bool:
    """A word that is also a verb, as part of a name: "wire transfers in May", "transfer history"."""
    first, second, third = (*words, "", "")[:3]
    if first == "pay":
        return second in (
            "from",
            "stub",
            "stubs",
            "slip",
            "slips",
            "rise",
            "raise",
            "day",
            "period",
            "history",
            "per",
            "in",
            "this",
            "last",
        ) and third not in ("my", "the", "savings")
    if first not in lists()["names"]:
        return False
    given = "to" in words
    if given and first in ("email", "e-mail", "text", "mail", "message", "share", "report", "phone", "call", "post"):
        return False
    figures = second in lists()["figures"] or (third in lists()["figures"] and second not in lists()["determiners"])
    return figures or (
        not given
        and second in ("last", "this", "since", "in", "vs", "per", "list", "by", "history")
        and third not in ("my", "the", "full")
    )


def _bare(words: tuple[str, ...]) -> bool:
    """A verb without an object: one more of those that the question before it has listed."""
    if words[0] in ("get", "do", "make", "take", "put") or any(is_amount(w) for w in words):
        return False
    second, third = (*words[1:3], "", "")[:2]
    timed = second in ("last", "this", "most", "more", "any") and len(words) <= 4
    placed = second in _PLACES and third not in lists()["determiners"]
    return len(words) == 1 or second in lists()["periods"] or timed or placed


_PLACES: Final = frozenset("in on at from for during since per".split())


def _fragment(words: tuple[str, ...], *, listed: bool) -> bool:
    """What may stand beside a question as a part of it: names, places, times; nothing that looks like an order."""
    if len(words) > 8 or any(
        is_amount(w)
        and (not i or words[i - 1] not in (lists()["licence"] | lists()["bounds"] | lists()["periods"]))
        and not (i + 1 < len(words) and words[i + 1] in lists()["counted"] | lists()["periods"])
        for i, w in enumerate(words)
    ):
        return False
    if not all(w.isascii() for w in words):
        return False
    closed = (
        words[0] in lists()["prepositions"]
        or words[0] in lists()["determiners"]
        or words[0] in lists()["adjectives"]
        or words[0] in lists()["ledger"]
        or words[0] in lists()["periods"]
        or words[0].endswith("ing")
    )
    if any(acts(w) for w in words[1:]) and not closed:
        return False
    if len(words) > 1 and words[0] in lists()["ledger"] | lists()["adjectives"] and words[1] in lists()["owned"]:
        return False
    if len(words) > 1 and words[1] in ("me", "him", "her", "them", "it", "us"):
        return False
    if closed:
        return True
    return len(words) == 1 or (
        (len(words) <= 3 or "or" in words or listed)
        and not any(foreign_act(w) for w in words)
        and words[1] not in lists()["determiners"]
        and words[1] not in ("that", "this", "those", "these")
    )
