"""From a message to what it asks to be done, as typed values: five kinds of requests, and nothing else. Pure.

Only the message itself is read, never a merchant's name, a note or what was said before. A message that asks a question
is no request. What is said of rows ("the Chevron charge on 3 May") stays words here; `selection` finds the rows.
"""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.policy import normalise
from mosaic_core.domain.policy.actions import Cadence, Channel
from mosaic_core.ledger.categories import names as categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Recategorise:
    """``categories`` go by the name that was said: none is an unknown one. ``stated``: said as a fact and not as an
    order, so that it is a request only where it is about rows that are there."""

    what: str
    target: str
    categories: frozenset[str]
    stated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRecurring:
    """``cadence`` is None where none was said; ``unknown`` is one that cannot be kept, in the person's words."""

    what: str
    cadence: Cadence | None
    unknown: str = ""
    stated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismiss:
    """``signal_id`` is empty where the finding is only described."""

    what: str
    signal_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """``recipient`` and ``body`` are empty where they were not said."""

    recipient: str
    body: str
    channel: Channel
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Requests and something else in one message."""


type Request = Recategorise | MarkRecurring | Dismiss | Note | Draft
MOST: Final = 5
"""Requests of one message; more are asked back."""


def read(message: str) -> list[Request] | Mixed | None:
    """What the message asks to be done; None where it asks for nothing of the kind. Never raises."""
    text = re.sub(r"[’‘`´]", "'", re.sub(r"[“”«»]", '"', normalise(message)))
    whole = _free(_bare(text))
    if whole is not None:
        return [whole]
    parts = [part for part in re.split(r"(?<=[.!?;])\s+|\s*;\s*", text) if not _COURTESY.fullmatch(part.strip())]
    if len(parts) > 1:
        requests = [_read(part) for part in parts]
        found = [request for request in requests if request is not None]
        if len(found) == len(parts):
            return found if len(found) <= MOST else Mixed()
        if any(not _stated(request) for request in found):
            return Mixed()
    one = _read(text)
    return [one] if one is not None else None


def is_free(requests: Sequence[Request]) -> bool:
    """Whether it is a note or a message, whose text may say anything."""
    return all(isinstance(request, Note | Draft) for request in requests)


def _stated(request: Request) -> bool:
    return isinstance(request, Recategorise | MarkRecurring) and request.stated


# ------------------------------------------------------------------------------------------------------------- wrapping

_LEADS: Final = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|so|well|and|also|then|now|please|pls|just|kindly|actually|mosaic|thanks)\b[\s,!:]*"
    r"|(?P<asked>(?:can|could|would|will) (?:you|we)\b(?: please)?\s*)"
    r"|(?:i|we)(?:'d| would)? (?:want|like|need|prefer)(?: you)? to\b\s*|let'?s\b\s*|go ahead and\b\s*)",
    re.IGNORECASE,
)
_FINE: Final = r"(?:fine|ok(?:ay)?|ours|mine|us|me|expected|correct|right|known|legit\w*|normal|on purpose|intended|intentional|a (?:false alarm|mistake)|all right|alright)"
_TAIL: Final = re.compile(
    rf"(?<![\s,.;!–-])[\s,.;!–-]+(?:please|thanks|thank you|(?:that|it|this|they)(?:'s| is|'re| are| was| were)? (?:all )?{_FINE}|from now on|in (?:the )?future|going forward|always|ok(?:ay)?)[\s.!]*$",
    re.IGNORECASE,
)
_COURTESY: Final = re.compile(
    rf"(?:please|thanks|thank you|cheers|(?:that|it|this|they)(?:'s| is|'re| are| was| were) (?:all )?{_FINE}|ok(?:ay)?|hi|hello|hey)?[\s.,!]*",
    re.IGNORECASE,
)
_ASKS: Final = re.compile(
    r"^(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|am|do|does|did|has|have|had|should|may|might|can|could|would|will|shall|any|tell|show|list|find|give|compare|explain)\b",
    re.IGNORECASE,
)


def _bare(text: str) -> str:
    """The text without greetings, polite openings and closings; empty where it asks a question."""
    asked = False
    for _ in range(8):
        match = _LEADS.match(text)
        if match is None or not match.end():
            break
        asked = asked or match["asked"] is not None
        text = text[match.end() :]
    if _ASKS.match(text) or (text.rstrip(" .!\"'").endswith("?") and not asked):
        return ""
    return text.strip(" ?\t") if asked else text.strip()


def _trimmed(text: str) -> str:
    for _ in range(4):
        shorter = _TAIL.sub("", text)
        if shorter == text:
            break
        text = shorter
    return text.strip(" .!;,")


def _read(text: str) -> Request | None:
    bare = _bare(text)
    free = _free(bare)
    if free is not None or not bare:
        return free
    clause = _trimmed(bare)
    return _dismissal(clause) or _recurring(clause) or _category(clause)


# ------------------------------------------------------------------------------------------------- notes and messages

_NOTE: Final = re.compile(
    r"^(?:(?:budget )?note(?: down)?(?:\s*:|\s+that\b|\s+to self\s*:?)|(?:add|make|keep|write(?: down)?|take|save|leave|record)(?: me)? (?:an?|this|the) (?:budget )?note(?:\s*:|\s+that(?: says)?\b|\s+saying(?: that)?\b)"
    r"|remember(?:\s*:|\s+that\b|(?=\s+(?:my|our|the) .*budget\b)))\s*(?P<text>.+)$",
    re.IGNORECASE,
)
_BUDGET: Final = re.compile(
    r"^(?:(?:set|make|keep|put|create|plan|fix|add|have)(?: up)?\s+)?(?P<text>(?:(?:an?|the|my|our|this|next)\s+)?(?:[\w&'-]+\s+){0,4}?budget\b(?=.*\d).*(?:\b(?:is|of|for|to|at|should be)\b|[:=]|\d).*)$",
    re.IGNORECASE,
)
_DRAFT: Final = re.compile(
    r"^(?:draft|compose|prepare|write)(?: up| out)?(?: me| us)?(?: an?| the| my| our| some)?(?: (?:short|polite|friendly|quick|brief|formal|nice|firm))* (?P<kind>e-?mail|text(?: message)?|sms|letter|message|note|reply)\b(?P<rest>.*)$",
    re.IGNORECASE,
)
_TO: Final = re.compile(
    r"^(?:\s+(?:to|for)\s+(?P<to>.+?))?(?:\s+(?:about|regarding)\s+(?P<subject>.+?))?"
    r"(?:(?:(?<![\s,])[\s,]+(?P<link>saying|that says|which says|to say|stating|explaining|reading|(?:telling|to tell|informing)(?: (?:him|her|them|it))?|letting (?:him|her|them) know|asking(?: (?:him|her|them))?|to ask(?: (?:him|her|them))?)(?: that)?\b\s*:?|\s*:|\s+-)\s*(?P<body>.+))?$",
    re.IGNORECASE,
)


def _free(bare: str) -> Request | None:
    """A note or a message: whatever follows is its text, whatever that looks like."""
    draft = _DRAFT.match(bare)
    if draft is not None:
        return _draft(draft["kind"].casefold(), draft["rest"].rstrip())
    note = _NOTE.match(bare) or _BUDGET.match(bare)
    return Note(text=note["text"].strip()) if note is not None else None


def _draft(kind: str, rest: str) -> Draft:
    channel: Channel = "text" if kind.startswith(("text", "sms")) else "letter" if kind == "letter" else "email"
    parts = _TO.match(rest)
    if parts is None:
        return Draft(recipient="", body="", channel=channel)
    return Draft(
        recipient=(parts["to"] or "").strip(" ,."),
        body=_said((parts["link"] or "").casefold(), (parts["body"] or "").strip(' "')),
        channel=channel,
        subject=(parts["subject"] or "").strip(" ,."),
    )


def _said(link: str, body: str) -> str:
    """The words that were given, as sentences. Nothing is added to them but what turns a reported question into one."""
    if not body:
        return ""
    if "ask" in link:
        wish = re.match(r"^to (.+)$", body, re.IGNORECASE | re.DOTALL)
        body = f"please {wish[1]}" if wish else f"I would like to ask {body}"
    return body[0].upper() + body[1:] + ("" if body[-1] in ".!?" else ".")


# ------------------------------------------------------------------------------------------------------------ findings

_SIGNAL_ID: Final = re.compile(
    r"(?<![0-9a-z-])([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-z-])", re.IGNORECASE
)
_FINDING: Final = r"(?:findings?|signals?|alerts?|warnings?|anomal(?:y|ies)|flags?|notifications?)"
KINDS: Final = (
    ("duplicate_charge", r"duplicates?(?: charges?| payments?| transactions?)?|double(?:d)? charges?|charged twice|double payments?"),
    ("price_rise", r"price (?:rises?|increases?|hikes?|changes?)|(?:rise|increase) in price|went up"),
    ("missed_income", r"(?:missed|missing|absent|late) (?:income|pay ?checks?|salar(?:y|ies)|pay|wages?|deposits?)"),
    ("missed_bill", r"(?:missed|missing|absent|late) (?:bills?|payments?|rent|subscriptions?)"),
    ("new_recurring", r"new (?:recurring|subscriptions?|monthly|regular)(?: charges?| payments?)?"),
    ("card_testing", r"card[- ]testing|test charges?|tiny charges?|small charges?"),
    ("first_time_large", r"first[- ]time(?: large)?(?: charges?| purchases?)?|first (?:charges?|purchases?)|new merchants?|large (?:charges?|purchases?)"),
    ("amount_outlier", r"(?:unusual(?:ly)?|outlier|unusually (?:large|high)|large|high|big) (?:charges?|amounts?|purchases?|payments?)|amount outliers?|outliers?"),
)  # fmt: skip
"""What people call the sweep's kinds of findings. A name may stand for several of them."""

