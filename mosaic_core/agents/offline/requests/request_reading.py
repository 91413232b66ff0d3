"""From a message to what it asks to be done: five kinds of requests, and nothing else. Pure.

Only the message itself is read, never a merchant's name, a note or what was said before. A message that asks a question
is no request. What is said of rows ("the Chevron charge on 3 May") stays words here; `selection` finds the rows. The
frames are in ``lexicon/requests.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mosaic_core.agents.offline import lexicon
from mosaic_core.domain.text import normalise
from mosaic_core.ledger.categories import names as categories


@dataclass(frozen=True, slots=True)
class Request:
    """An action of the policy by its name, and the words that were said for it, each by what it is:

    - ``recategorise``: ``what`` rows, ``target``, a category's name;
    - ``mark_recurring``: ``what`` rows, ``cadence``: none, one that can be kept, or one in the person's words;
    - ``dismiss_signal``: ``what`` finding, its ``id`` if it was said;
    - ``budget_note``: the ``text``;
    - ``draft_message``: ``to``, ``subject`` and ``body``, empty where they were not said, and the ``channel``.

    ``stated``: said as a fact and not as an order, so that it is a request only where it is about rows that are there.
    """

    action: str
    said: Mapping[str, str]
    stated: bool = False


MOST: Final = 5
"""Requests of one message; more are asked back."""
_FREE: Final = frozenset(("budget_note", "draft_message"))


def read(message: str) -> list[Request] | None:
    """What the message asks to be done; nothing where it asks for nothing of the kind, None where it asks for more than
    `MOST` things or for something else besides. Never raises."""
    text = re.sub(r"[’‘`´]", "'", re.sub(r"[“”«»]", '"', normalise(message)))
    whole = _free(_bare(text))
    if whole is not None:
        return [whole]
    parts = [part for part in re.split(r"(?<=[.!?;])\s+|\s*;\s*", text) if not _COURTESY.fullmatch(part.strip())]
    if len(parts) > 1:
        found = [request for part in parts if (request := _read(part)) is not None]
        if len(found) == len(parts):
            return found if len(found) <= MOST else None
        if not all(request.stated for request in found):
            return None
    one = _read(text)
    return [one] if one is not None else []


def is_free(requests: Sequence[Request]) -> bool:
    """Whether it is a note or a message, whose text may say anything."""
    return all(request.action in _FREE for request in requests)


# --------------------------------------------------------------------------------------------------------------- frames

_FILE: Final = lexicon.load("requests")


def frames(name: str, end: str = "") -> dict[str, re.Pattern[str]]:
    """The patterns of a list of the file, by their names there; with what is at both ends of each."""
    found = {}
    for key, block in _FILE[name].items():
        written = "|".join(f"(?:{pattern})" for pattern, _ in lexicon.patterns(block.lstrip("\n"), _FILE["names"]))
        found[key] = re.compile(f"{end}(?:{written}){end}", re.IGNORECASE | re.DOTALL)
    return found


def frame(name: str) -> re.Pattern[str]:
    """A list of the file whose patterns have no names."""
    return frames(name)["patterns"]


_LEADS, _TAIL, _COURTESY, _ASKS = map(frame, ("leads", "tail", "courtesy", "asks"))
_NOTE, _BUDGET, _DRAFT, _WISH = map(frame, ("note", "budget", "draft", "wish"))
_SIGNAL, _ABOUT, _DISMISS, _KNOWN = map(frame, ("signal", "about", "dismiss", "known"))
_MARK, _RECURS, _AROUND, _FILED, _CHANGE = map(frame, ("mark", "recurs", "around", "file", "change"))
KINDS: Final = frames("kinds", r"\b")
"""What people call the sweep's kinds of findings. A name may stand for several of them."""
_CADENCES, _LINKS = frames("cadences", r"\b"), frames("links")


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


def _read(text: str) -> Request | None:
    bare = _bare(text)
    free = _free(bare)
    if free is not None or not bare:
        return free
    for _ in range(4):
        bare = _TAIL.sub("", bare)
    clause = bare.strip(" .!;,")
    return _dismissal(clause) or _recurring(clause) or _category(clause)


