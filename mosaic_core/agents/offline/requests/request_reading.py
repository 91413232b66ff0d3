"""From a message to what it asks to be done, as typed values: five kinds of requests, and nothing else. Pure.

Only the message itself is read, never a merchant's name, a note or what was said before. A message that asks a question
is no request. What is said of rows ("the Chevron charge on 3 May") stays words here; `selection` finds the rows. The
frames are in ``lexicon/requests.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from mosaic_core.agents.offline import lexicon
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


# --------------------------------------------------------------------------------------------------------------- frames

_FRAMES: Final = lexicon.load("requests")


def _frame(name: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    written = lexicon.patterns(_FRAMES[name]["patterns"], _FRAMES["names"])
    return re.compile("|".join(f"(?:{pattern})" for pattern, _ in written), re.IGNORECASE | flags)


def _named_patterns(name: str) -> dict[str, str]:
    """The patterns of a list, by their names."""
    return {
        key: pattern
        for key, block in _FRAMES[name].items()
        for pattern, _ in lexicon.patterns(block.lstrip("\n"), _FRAMES["names"])
    }


# ------------------------------------------------------------------------------------------------------------- wrapping

_LEADS: Final = _frame("leads")
_TAIL: Final = _frame("tail")
_COURTESY: Final = _frame("courtesy")
_ASKS: Final = _frame("asks")


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

_NOTE: Final = _frame("note")
_BUDGET: Final = _frame("budget")
_DRAFT: Final = _frame("draft")
_ADDRESSED: Final = _frame("addressed")
_WISH: Final = _frame("wish", re.DOTALL)


def _free(bare: str) -> Request | None:
    """A note or a message: whatever follows is its text, whatever that looks like."""
    draft = _DRAFT.match(bare)
    if draft is not None:
        return _draft(draft["kind"].casefold(), draft["rest"].rstrip())
    note = _NOTE.match(bare) or _BUDGET.match(bare)
    return Note(text=note["text"].strip()) if note is not None else None


def _draft(kind: str, rest: str) -> Draft:
    channel: Channel = "text" if kind.startswith(("text", "sms")) else "letter" if kind == "letter" else "email"
    parts = _ADDRESSED.match(rest)
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
        wish = _WISH.match(body)
        body = f"please {wish['wish']}" if wish else f"I would like to ask {body}"
    return body[0].upper() + body[1:] + ("" if body[-1] in ".!?" else ".")


# ------------------------------------------------------------------------------------------------------------ findings

KINDS: Final = tuple(_named_patterns("kinds").items())
"""What people call the sweep's kinds of findings. A name may stand for several of them."""

_SIGNAL_ID: Final = _frame("signal")
_ABOUT_FINDING: Final = (_frame("about"), *(re.compile(rf"\b(?:{of})\b", re.IGNORECASE) for _, of in KINDS))
_DISMISS: Final = _frame("dismiss")
_KNOWN: Final = _frame("known")


def _dismissal(clause: str) -> Dismiss | None:
    order = _DISMISS.match(clause)
    match = order or _KNOWN.match(clause)
    if match is None:
        return None
    what = match["what"].strip()
    signal = _SIGNAL_ID.search(what)
    if signal is not None:
        return Dismiss(what=what, signal_id=signal["id"].replace("-", "").casefold())
    about = any(pattern.search(what) for pattern in _ABOUT_FINDING)
    return Dismiss(what=what) if about or (order is not None and order["verb"].casefold() == "dismiss") else None


# --------------------------------------------------------------------------------------------------------- recurrences

_CADENCES: Final = {name: re.compile(rf"\b(?:{of})\b") for name, of in _named_patterns("cadences").items()}
_KEPT: Final[Mapping[str, Cadence]] = {name: name for name in get_args(Cadence.__value__)}
_RECURS: Final = _frame("recurs")
_AROUND: Final = _frame("around")
_MARK: Final = _frame("mark")
_LINKS: Final = {name: re.compile(of, re.IGNORECASE) for name, of in _named_patterns("links").items()}


def _recurring(clause: str) -> MarkRecurring | None:
    order = _MARK.match(clause)
    if order is not None:
        for between in ("marked", "ended"):
            for what, target in _splits(order["rest"], between):
                found = _recurrence(target)
                if found is not None:
                    return MarkRecurring(what=what, cadence=found[0], unknown=found[1])
        return None
    for what, target in _splits(clause, "recurring"):
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
    for name, pattern in _CADENCES.items():
        match = pattern.search(text)
        if match is not None:
            cadence, said = _KEPT.get(name), True
            unknown = "" if cadence else match.group()
            text = text.replace(match.group(), " ", 1)
            break
    rest, recurs = _RECURS.subn(" ", text)
    if not (said or recurs) or _AROUND.sub(" ", rest).strip(" .,'\""):
        return None
    return cadence, unknown


# ---------------------------------------------------------------------------------------------------------- categories

_FILE: Final = _frame("file")
_CHANGE: Final = _frame("change")
_LONGEST_LINK: Final = 40


def _category(clause: str) -> Recategorise | None:
    change = _CHANGE.match(clause)
    if change is not None:
        return _filed(change["what"] or change["owner"], change["target"])
    order = _FILE.match(clause)
    if order is not None:
        splits = list(_splits(order["rest"], "filed"))
        for what, target in splits:
            if categories.named(target):
                return _filed(what, target)
        # "mark it as done" is about something else; "categorise" and "under" are about categories
        sure = order["sure"] is not None
        rest = order["rest"]
        about = sure or re.search(r"\bcategory\b", rest, re.IGNORECASE) is not None
        for what, target in reversed(splits):
            before = rest[: -len(target)] if rest.endswith(target) else ""
            if about or re.search(r"\bunder\s+$", before[-_LONGEST_LINK:], re.IGNORECASE):
                return _filed(what, target)
        return _filed(order["rest"], "") if sure else None
    for what, target in _splits(clause, "stated"):
        if categories.named(target):
            return Recategorise(what=what, target=target, categories=categories.named(target), stated=True)
    return None


def _filed(what: str, target: str) -> Recategorise:
    for what_alone, old in _splits(what, "moved"):
        if categories.named(old):
            what = what_alone
            break
    return Recategorise(what=what, target=target, categories=categories.named(target))


def _splits(text: str, link: str) -> Iterator[tuple[str, str]]:
    """What stands before and after each of the links of that name, the last one first."""
    matches: Sequence[re.Match[str]] = list(_LINKS[link].finditer(text))
    for match in reversed(matches):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        if before and after:
            yield before, after