_ABOUT_FINDING: Final = re.compile(rf"\b(?:{_FINDING}|{'|'.join(pattern for _, pattern in KINDS)})\b", re.IGNORECASE)
_DISMISS: Final = re.compile(
    r"^(?P<verb>dismiss|ignore|disregard|clear|close|resolve|false alarm)\b[\s:,-]*(?P<what>.*)$", re.IGNORECASE
)
_IS_FINE: Final = re.compile(rf"^(?P<what>.+?) (?:is|are|was|were) (?:all )?{_FINE}$", re.IGNORECASE)


def _dismissal(clause: str) -> Dismiss | None:
    order = _DISMISS.match(clause)
    match = order or _IS_FINE.match(clause)
    if match is None:
        return None
    what = match["what"].strip()
    signal = _SIGNAL_ID.search(what)
    if signal is not None:
        return Dismiss(what=what, signal_id=signal[1].replace("-", "").casefold())
    about = _ABOUT_FINDING.search(what) is not None
    return Dismiss(what=what) if about or (order is not None and order["verb"].casefold() == "dismiss") else None


# --------------------------------------------------------------------------------------------------------- recurrences

_CADENCES: Final[tuple[tuple[Cadence | None, str], ...]] = (
    (None, r"(?:every|each) (?:six|6|four|4|two|2|other|second) (?:months?|years?)|twice an? (?:month|week|year)|semi-?\w+|half-?yearly|bi-?monthly|bi-?annual(?:ly)?|(?:every|each) (?:four|4|three|3) weeks?|daily|(?:every|each) day"),
    ("biweekly", r"bi-?weekly|fortnightly|(?:every|each) (?:two|2|other|second) weeks?"),
    ("quarterly", r"quarterly|(?:every|each|once a|a|per) quarter|(?:every|each) (?:three|3) months?"),
    ("weekly", r"weekly|(?:every|each|once a|a|per) week"),
    ("monthly", r"monthly|(?:every|each|once a|a|per) month"),
    ("yearly", r"yearly|annual(?:ly)?|(?:every|each|once a|a|per) year"),
)  # fmt: skip
_RECURS: Final = (
    r"recurring|recurs|recur|repeating|repeats|regular|subscriptions?|standing orders?|direct debits?|memberships?"
)
_AROUND_RECURRENCE: Final = re.compile(
    r"\b(?:an?|the|my|our|paid|billed|charged|due|comes?|being|as|one|charge|payment|bill|expense|cost|income|transaction|deposit|recurrence)\b"
)
_MARK: Final = re.compile(
    r"^(?:mark|flag|tag|label|treat|count|set|note|record|categori[sz]e|classify|make|book|see)\s+(?P<rest>.+)$",
    re.IGNORECASE,
)