def _free(bare: str) -> Request | None:
    """A note or a message: whatever follows is its text, whatever that looks like."""
    draft = _DRAFT.match(bare)
    if draft is not None:
        kind = draft["kind"].casefold()
        channel = "text" if kind.startswith(("text", "sms")) else "letter" if kind == "letter" else "email"
        body = _sentence((draft["link"] or "").casefold(), (draft["body"] or "").strip(' "'))
        to, subject = ((draft[name] or "").strip(" ,.") for name in ("to", "subject"))
        return Request("draft_message", {"to": to, "subject": subject, "body": body, "channel": channel})
    note = _NOTE.match(bare) or _BUDGET.match(bare)
    return Request("budget_note", {"text": note["text"].strip()}) if note is not None else None


def _sentence(link: str, body: str) -> str:
    """The words that were given, as sentences. Nothing is added to them but what turns a reported question into one."""
    if not body:
        return ""
    if "ask" in link:
        wish = _WISH.match(body)
        body = f"please {wish['wish']}" if wish else f"I would like to ask {body}"
    return body[0].upper() + body[1:] + ("" if body[-1] in ".!?" else ".")


def _dismissal(clause: str) -> Request | None:
    order = _DISMISS.match(clause)
    match = order or _KNOWN.match(clause)
    if match is None:
        return None
    what = match["what"].strip()
    signal = _SIGNAL.search(what)
    if signal is not None:
        return Request("dismiss_signal", {"what": what, "id": signal["id"].replace("-", "").casefold()})
    about = _ABOUT.search(what) or any(kind.search(what) for kind in KINDS.values())
    by_name = order is not None and order["verb"].casefold() == "dismiss"
    return Request("dismiss_signal", {"what": what, "id": ""}) if about or by_name else None


# ---------------------------------------------------------------------------------------------------- rows, and of what


def _splits(text: str, link: str) -> Iterator[tuple[str, str, str]]:
    """What stands before, in and after each of the links of that name, the last one first."""
    for match in reversed([*_LINKS[link].finditer(text)]):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        if before and after:
            yield before, match.group(), after


def _recurring(clause: str) -> Request | None:
    order = _MARK.match(clause)
    for link in ("recurring",) if order is None else ("marked", "ended"):
        for what, _, target in _splits(clause if order is None else order["rest"], link):
            cadence = _cadence(target)
            if cadence is not None:
                return Request("mark_recurring", {"what": what, "cadence": cadence}, stated=order is None)
    return None


def _cadence(target: str) -> str | None:
    """The cadence that a text says and nothing else: its name, or the words of one that cannot be kept; empty where it
    only says that something comes again. None for other texts."""
    if len(target) > categories.LONGEST_NAMED:
        return None
    text, cadence = target.casefold(), ""
    for name, pattern in _CADENCES.items():
        match = pattern.search(text)
        if match is not None:
            cadence = match.group() if name == "unknown" else name
            text = text.replace(match.group(), " ", 1)
            break
    rest, recurs = _RECURS.subn(" ", text)
    if not (cadence or recurs) or _AROUND.sub(" ", rest).strip(" .,'\""):
        return None
    return cadence


def _category(clause: str) -> Request | None:
    change = _CHANGE.match(clause)
    if change is not None:
        return _filed(change["what"] or change["owner"], change["target"])
    order = _FILED.match(clause)
    splits = [*_splits(clause, "stated")] if order is None else [*_splits(order["rest"], "filed")]
    for what, _, target in splits:
        if categories.named(target):
            return _filed(what, target, stated=order is None)
    if order is None:
        return None
    # "mark it as done" is about something else; "categorise" and "under" are about categories
    sure = order["sure"] is not None
    about = sure or re.search(r"\bcategory\b", order["rest"], re.IGNORECASE) is not None
    unknown = [(what, target) for what, link, target in splits if about or link.strip().casefold() == "under"]
    if unknown:
        return _filed(*unknown[-1])
    return _filed(order["rest"], "") if sure else None


def _filed(what: str, target: str, *, stated: bool = False) -> Request:
    moved = next((before for before, _, old in _splits(what, "moved") if not stated and categories.named(old)), what)
    return Request("recategorise", {"what": moved, "target": target}, stated)
