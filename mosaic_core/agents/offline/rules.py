"""From the marks of a question to its intent, and what of the rows is wanted. Pure.

Each rule looks at tags, wherever they stand, or at a short run of them (`Sense.runs`); the most specific rule comes
first, and the first that holds decides.
"""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from typing import Final

from mosaic_core.agents.offline import relations
from mosaic_core.agents.offline.reading import Reading
from mosaic_core.agents.offline.relations import EARNT, SPENT
from mosaic_core.agents.offline.sense import Sense
from mosaic_core.agents.offline.words import Tag
from mosaic_core.ledger.query import Aspect, Group, Intent, Subject
from mosaic_core.ledger.topics import Topic

_T = Tag
_ROWS: Final = (_T.ONE, _T.TRANSACTION, _T.EXPENSES)


def sense_of(
    reading: Reading, subjects: tuple[Subject, ...], *, periods: int, ranges: int, bounded: bool, fixed_series: bool
) -> Sense:
    marks = tuple(reading.in_order())
    told = re.search(
        r"\b(?:tell me|check|know|see|say|sure|wondering|wonder) (?:if|whether)\b|\b(?:or not|yes or no)$", reading.text
    )
    tags = frozenset(tag for mark in marks for tag in mark.tags)
    moves = [mark for mark in marks if _T.CHANGE in mark.tags]
    if moves and all(_T.TRANSFER in mark.tags for mark in moves):
        # "Shifted into savings" moves money, "how has it shifted" does not.
        tags -= {_T.CHANGE} if _T.TARGET in tags else {_T.TRANSFER}
    sense = Sense(
        text=_without_names(reading), shape=reading.shape, tags=tags, marks=marks, subjects=subjects,
        periods=periods, ranges=ranges, bounded=bounded, yes_no=bool(_asks(reading) or told), fixed_series=fixed_series,
    )  # fmt: skip
    # "How many times did I shop at" names no shop.
    verbs = {_T.BUY} if sense.has(_T.TIMES, _T.HOW_MANY, _T.HOW_OFTEN, _T.LAST, _T.FIRST) else set()
    sense.group = next(
        (
            Group(str(mark.value))
            for mark in marks
            if _T.GROUP in mark.tags and (not mark.tags & verbs or _ASKED_FOR.search(reading.text[: mark.start]))
        ),
        None,
    )
    sense.per = next((str(mark.value) for mark in marks if _T.PER in mark.tags), None)
    sense.n = next((mark.value for mark in marks if _T.NUMBER in mark.tags and isinstance(mark.value, int)), None)
    if sense.n is not None:
        sense.n = max(1, min(sense.n, 100))
    for rule in _RULES:
        if rule(sense):
            break
    # Two counts ("the 3 largest of the 90 days") cannot both be how many are wanted.
    sense.unread = sense.unread or _unclear(sense) or sum(_T.NUMBER in mark.tags for mark in marks) > 1
    return sense


_OPENING: Final = re.compile(
    r"(?:(?:so|and|hey|ok|okay|hi|hello|please|er|um|well|quick|question|as|in|on|over|for|with|to|the)\b ?|[~,] ?)*(?:did|do|does|have|has|had|was|were|is|are|am|whether|if|any)\b"
)
_DRAWN: Final = re.compile(r"\b(?:pull(?:ed)?(?! (?:up|in|together)\b)|draw(?! up\b)|drew|drawn)\b")


def _asks(reading: Reading) -> bool:
    """Whether it is asked whether: a verb opens the question, after a time or "compared with August" too."""
    text = reading.text
    for mark in reading.marks:
        if mark.tags & {_T.PERIOD, _T.COMPARE, _T.THAN}:
            text = text[: mark.start] + "~" * (mark.end - mark.start) + text[mark.end :]
    return _OPENING.match(text) is not None


def _unclear(s: Sense) -> bool:
    """Words that may mean one thing or another: what was drawn is cash only where cash, a bank or savings are named; "how
    much pay" is no "how much did I pay"."""
    named = s.has(_T.TARGET) or any(subject.name in ("cash withdrawals", "salary") for subject in s.subjects)
    return not named and (_DRAWN.search(s.text) is not None or s.said(r"\bhow much pay\b"))