def _recurring(clause: str) -> MarkRecurring | None:
    order = _MARK.match(clause)
    if order is not None:
        for between in (r"\s+(?:as|to be|to)\s+", r"\s+(?=\S+$)"):
            for what, target in _splits(order["rest"], between):
                found = _recurrence(target)
                if found is not None:
                    return MarkRecurring(what=what, cadence=found[0], unknown=found[1])
        return None
    for what, target in _splits(clause, r"\s+(?:is|are|was)\s+|\s+(?=(?:recurs|repeats)\b)"):
        found = _recurrence(target)
        if found is not None:
            return MarkRecurring(what=what, cadence=found[0], unknown=found[1], stated=True)
    return None


def _recurrence(target: str) -> tuple[Cadence | None, str] | None:
    """The cadence that a text says and nothing else, and the words of one that cannot be kept; None for other texts."""
    if len(target) > categories.LONGEST_NAMED:
        return None
    text = target.casefold()
    cadence: Cadence | None = None
    unknown, said = "", False
    for name, pattern in _CADENCES:
        match = re.search(rf"\b(?:{pattern})\b", text)
        if match is not None:
            cadence, unknown, said = name, "" if name else match.group(), True
            text = text.replace(match.group(), " ", 1)
            break
    rest, recurs = re.subn(rf"\b(?:{_RECURS})\b", " ", text)
    if not (said or recurs) or _AROUND_RECURRENCE.sub(" ", rest).strip(" .,'\""):
        return None
    return cadence, unknown


