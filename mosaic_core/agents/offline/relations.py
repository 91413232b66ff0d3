"""Rules for questions that set figures against each other, or that ask for what returns. Pure."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

from typing import Final

from mosaic_core.agents.offline.sense import Sense
from mosaic_core.agents.offline.words import Tag
from mosaic_core.ledger.query import Aspect, Intent

_T = Tag
SPENT: Final = (_T.SPEND, _T.PAY, _T.EXPENSES, _T.MONEY_OUT)
EARNT: Final = (_T.INCOME, _T.EARN, _T.PAID_ME, _T.MONEY_IN)


def price_change(s: Sense) -> bool:
    """ "Has Netflix gone up?", "what subscriptions have raised their price", "what was the price increase"."""
    moved = (
        s.has(_T.UP, _T.DOWN, _T.CHANGE)
        or (s.has(_T.MORE, _T.LESS) and s.has(_T.BEFORE))
        or (s.said(r"\bmore expensive\b|\bdearer\b|\bpricier\b|\bcheaper\b") and not s.has(_T.OR, _T.THAN, _T.VERSUS))
    )
    if not moved or s.periods or s.has(_T.GROUP, _T.INCOME, _T.EARN):
        return False
    series = s.has(_T.SUBSCRIPTION, _T.RECURRING, _T.PRICE)
    if not s.subjects and not series:
        return False
    habit = s.has(_T.SPEND, _T.BUY, _T.VISIT) and not s.has(_T.PRICE, _T.ONE) and not s.fixed_series
    if s.subjects and habit and not series:
        return False
    if s.has(_T.BEFORE) and s.said(
        r"\b(?:last|latest|newest|most recent|current) (?:\w+ )?(?:bill|one|payment|charge|invoice)\b"
    ):
        # The last bill against the one before it, whatever earlier ones were.
        s.n = 2
    if s.has(_T.PERCENT):
        s.is_(Intent.PRICE_CHANGE, Aspect.RATIO)
    elif not s.subjects and (not s.yes_no or s.has(_T.WHICH)):
        s.is_(Intent.PRICE_CHANGE, Aspect.NAME)
    elif s.has(_T.WHEN) and s.fixed_series:
        s.is_(Intent.PRICE_CHANGE, Aspect.DATE)
        s.extra = {_T.WHEN}
    elif s.yes_no and not s.has(_T.HOW_MUCH):
        s.is_(Intent.PRICE_CHANGE, Aspect.YES_NO)
    else:
        s.is_(Intent.PRICE_CHANGE, Aspect.AMOUNT)
    s.smallest = s.has(_T.DOWN)
    return True


def series_ends(s: Sense) -> bool:
    """When a series began or ended."""
    if not s.subjects or s.has(_T.HOW_MANY, _T.AVERAGE):
        return False
    asks = s.has(_T.WHEN, _T.LAST, _T.FIRST) or s.said(r"\bsince when\b|\bhow long\b|\bstart date\b")
    if s.has(_T.STOP) and asks and not s.has(_T.FIRST):
        s.is_(Intent.LAST, Aspect.DATE)
        return True
    began = s.has(_T.START) or (s.said(r"\bsubscribed? to\b") and s.has(_T.WHEN) and not s.has(_T.LAST))
    if began and asks and not s.has(_T.AGO):
        s.is_(Intent.FIRST, Aspect.DATE)
        return True
    return False


def recurring(s: Sense) -> bool:
    if (
        s.yes_no
        and s.subjects
        and not s.periods
        and s.said(r"\b(?:still|currently)\b")
        and s.has(_T.PAY, _T.SUBSCRIPTION)
    ):
        s.is_(Intent.RECURRING, Aspect.YES_NO)
        return True
    bills = s.said(r"\bbills\b") and not s.subjects and not s.periods and s.has(_T.LIST, _T.WHICH, _T.HOW_MANY)
    if not (s.has(_T.RECURRING, _T.SUBSCRIPTION) or bills) or s.has(
        _T.NET, _T.PERCENT, _T.AVERAGE, _T.AGO, _T.DIFFERENCE, _T.VERSUS, _T.TIMES
    ):
        return False
    if s.has(_T.LAST, _T.FIRST, _T.WHEN, _T.START) or (s.has(_T.MORE, _T.LESS, _T.UP, _T.DOWN) and s.periods > 1):
        return False
    most = s.has(_T.MAX, _T.MIN, _T.MOST, _T.LEAST)
    s.smallest = s.has(_T.MIN, _T.LEAST)
    money = s.has(_T.HOW_MUCH, _T.SPEND, _T.TOTAL, _T.PRICE, _T.PER) or s.said(r"\bbills? come to\b")
    plainly = s.said(
        r"\bwhat (?:\w+ ){0,3}(?:subscriptions?|bills|payments|memberships|subs|commitments|direct debits|standing orders)\b"
    ) or s.runs("WHAT .*(?:PAY|SUBSCRIPTION)")
    asks_names = s.has(_T.LIST, _T.WHICH) or (plainly and not s.has(_T.SPEND, _T.PER))
    if most:
        s.n = s.n or 1
        s.is_(
            Intent.RECURRING,
            Aspect.AMOUNT if s.runs("HOWMUCH") or s.said(r"\bcost of my (?:most|least|dear|cheap)") else Aspect.NAME,
        )
    elif s.has(_T.HOW_MANY):
        s.is_(Intent.RECURRING, Aspect.NUMBER)
    elif s.has(_T.HOW_MUCH, _T.TOTAL) or (money and not asks_names) or (s.subjects and money and not s.yes_no):
        s.is_(Intent.RECURRING, Aspect.AMOUNT)
        s.per = s.per if s.per != "transaction" else None
    elif s.yes_no:
        s.is_(Intent.RECURRING, Aspect.YES_NO)
    else:
        s.is_(Intent.RECURRING, Aspect.NAME)
    return True


def net(s: Sense) -> bool:
    spent, earnt = s.has(*SPENT), s.has(*EARNT)
    against = earnt and spent and not s.has(_T.PERCENT) and (
        (s.has(_T.MORE, _T.LESS, _T.UP, _T.DOWN) and not s.runs("PERIOD .*THAN .*PERIOD"))
        or s.runs("(?:INCOME|EARN|IN) (?:EXCEPT|LESS|VS|THAN|AND) (?:SPEND|EXPENSES|OUT|PAY)")
        or (s.has(_T.DIFFERENCE, _T.COMPARE) and s.periods < 2)
    ) and all(subject.name == "salary" for subject in s.subjects)  # fmt: skip
    if s.said(r"\bbottom line\b") and spent and not earnt:
        return False
    saved = s.has(_T.SAVE) and not s.has(_T.TARGET, _T.REFUND) and not s.subjects
    if not (s.has(_T.NET, _T.OVERSPENT) or against or saved):
        return False
    if s.has(_T.NET) and (s.subjects or s.has(_T.REFUND, _T.TRANSFER, _T.TARGET)):
        return False
    asks_yes = s.yes_no and (against or s.has(_T.OVERSPENT) or not s.said(r"\bnet\b|\bcash ?flow\b"))
    if s.runs("(?:INCOME|EARN|IN) (?:EXCEPT|LESS|VS) (?:SPEND|EXPENSES|OUT)") or s.has(_T.HOW_MUCH):
        asks_yes = False
    spend_first = s.runs("(?:SPEND|EXPENSES|OUT|PAY)\\b.*(?:INCOME|EARN|IN|PAIDME)")
    s.deficit = (
        (against and spend_first == s.has(_T.MORE, _T.UP) and not s.said(r"\bcover"))
        or s.said(r"\bbeyond\b|\boverspen|\bdeficit\b|\bshortfall\b|\bin the red\b|\bout of pocket\b")
    )  # fmt: skip
    s.is_(Intent.NET, Aspect.YES_NO if asks_yes else Aspect.AMOUNT)
    s.extra = {_T.LIST}
    return True


def share(s: Sense) -> bool:
    if not s.has(_T.PERCENT):
        return False
    if s.has(_T.UP, _T.DOWN, _T.CHANGE, _T.MORE, _T.LESS, _T.DIFFERENCE, _T.VERSUS) and (s.periods > 1 or s.ranges):
        _sides(s)
        s.is_(Intent.COMPARE, Aspect.RATIO)
        s.later_first = s.has(_T.UP, _T.DOWN, _T.CHANGE, _T.DIFFERENCE) and not s.has(_T.THAN)
    else:
        s.is_(Intent.SHARE, Aspect.RATIO)
    return True


def _sides(s: Sense) -> bool:
    """Whether the question sets two subjects against each other, else its times."""
    subject, period = [[i for i, mark in enumerate(s.marks) if tag in mark.tags] for tag in (_T.SUBJECT, _T.PERIOD)]
    s.by_subject = False
    if len(s.subjects) < 2 or len(subject) < 2:
        return s.periods > 1 or s.ranges > 0
    between = {tag for mark in s.marks[subject[0] + 1 : subject[-1]] for tag in mark.tags}
    if between & {_T.THAN, _T.OR, _T.VERSUS} or s.periods < 2:
        s.by_subject = True
        return True
    return bool(period)


def compare(s: Sense) -> bool:
    graded = s.has(_T.MORE, _T.LESS) or (s.has(_T.MOST, _T.LEAST, _T.OFTEN, _T.MAX, _T.MIN) and s.has(_T.OR, _T.VERSUS))
    moved = s.has(_T.UP, _T.DOWN, _T.CHANGE)
    told = s.has(_T.DIFFERENCE, _T.COMPARE, _T.VERSUS)
    if not (graded or moved or told) or s.has(_T.AVERAGE, _T.NET):
        return False
    if (
        not s.periods
        and not s.subjects
        and moved
        and (s.has(_T.GROUP) or s.said(r"^(?:so )?what (?:has |have |is )?(?:been )?chang"))
    ):
        s.is_(Intent.CHANGES)
        return True
    if (
        moved
        and not s.subjects
        and (
            s.has(_T.GROUP)
            or s.said(
                r"\bwhat (?:has |have |is )?(?:been )?(?:chang|different)|\bwhere did .* (?:increase|go up|change)|\bhow (?:has|have|did) (?:my|our) (?:spending|expenses|finances) change"
            )
        )
    ):
        s.is_(Intent.CHANGES)
        s.extra = {_T.BREAKDOWN}
        return True
    two = _sides(s)
    usual = s.has(_T.BEFORE, _T.YEAR_EARLIER)
    if not two and not usual and not ((moved or told) and (s.has(*SPENT, *EARNT) or s.subjects)):
        return False
    if (
        graded
        and not moved
        and not told
        and not s.has(_T.THAN, _T.OR, _T.VERSUS, _T.AND, _T.BEFORE, _T.YEAR_EARLIER)
        and len(s.subjects) < 2
        and s.periods < 2
        and not s.ranges
    ):
        return False
    s.by_count = s.has(_T.TIMES, _T.OFTEN, _T.HOW_OFTEN, _T.HOW_MANY) or (
        s.has(_T.VISIT, _T.TRANSACTION, _T.ONE) and not s.has(_T.SPEND, _T.PAY, _T.HOW_MUCH, _T.EXPENSES, _T.DIFFERENCE) and s.runs("(?:MORE|LESS|MOST|LEAST)(?: (?:VISIT|ONE|TX))|VISIT (?:MORE|MOST|LESS|LEAST)|(?:VISIT|ONE|TX) .*(?:MORE|MOST|OFTEN)")
        and not s.said(r"\bbills?\b")
    )  # fmt: skip
    s.smallest = s.has(_T.LESS, _T.DOWN, _T.LEAST, _T.MIN) and not s.has(_T.MORE, _T.UP)
    onward = moved and not s.has(_T.DIFFERENCE)
    onward = onward or (s.has(_T.DIFFERENCE) and s.periods == 1 and s.said(r"\bfrom\b.*\bto\b"))
    s.later_first = onward and not s.by_subject and (s.has(_T.CHANGE) or not s.has(_T.THAN, _T.VERSUS))
    # "Compared with last month, how far off is this month's": the second is what is asked about.
    s.swapped = not s.by_subject and s.runs("^(?:WHAT )?(?:COMPARE|THAN|VS)[A-Z+]* PERIOD .*PERIOD")
    choosing = (
        s.has(_T.WHICH, _T.WHERE, _T.WHO) or s.runs("WHAT (?:SPEND |PAY |PERIOD )*(?:MORE|LESS|MOST)") or s.has(_T.OR)
    )
    if s.has(_T.DIFFERENCE) or (s.has(_T.HOW_MUCH) and not s.has(_T.WHICH, _T.WHO)):
        s.is_(Intent.COMPARE, Aspect.AMOUNT)
        s.by_count = False
    elif s.has(_T.HOW_MANY):
        s.is_(Intent.COMPARE, Aspect.NUMBER)
    elif choosing and (graded or s.has(_T.OR)) and not (s.yes_no and s.has(_T.THAN) and not s.has(_T.OR)):
        s.is_(Intent.COMPARE, Aspect.NAME)
    elif s.yes_no or (s.runs("(?:MORE|LESS) .*THAN") and not s.has(_T.HOW_MUCH)):
        s.is_(Intent.COMPARE, Aspect.YES_NO)
    else:
        s.is_(Intent.COMPARE, Aspect.AMOUNT)
        s.extra = {_T.LIST}
    s.extra |= {_T.SUBSCRIPTION, _T.PRICE, _T.RECURRING}
    return True


def exceeds(s: Sense) -> bool:
    one = s.has(_T.ONE, _T.TRANSACTION, _T.SINGLE) or s.said(r"\banything\b|\bany\b|\bthere\b")
    if not (s.yes_no and s.bounded) or one or not s.has(*SPENT, *EARNT, _T.TOTAL):
        return False
    s.is_(Intent.EXCEEDS, Aspect.YES_NO)
    return True


def price_now(s: Sense) -> bool:
    """ "How much is Netflix?", "what do I pay for rent": what it costs now, where it recurs and no time is named."""
    present = s.said(
        r"\bhow (?:much|expensive|big|high|large) (?:is|are)\b|\b(?:how much|what) (?:do|does)\b.*\b(?:costs?|pay|charge)\b|\bwhat (?:is|are) (?:my|our|the)\b|\b(?:price|cost) of\b|\b(?:am|are) (?:i|we) paying\b"
    ) or s.has(_T.PRICE)
    if (
        s.periods
        or not s.subjects
        or not present
        or s.bounded
        or s.has(_T.TOTAL, _T.REFUND, _T.TRANSFER, _T.TARGET, *EARNT)
    ):
        return False
    s.is_(Intent.RECURRING, Aspect.AMOUNT)
    return True