_ASKED_FOR: Final = re.compile(r"\b(?:which|what) $")


def _without_names(reading: Reading) -> str:
    """The question with the names of merchants blanked: "at the UPS Store" says nothing of stores."""
    text = reading.text
    for mark in reading.marks:
        if _T.SUBJECT in mark.tags and isinstance(mark.value, Subject):
            text = text[: mark.start] + "~" * (mark.end - mark.start) + text[mark.end :]
    return text


# ------------------------------------------------------------------------------------------------------------- the rules


def _days_since(s: Sense) -> bool:
    if not s.has(_T.AGO):
        return False
    s.is_(Intent.LAST, Aspect.DATE if s.has(_T.WHEN) and not s.said(r"\bdays\b") else Aspect.DAYS)
    s.n = None
    return True


def _how_high(s: Sense) -> bool:
    """ "How high has the water bill got": its extreme, no sum."""
    if not s.said(
        r"\bhow (?:high|low|big|small|large|steep|little) (?:has|have|did|does|do)\b.*\b(?:got|get|gets|gotten|gone|go|goes|been|become|reached|climbed|dropped|fallen)\b"
    ):
        return False
    s.smallest = s.said(r"\bhow (?:low|small|little)\b")
    s.is_(Intent.SMALLEST if s.smallest else Intent.LARGEST)
    s.n = 1
    s.extra = {_T.UP, _T.DOWN, _T.MORE, _T.LESS, _T.RECURRING, _T.SUBSCRIPTION, _T.PRICE}
    return True


_THINGS: Final = frozenset("books clothing games pizza tickets cinema furniture electronics coffee donations".split())
"""Topics whose words name what is bought rather than where."""
_MEASURED: Final = (
    "(?:SPEND|EXPENSES|TOTAL|SUBJ|INCOME|SINGLE|NUM|OTHER|PERIOD|REFUND|BUY|PAY|TRANSFER|TARGET|OUT|MONEY)"
)


_TURNS_UP: Final = (
    r"\b(?:turn|turns|turned|show|shows|showed|come|comes|came|crop|crops|cropped|pop|pops|popped) up (?:the )?(?:most|least)\b|\b(?:appear|appears|appeared|feature|features|featured|occur|occurs|occurred) (?:the )?(?:most|least)\b"
    r"|\bby (?:count|number|frequency|visits|volume of)\b"
)


def _ranking(s: Sense) -> bool:
    """Merchants, categories, months and so on by what goes to them."""
    superlative = s.has(_T.MAX, _T.MIN, _T.MOST, _T.LEAST, _T.OFTEN, _T.TOP)
    if not superlative or s.has(_T.AVERAGE, _T.PERCENT):
        return False
    one = s.runs(f"(?:MAX|MIN) (?:{_MEASURED} )*(?:ONE|TX|EXPENSES)") and not s.runs(
        "(?:MAX|MIN) (?:SPEND |SINGLE |EXPENSES |SUBJ |ONE )*GROUP"
    )
    if one and not s.has(_T.OFTEN):
        return False
    group = s.group
    days = s.said(r"\b(?:which|what|single|the) (?:day|date)\b(?! of the week)") and not s.has(*_ROWS)
    if group is None and days and s.has(_T.MOST, _T.LEAST, _T.MAX, _T.MIN):
        group = Group.DAY
    if group is None or (s.has(_T.WHERE, _T.WHO) and group in (Group.DAY, Group.MONTH)):
        if s.has(_T.WHERE, _T.WHO) or s.said(r"\b(?:store|shop|merchant)\b"):
            group = Group.MERCHANT
        elif (
            not s.subjects
            and s.has(_T.MOST, _T.LEAST, _T.TOP)
            and s.said(
                r"\b(?:most|least)(?: money)? (?:of (?:my|our) money )?on\b|\bon (?:the )?(?:most|least)\b|\bon what\b|\bwhat .*\bspend(?:ing)? (?:the )?(?:most|least)\b.*\bon\b|\bwhat (?:eats|costs|swallows)\b"
            )
        ):
            group = Group.CATEGORY
        elif s.has(_T.OFTEN) and not s.has(_T.HOW_MANY):
            group = Group.MERCHANT
        else:
            return False
    s.by_count = (
        s.has(_T.OFTEN)
        or s.said(_TURNS_UP)
        or (
            s.runs("(?:MOST|LEAST|MAX) (?:TX|VISIT|TIMES|ONE)|VISIT (?:SUBJ |PERIOD )*(?:MOST|LEAST)")
            and not s.has(_T.SPEND)
        )
    )
    s.group = group
    s.smallest = s.has(_T.MIN, _T.LEAST)
    several = (
        s.said(r"\btop\b|\brank")
        and group is not None
        and s.said(
            r"\b(?:merchants|stores|shops|places|categories|retailers|vendors|months|days|companies|businesses|payees|areas|restaurants)\b"
        )
    )
    s.n = s.n or (5 if several else 1)
    if s.has(_T.TIMES) and s.has(_T.HOW_MANY):
        return False
    s.is_(Intent.RANKING, Aspect.NAME)
    return True