# ---------------------------------------------------------------------------------------------------------- categories

_SURE_FILING: Final = r"(?:re-?)?(?:categori[sz]e|classify)"
_FILE: Final = re.compile(
    rf"^(?P<verb>{_SURE_FILING}|file|label|tag|move|put|mark|count|treat|set|book|assign|sort)\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
_CHANGE: Final = re.compile(
    r"^(?:change|set|switch|correct|fix|update|make)\s+(?:(?:the |its |their )?categor(?:y|ies) (?:of|for|on) (?P<what>.+?)|(?P<owner>.+?)(?:'s)? categor(?:y|ies))\s+(?:to|as|into)\s+(?P<target>.+)$",
    re.IGNORECASE,
)
_STATED: Final = r"\s+(?:is|are|was|were|should(?: really| actually)? (?:be|go|count|have been)|counts?|belongs?|goes|falls)(?: (?:really|actually|always|just))?(?:\s+(?:as|in|under|to|into|with))?\s+"


_LONGEST_LINK: Final = 40


def _category(clause: str) -> Recategorise | None:
    change = _CHANGE.match(clause)
    if change is not None:
        return _filed(change["what"] or change["owner"], change["target"])
    order = _FILE.match(clause)
    if order is not None:
        splits = list(_splits(order["rest"], r"\s+(?:as|under|into|in|to|with)\s+"))
        for what, target in splits:
            if categories.named(target):
                return _filed(what, target)
        # "mark it as done" is about something else; "categorise" and "under" are about categories
        sure = re.fullmatch(_SURE_FILING, order["verb"], re.IGNORECASE) is not None
        rest = order["rest"]
        about = sure or re.search(r"\bcategory\b", rest, re.IGNORECASE) is not None
        for what, target in reversed(splits):
            before = rest[: -len(target)] if rest.endswith(target) else ""
            if about or re.search(r"\bunder\s+$", before[-_LONGEST_LINK:], re.IGNORECASE):
                return _filed(what, target)
        return _filed(order["rest"], "") if sure else None
    for what, target in _splits(clause, _STATED):
        if categories.named(target):
            return Recategorise(what=what, target=target, categories=categories.named(target), stated=True)
    return None


def _filed(what: str, target: str) -> Recategorise:
    for what_alone, old in _splits(what, r"\s+from\s+"):
        if categories.named(old):
            what = what_alone
            break
    return Recategorise(what=what, target=target, categories=categories.named(target))


def _splits(text: str, between: str) -> Iterator[tuple[str, str]]:
    """What stands before and after each of ``between``, the last one first."""
    matches: Sequence[re.Match[str]] = list(re.finditer(between, text, re.IGNORECASE))
    for match in reversed(matches):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        if before and after:
            yield before, after
