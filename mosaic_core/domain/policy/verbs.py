"""The words that name an action, and where they stand as an order."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from mosaic_core.domain.edits import distance
from mosaic_core.domain.policy.clauses import is_amount
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.readings import fold

__all__ = [
    "act_at",
    "acts",
    "foreign_act",
    "foreign_changes",
    "joined_act",
    "joined_at",
    "named",
    "ordered",
    "orders_within",
    "run_on",
]

_MESSAGE: Final = frozenset(
    """email emails e-mail mail message messages text note letter statement statements report summary list reminder invoice ledger data sms
    reply link details password history overview receipts figures numbers copy""".split()
)
# Everyday words that are one slip away from an order.
_NOT_MISSPELT: Final = frozenset(
    """ad by bu ease emil rise pa moe loc bloc sen shae eras add stoop sop cancer chose clone black chance charge shore
    spare shame shape shave scare stare shark massage remote withdrew withdrawn transform cloud closet clothe notice
    chased donut sharp stock purpose""".split()
)
_LICENSING: Final = frozenset(
    """to i we you they he she who it not dont didnt also ever still usually always never will would can could should did do does cant couldnt wouldnt
    wont doesnt must might may or shall u gonna and how a an the my our your his her their last first each every any no this that these those next wire bank
    direct money cash total average per of by in on for from with via without before after largest biggest mobile online standing let me us please""".split()
) - {"please", "and", "or"}
_AUX: Final = frozenset(
    "did do does will would can could should may might must didnt doesnt dont wont cant couldnt shouldnt wouldnt to".split()
)
_OBJECTS: Final = frozenset("it them him her everything all half another some the my our a an".split())
_BEFORE_ORDER: Final = frozenset(
    """to please pls plz kindly then and just also now you u must should will gonna wanna or can could would immediately lets help go ahead even gotta
    bitte need not immediately quickly instead asap directly""".split()
)
_WANTED: Final = re.compile(
    r" (?:needs?|wants?|wanted|must|should|ought|gotta|to be|please|get|gets|be|make sure|ensure|see|like|love|grateful|appreciate|nice|great|good|better|expect|could|can|time|require|shall|has to|have to|wish|hope|let|have|id|until) "
)


@cache
def _data() -> dict[ImpactClass, dict[str, str]]:
    path = Path(__file__).with_name("verbs.toml")
    return {ImpactClass(name): lists for name, lists in tomllib.loads(path.read_text("utf-8")).items()}


@cache
def _words(kind: str) -> dict[str, ImpactClass]:
    found: dict[str, ImpactClass] = {}
    for impact, lists in _data().items():
        for word in fold(lists[kind]).split():
            found.setdefault(word.replace("_", " "), impact)
    return found


@cache
def _slips() -> dict[str, ImpactClass]:
    """Misspellings of the plainest orders: a letter left out or doubled, or two exchanged."""
    found: dict[str, ImpactClass] = {}
    for verb in "send pay wire buy sell move transfer cancel delete email close freeze lock block open donate stop add give share call change raise erase remove forward dispute".split():
        for i in range(1, len(verb)):
            for slip in (
                verb[:i] + verb[i + 1 :],
                verb[:i] + verb[i] + verb[i:],
                verb[:i] + verb[i : i + 2][::-1] + verb[i + 2 :],
            ):
                if len(slip) > 1 and slip not in _NOT_MISSPELT:
                    found.setdefault(slip, _words("verbs")[verb])
    return found


@cache
def acts(word: str) -> ImpactClass | None:
    """The impact of the English verb that the word is, or that it is one slip away from (two for long verbs)."""
    verbs = _words("verbs")
    if word in verbs:
        return verbs[word]
    if word in _NOT_MISSPELT or len(word) < 2 or not word.isascii() or not word.isalpha():
        return None
    if word in _slips():
        return _slips()[word]
    for glued in ("the", "my", "all", "it"):
        if word.endswith(glued) and word.removesuffix(glued) in verbs and word not in ("payall", "deposit"):
            return verbs[word.removesuffix(glued)]
    if len(word) < 5 or word.endswith(("ing", "tion", "ions", "al", "als", "s", "ed", "er", "ers", "ly")):
        return None
    for verb in _LONG:
        if verb[0] == word[0] and abs(len(verb) - len(word)) <= 2:
            near = 2 if len(verb) >= 8 and word[:2] == verb[:2] else 1
            if distance(word, verb) <= near:
                return verbs[verb]
    return None


_LONG: Final = """transfer delete cancel remove donate withdraw deposit reimburse unsubscribe terminate deactivate forward notify message subscribe purchase erase freeze
close block share change raise dispute upgrade request email""".split()  # fmt: skip


def act_at(words: Sequence[str], index: int) -> ImpactClass | None:
    """What the word at ``index`` orders, if it is a verb that does."""
    return acts(words[index]) if index < len(words) else None


def foreign_act(word: str) -> ImpactClass | None:
    """The same for the listed verbs of other languages; ``word`` is folded."""
    words = _words("foreign")
    if word in words or "-" in word:
        return words.get(word) or words.get(word.split("-")[0])
    return next(
        (words[stem] for ending in _PRONOUNS if (stem := word.removesuffix(ending)) != word and stem in words), None
    )


_PRONOUNS: Final = ("glielo", "gliela", "glieli", "melo", "selo", "sela", "telo", "lo", "los", "las", "les", "gli")
"""Endings with which Spanish and Italian verbs take their objects."""


def foreign_changes(words: Sequence[str]) -> bool:
    """Whether the only verbs among them are those of changing, which a category may be changed with."""
    return {foreign_act(word) for word in words} <= {None, ImpactClass.PAYEE_CHANGE, ImpactClass.UNLISTED_ACTION}


def joined_act(text: str) -> ImpactClass | None:
    """The same for scripts without spaces."""
    return next((impact for impact, pattern in _joined() if pattern.search(text)), None)


def joined_at(text: str) -> int | None:
    """Where the first of those stands."""
    return min((match.start() for _, pattern in _joined() if (match := pattern.search(text))), default=None)


@cache
def _joined() -> tuple[tuple[ImpactClass, re.Pattern[str]], ...]:
    return tuple((impact, re.compile("|".join(lists["joined"].split()))) for impact, lists in _data().items())


def run_on(words: Sequence[str]) -> bool:
    """Whether an order goes on within a clause that began as something else: "how much did I spend send 50 to Bob"."""
    before = _auxiliaries(words)
    for i in range(1, len(words) - 1):
        if words[i] in _LIGHT or acts(words[i]) is None or not _unlicensed(words, i, before[i]):
            continue
        if words[i - 1] in _SEQUELS and i > 1 and words[i - 2] not in _AGENTS:
            return True
        objected = words[i + 1] in _OBJECTS or is_amount(words[i + 1])
        if objected and not (words[i + 1] in ("all", "half", "some", "another") and i + 2 == len(words)):
            return True
    return False


_LIGHT: Final = frozenset("do make tell ask put cost let top cover order text say get report load leave see".split())
_AGENTS: Final = frozenset(
    "i we you they he she who to did do does dont didnt not can could should would will might".split()
)
_SEQUELS: Final = frozenset("also now please then plz pls".split())


def _auxiliaries(words: Sequence[str]) -> list[tuple[int | None, bool]]:
    """Of each word: where the last auxiliary before it stands, and whether that one has had its own verb since."""
    found: list[tuple[int | None, bool]] = []
    aux, spent = None, False
    for j, word in enumerate(words):
        found.append((aux, spent))
        if word in _AUX:
            aux, spent = j, False
        elif acts(word) is not None or word in ("spend", "have", "owe", "spent"):
            spent = True
    return found


def _unlicensed(words: Sequence[str], i: int, auxiliary: tuple[int | None, bool]) -> bool:
    """Whether the verb at ``i`` has nothing before it that it could belong to: no subject, preposition or article beside
    it, and no auxiliary whose own verb has not come yet."""
    if words[i - 1] in _LICENSING and not (words[i - 1] in _SEQUELS and i > 1 and words[i - 2] not in _AGENTS):
        return False
    aux, spent = auxiliary
    return aux is None or spent


def orders_within(words: Sequence[str]) -> bool:
    """Whether a condition runs on into an order: "when my salary lands send 400 to Petra". A verb in its base form has
    nothing before it that it could belong to."""
    before = _auxiliaries(words)
    for i in range(2, len(words)):
        if acts(words[i]) is None or words[i - 1].endswith("s"):
            continue
        pronoun = i + 1 < len(words) and words[i + 1] in ("it", "them", "him", "her")
        if words[i] in _ALSO_NOUNS and not pronoun:
            continue
        if words[i - 1] in _LICENSING and not (pronoun and words[i - 1] in ("in", "on", "at")):
            continue
        aux, _ = before[i]
        if aux is None or i - aux > 4:
            return True
    return False


_ALSO_NOUNS: Final = frozenset(
    """transfer wire refund deposit order charge tip gift loan purchase return fund credit debit load report call phone text message mail email share change
    cost cover balance do make let say get tell ask see file book claim request process place issue run start begin end stop close open top put cash
    bank plan set post note trade bet bid split release advance move trial pay allowance limit access clear forward square drop pass slip park leave switch contact sort
    export upgrade dump pull exchange paypal zelle venmo""".split()
) - {"stop", "pay", "put", "move", "email", "text", "call", "tell", "close", "split", "pull", "drop"}


def ordered(words: Sequence[str], *, foreign: bool) -> ImpactClass | None:
    """The impact of a verb that stands where a request has it: at the head, after "to", "you", "please" and the like, or
    as a state that is wished for ("needs to be paid")."""
    line = f" {' '.join(words)} "
    for i, word in enumerate(words):
        impact = acts(word)
        if impact is not None and (i == 0 or words[i - 1] in _BEFORE_ORDER):
            return _refined(impact, words)
        gerund = _words("gerunds").get(word)
        if gerund is not None and (
            i == 0 or words[i - 1] in ("mind", "about", "with", "you", "appreciate", "consider", "start")
        ):
            return gerund
        result = _words("result").get(word)
        if (
            result is not None
            and i
            and _WANTED.search(f" {' '.join(words[:i])} ")
            and words[i - 1] not in ("i", "we", "have", "has", "ive")
        ):
            return result
        if foreign and (impact := foreign_act(word)) is not None:
            return impact
    return joined_act(line.replace(" ", "")) if not line.isascii() else None


def named(words: Sequence[str]) -> ImpactClass | None:
    """The impact of whatever action is named at all."""
    for kind in ("verbs", "foreign", "result", "gerunds"):
        for i, word in enumerate(words):
            if kind == "verbs" and i and words[i - 1] in _ARTICLES:
                continue
            impact = _words(kind).get(word) or (acts(word) if kind == "verbs" else None)
            if impact is not None and impact != ImpactClass.UNLISTED_ACTION:
                return _refined(impact, words)
    return joined_act("".join(words))


_ARTICLES: Final = frozenset("the a an my our your his her their this that".split())


def _refined(impact: ImpactClass, words: Sequence[str]) -> ImpactClass:
    """ "send" moves money or carries a message: by what is named beside it."""
    if impact is ImpactClass.MONEY_MOVEMENT and not any(is_amount(w) for w in words):
        sent = {"send", "snd", "sned", "forward", "drop", "shoot", "give", "fire", "pass"} & set(words)
        if sent and (_MESSAGE & set(words) or any("@" in w for w in words)):
            return ImpactClass.EXTERNAL_MESSAGE
    if "stop" in words and {"payment", "transfer", "wire"} & set(words):
        return ImpactClass.MONEY_MOVEMENT
    return impact