def _extreme(s: Sense) -> bool:
    if s.has(_T.AVERAGE, _T.PERCENT, _T.OFTEN):
        return False
    top = s.has(_T.TOP) and (
        s.n is not None
        or s.has(*_ROWS, _T.SINGLE, _T.REFUND, _T.TRANSFER, *EARNT)
        or (s.has(_T.HOW_MUCH) and bool(s.subjects))
    )
    if not (
        s.has(_T.MAX, _T.MIN)
        or top
        or (s.has(_T.MOST, _T.LEAST) and s.has(*SPENT, *EARNT, _T.SUBJECT, _T.BUY, _T.REFUND, _T.TRANSFER))
    ):
        return False
    if s.has(_T.WHEN) and not (s.has(_T.MAX, _T.MIN) or top):
        return False
    s.smallest = s.has(_T.MIN, _T.LEAST)
    aspect = Aspect.AMOUNT
    if s.has(_T.WHEN) or (s.group is Group.DAY and not s.has(_T.SINGLE)):
        aspect = Aspect.DATE
    elif s.has(_T.WHERE, _T.WHO) or s.group is Group.MERCHANT:
        aspect = Aspect.NAME
    elif s.group is not None:
        return False
    plural = s.said(
        r"\b(?:purchases|transactions|charges|payments|expenses|orders|deposits|refunds|withdrawals|transfers|fees|meals|bills|paychecks|donations|visits|trips|buys)\b"
    )
    if (
        s.n is None
        and plural
        and not s.has(_T.MOST, _T.LEAST)
        and not s.said(r"\b(?:of|among|out of) (?:all )?(?:my|our|the) ")
    ):
        s.n = 5
    s.is_(Intent.SMALLEST if s.smallest else Intent.LARGEST, aspect)
    s.group = None
    return True


def _first_or_last(s: Sense) -> bool:
    if s.has(_T.HOW_MANY, _T.AVERAGE, _T.HOW_OFTEN) and not s.has(_T.AGO):
        return False
    first = s.has(_T.FIRST)
    if not first and not s.has(_T.LAST, _T.WHEN):
        return False
    aspect = Aspect.AMOUNT
    if (
        (s.has(_T.WHEN) and not s.has(_T.HOW_MUCH))
        or (s.said(r"\b(?:last|first) time\b") and not s.has(_T.HOW_MUCH) and not s.runs("WHAT .*(?:SPEND|PAY)"))
        or ((s.group is Group.DAY or s.said(r"\bpay ?day\b|\bearliest\b")) and not s.has(_T.HOW_MUCH))
    ):
        aspect = Aspect.DATE
    elif s.has(_T.WHERE, _T.WHO) or s.group is Group.MERCHANT:
        aspect = Aspect.NAME
    elif s.group is not None:
        return False
    if s.said(r"\b(?:day|date) of (?:the|each|every) month\b") and not first:
        aspect = Aspect.MONTH_DAY
    s.n = s.n or 1
    s.is_(Intent.FIRST if first else Intent.LAST, aspect)
    s.group = None
    return True


def _how_often(s: Sense) -> bool:
    if not s.has(_T.HOW_OFTEN):
        return False
    s.is_(Intent.HOW_OFTEN, Aspect.NUMBER)
    return True


def _average(s: Sense) -> bool:
    shown = s.per == "transaction" and s.said(r"\b(?:show|list|find|give|display|see|pull up)\b")
    if s.has(_T.BREAKDOWN) or ((s.has(_T.LIST) or shown) and not s.has(_T.AVERAGE)):
        return False
    if not s.has(_T.AVERAGE) and s.per is None:
        return False
    single = s.fixed_series and not s.periods and not s.has(_T.AVERAGE) and s.per != "transaction"
    if single:
        # "How much is Netflix a month" asks for its price.
        s.is_(Intent.RECURRING, Aspect.AMOUNT)
        return True
    counting = s.has(_T.HOW_MANY, _T.TIMES) and not s.has(_T.HOW_MUCH)
    topics = all(subject.kind == "topic" for subject in s.subjects)
    if s.per is None:
        habit = s.has(_T.SPEND, _T.EXPENSES, _T.INCOME, _T.EARN) and not s.has(_T.ONE, _T.TRANSACTION)
        bill = s.said(r"\b(?:is|are|was|were|pay|cost|costs|bill|for)\b") and s.subjects and not s.said(r"\bspen[dt]")
        s.per = "month" if habit and topics and not bill else "transaction"
    s.is_(Intent.AVERAGE, Aspect.NUMBER if counting else Aspect.AMOUNT)
    return True


def _breakdown(s: Sense) -> bool:
    agent = s.said(
        r"\b(?:returned|refunded|reimbursed|back|paid|sent|given|credited|charged|billed|taken)(?: to (?:me|us))? by (?:\w+ )?(?:merchants?|stores?|shops?|retailers?|companies)\b"
    )
    by_group = (
        s.group is not None
        and not agent
        and not (s.has(_T.AVERAGE) and s.per)
        and s.said(
            r"\bby (?:\w+ )?(?:month|category|merchant|week|store|day|year|quarter|shop|vendor|weekday|payee|categories|merchants)\b|\bfor each\b|\beach (?:month|category|merchant|week)\b|\bper (?:category|merchant|store|shop)\b|\b(\w+) by \1\b|\bacross\b"
        )
    )
    monthly = s.per is not None and (
        s.has(_T.LIST, _T.BREAKDOWN)
        or s.said(r"\b(?:daily|weekly|monthly|quarterly|yearly|annual) (?:totals|figures|sums|amounts)\b")
    )
    if agent:
        s.extra |= {_T.GROUP}
    if not (s.has(_T.BREAKDOWN) or by_group or monthly):
        return False
    if s.per is not None and s.per != "transaction" and s.group is None:
        s.group = Group(s.per)
    if s.said(r"\btrends?\b|\bmonth by month\b") and s.group is None:
        s.group = Group.MONTH
    s.group = s.group or Group.CATEGORY
    s.is_(Intent.BREAKDOWN)
    return True


def _count(s: Sense) -> bool:
    if not s.has(_T.HOW_MANY) and not (s.has(_T.TIMES) and not s.has(_T.HOW_MUCH)):
        return False
    money = s.said(r"\bhow many (?:dollars|euros|bucks|pounds|quid)\b")
    if money:
        return False
    # "In how many months did I spend over 3000" bounds months, not rows.
    s.unread = s.bounded and s.group in (Group.DAY, Group.WEEK, Group.MONTH, Group.QUARTER, Group.YEAR)
    s.is_(Intent.COUNT, Aspect.NUMBER)
    return True


def _list(s: Sense) -> bool:
    if s.has(_T.HOW_MUCH, _T.TOTAL, _T.PRICE) or (s.yes_no and not s.said(r"^(?:can|could|would)\b")):
        return False
    groups = (Group.MERCHANT, Group.CATEGORY)
    merchants = bool(s.subjects) and all(subject.kind == "merchant" for subject in s.subjects)
    things = any(
        isinstance(mark.value, Topic)
        and mark.value.name in _THINGS
        and re.search(r"\b(?:which|what) $", s.text[: mark.start])
        for mark in s.marks
    )
    if (s.has(_T.WHERE) and merchants) or things:
        # "Where did Lyft take me", "which book did I buy": not in a ledger.
        s.unread = True
    if (s.group in groups and s.runs("^(?:SUBJ )?GROUP") and not s.has(_T.PAY, _T.AVERAGE)) and not s.said(
        r"\bspen[dt]\b(?!.*\bthat\b)"
    ):
        s.is_(Intent.LIST, Aspect.NAME)
        return True
    if s.has(_T.WHERE) or (s.has(_T.WHO) and s.has(*SPENT, *EARNT, _T.REFUND, _T.TRANSFER, _T.BUY)):
        s.is_(Intent.LIST, Aspect.NAME)
        s.group = Group.MERCHANT
        return True
    if s.group in groups and (s.has(_T.LIST, _T.WHICH) or s.runs("WHAT GROUP") or s.runs("^(?:WHAT|WHICH)")):
        s.is_(Intent.LIST, Aspect.NAME)
        return True
    if (
        s.has(_T.WHICH)
        and s.group is None
        and s.subjects
        and all(subject.kind == "topic" for subject in s.subjects)
        and not s.has(*_ROWS)
    ):
        s.is_(Intent.LIST, Aspect.NAME)
        s.group = Group.MERCHANT
        return True
    bought = (s.has(_T.WHAT) and s.has(_T.BUY) and not s.has(_T.SPEND)) or (s.bounded and s.said(r"^what costs?\b"))
    rows = s.has(
        _T.ONE,
        _T.TRANSACTION,
        _T.EXPENSES,
        _T.REFUND,
        _T.TRANSFER,
        _T.SUBJECT,
        _T.INCOME,
        _T.BUY,
        _T.MONEY_IN,
        _T.PAY,
        _T.SPEND,
    )
    if s.per == "transaction" and s.said(r"\b(?:show|list|find|give|display|see|pull up)\b"):
        # "Give me every charge" is no question per charge.
        s.per, s.extra = None, {_T.PER}
        s.is_(Intent.LIST)
        return True
    asked = (s.has(_T.LIST, _T.WHICH) and (rows or s.bounded)) or (
        s.has(_T.WHAT)
        and s.runs("WHAT (?:SUBJ |REFUND |BOUND |PERIOD )*(?:ONE|TX)")
        and not s.said(r"\b(?:bill|cost)\b")
    )
    bare = s.has(_T.TRANSACTION) and not s.has(_T.SPEND, _T.PAY)
    if not (asked or bought or bare) or (s.group is not None):
        return False
    s.is_(Intent.LIST)
    return True


def _exists(s: Sense) -> bool:
    if not s.yes_no or s.has(_T.HOW_MUCH, _T.TOTAL):
        return False
    s.is_(Intent.EXISTS, Aspect.YES_NO)
    return True


def _total(s: Sense) -> bool:
    s.is_(Intent.TOTAL)
    # A tally of purchases may be their number or their sum.
    s.unread = s.unread or (s.said(r"\btally\b") and not s.has(_T.HOW_MANY) and s.has(_T.ONE, _T.TRANSACTION))
    if (
        s.has(_T.REFUND)
        and s.has(_T.HOW_MUCH, _T.TOTAL)
        and s.group is Group.MERCHANT
        and s.said(r"\b(?:stores|shops|merchants|places|companies)\b")
    ):
        s.extra |= {_T.GROUP}
    return True


_RULES: Final = (
    _how_high, relations.price_change, relations.series_ends, relations.recurring, relations.share, relations.net, relations.compare, _days_since, relations.exceeds, _ranking, _extreme, _first_or_last,
    _how_often, _breakdown, _average, _count, _list, _exists, relations.price_now, _total,
)  # fmt: skip
