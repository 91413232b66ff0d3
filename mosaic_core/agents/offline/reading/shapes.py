"""Rules for questions on rows and groups: which, how many, the largest, the last, of each. Pure.

Each looks at tags, wherever they stand, at short runs of them, or at a turn of phrase, and says what it makes of them;
None where it makes nothing of them. `reading_rules` says which of several counts.
"""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.facts import EARNT, ROWS, SPENT, Facts, Meaning, Weight, rule, tags
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.ledger.query import TIMES, Aspect, Group, Intent
from mosaic_core.ledger.topics import Topic

_T = Tag
_NAMES: Final = (Group.MERCHANT, Group.CATEGORY)
EXTREMES: Final = (_T.MAX, _T.MIN, _T.MOST, _T.LEAST)
_MEASURED: Final = (
    "(?:SPEND|EXPENSES|TOTAL|SUBJECT|INCOME|SINGLE|NUMBER|OTHER|PERIOD|REFUND|BUY|PAY|TRANSFER|TARGET|MONEYOUT|MONEY)"
)
_THINGS: Final = frozenset("books clothing games pizza tickets cinema furniture electronics coffee donations".split())
"""Topics whose words name what is bought rather than where."""
ONE_ROW: Final = "WHERE WHO WHICH GROUP TOP NUMBER HOW_MUCH SINGLE WHEN LIST"
DATED: Final = "WHERE WHO WHICH GROUP WHEN HOW_MUCH NUMBER LIST SUBSCRIPTION RECURRING TIMES"
_LISTED: Final = "WHERE WHO WHICH GROUP LIST NUMBER LAST SINGLE TOP HOW_MUCH"
COST: Final = "RECURRING SUBSCRIPTION PRICE HOW_MUCH HOW_MANY LIST WHICH WHERE MAX MIN MOST LEAST PER GROUP NUMBER TOP"


@rule(Weight.SHAPE, f"{ONE_ROW} MAX MIN MOST LEAST OFTEN TIMES BREAKDOWN PER MORE", over="extreme")
def ranking(f: Facts) -> Meaning | None:
    """Merchants, categories, months and so on by what goes to them."""
    if not f.has(*EXTREMES, _T.OFTEN, _T.TOP) or f.has(_T.AVERAGE, _T.PERCENT):
        return None
    one_row = f.runs(f"(?:MAX|MIN) (?:{_MEASURED} )*(?:ONE|TRANSACTION|EXPENSES)") and not f.runs(
        "(?:MAX|MIN) (?:SPEND |SINGLE |EXPENSES |SUBJECT |ONE )*GROUP"
    )
    group = _ranked(f)
    if group is None or (one_row and not f.has(_T.OFTEN)) or (f.has(_T.TIMES) and f.has(_T.HOW_MANY)):
        return None
    counted = f.runs("(?:MOST|LEAST|MAX) (?:TRANSACTION|VISIT|TIMES|ONE)|VISIT (?:SUBJECT |PERIOD )*(?:MOST|LEAST)")
    several = f.said("top_or_rank") and f.said("groups_by_name")
    return f.means(
        Intent.RANKING,
        Aspect.NAME,
        group=group,
        n=f.n or (5 if several else 1),
        by_count=f.has(_T.OFTEN) or f.said("turns_up") or (counted and not f.has(_T.SPEND)),
        smallest_first=f.has(_T.MIN, _T.LEAST),
    )


def _ranked(f: Facts) -> Group | None:
    """What is ranked: what is named, else what the question asks for."""
    group = f.group
    if group is None and f.said("which_day") and not f.has(*ROWS) and f.has(*EXTREMES):
        group = Group.DAY
    if group is not None and not (f.has(_T.WHERE, _T.WHO) and group in (Group.DAY, Group.MONTH)):
        return group
    if f.has(_T.WHERE, _T.WHO) or f.said("shop"):
        return Group.MERCHANT
    if not f.subjects and f.has(_T.MOST, _T.LEAST, _T.TOP) and f.said("spends_on"):
        return Group.CATEGORY
    return Group.MERCHANT if f.has(_T.OFTEN) and not f.has(_T.HOW_MANY) else None


@rule(Weight.SHAPE, f"{ONE_ROW} LAST", over="first_or_last")
def extreme(f: Facts) -> Meaning | None:
    top = f.has(_T.TOP) and (
        f.n is not None
        or f.has(*ROWS, _T.SINGLE, _T.REFUND, _T.TRANSFER, *EARNT)
        or (f.has(_T.HOW_MUCH) and bool(f.subjects))
    )
    of_rows = f.has(*SPENT, *EARNT, _T.SUBJECT, _T.BUY, _T.REFUND, _T.TRANSFER)
    most = f.has(_T.MOST, _T.LEAST) and of_rows and not f.has(_T.WHEN)
    aspect = _of_a_row(f, dated=f.has(_T.WHEN) or (f.group is Group.DAY and not f.has(_T.SINGLE)))
    if aspect is None or not (f.has(_T.MAX, _T.MIN) or top or most) or f.has(_T.AVERAGE, _T.PERCENT, _T.OFTEN):
        return None
    several = f.said("rows_by_name") and not f.has(_T.MOST, _T.LEAST) and not f.said("one_of_them")
    smallest = f.has(_T.MIN, _T.LEAST)
    return f.means(
        Intent.SMALLEST if smallest else Intent.LARGEST,
        aspect,
        group=None,
        n=f.n or (5 if several else None),
        smallest_first=smallest,
        also=tags("MIN LEAST" if smallest else "MAX MOST"),
    )


def _of_a_row(f: Facts, *, dated: bool) -> Aspect | None:
    """What of a row is wanted; None where something is that rows do not have."""
    if dated:
        return Aspect.DATE
    if f.has(_T.WHERE, _T.WHO) or f.group is Group.MERCHANT:
        return Aspect.NAME
    return Aspect.AMOUNT if f.group is None else None


@rule(Weight.SHAPE, DATED, over="how_often")
def first_or_last(f: Facts) -> Meaning | None:
    first = f.has(_T.FIRST)
    dated = not f.has(_T.HOW_MUCH) and (
        f.has(_T.WHEN)
        or (f.said("that_time") and not f.runs("WHAT .*(?:SPEND|PAY)"))
        or f.group is Group.DAY
        or f.said("payday_or_earliest")
    )
    aspect = _of_a_row(f, dated=dated)
    if aspect is None or not f.has(_T.FIRST, _T.LAST, _T.WHEN) or f.has(_T.HOW_MANY, _T.AVERAGE, _T.HOW_OFTEN):
        return None
    if f.said("day_of_the_month") and not first:
        aspect = Aspect.MONTH_DAY
    also = tags("FIRST START" if first else "LAST AGO STOP SINGLE HOW_MANY")
    return f.means(Intent.FIRST if first else Intent.LAST, aspect, group=None, n=f.n or 1, also=also)


@rule(Weight.SHAPE, "HOW_OFTEN TIMES SINGLE HOW_MANY", over="breakdown")
def how_often(f: Facts) -> Meaning | None:
    return f.means(Intent.HOW_OFTEN, Aspect.NUMBER) if f.has(_T.HOW_OFTEN) else None


@rule(Weight.SHAPE, "BREAKDOWN GROUP PER HOW_MUCH LIST WHERE", over="price_of_each")
def breakdown(f: Facts) -> Meaning | None:
    split = f.group is not None and not f.said("done_by_merchants") and not (f.has(_T.AVERAGE) and f.per)
    monthly = f.per is not None and (f.has(_T.LIST, _T.BREAKDOWN) or f.said("totals_of_each"))
    if not (f.has(_T.BREAKDOWN) or (split and f.said("by_group")) or monthly):
        return None
    group = f.group
    if group is None and f.per not in (None, "transaction"):
        group = Group(f.per)
    if group is None and f.said("trend"):
        group = Group.MONTH
    return f.means(Intent.BREAKDOWN, group=group or Group.CATEGORY)


@rule(Weight.SHAPE, COST, over="average")
def price_of_each(f: Facts) -> Meaning | None:
    """ "How much is Netflix a month" asks for its price."""
    each = f.fixed_series and not f.periods and f.per not in (None, "transaction")
    return f.means(Intent.RECURRING) if each and not f.has(_T.AVERAGE, _T.BREAKDOWN, _T.LIST) else None


@rule(Weight.SHAPE, "AVERAGE PER HOW_MUCH HOW_MANY TIMES PRICE SUBSCRIPTION SINGLE RECURRING")
def average(f: Facts) -> Meaning | None:
    shown = f.has(_T.LIST) or (f.per == "transaction" and f.said("show"))
    if f.has(_T.BREAKDOWN) or not (f.has(_T.AVERAGE) or (f.per is not None and not shown)):
        return None
    habit = f.has(_T.SPEND, _T.EXPENSES, _T.INCOME, _T.EARN) and not f.has(_T.ONE, _T.TRANSACTION)
    bill = f.said("costs") and f.subjects and not f.said("spend")
    usual = "month" if habit and f.all_are("topic") and not bill else "transaction"
    counting = f.has(_T.HOW_MANY, _T.TIMES) and not f.has(_T.HOW_MUCH)
    return f.means(Intent.AVERAGE, Aspect.NUMBER if counting else Aspect.AMOUNT, per=f.per or usual)


@rule(Weight.ROWS, "HOW_MANY TIMES GROUP SINGLE OFTEN SUBSCRIPTION LIST", over="not_of_rows")
def count(f: Facts) -> Meaning | None:
    asked = f.has(_T.HOW_MANY) or (f.has(_T.TIMES) and not f.has(_T.HOW_MUCH))
    # "In how many months did I spend over 3000" bounds months, not rows.
    return f.means(Intent.COUNT, Aspect.NUMBER, unread=f.bounded and f.group in TIMES) if asked else None


def _wants_a_figure(f: Facts) -> bool:
    return f.has(_T.HOW_MUCH, _T.TOTAL, _T.PRICE) or (f.yes_no and not f.said("polite_order"))


@rule(Weight.ROWS, _LISTED, over="names")
def not_of_rows(f: Facts) -> Meaning | None:
    """ "Where did Lyft take me", "which book did I buy": not in a ledger."""
    places = f.has(_T.WHERE) and bool(f.subjects) and f.all_are("merchant")
    things = any(
        isinstance(mark.value, Topic)
        and mark.value.name in _THINGS
        and turn("asked_for").search(f.text[: mark.start]) is not None
        for mark in f.marks
    )
    return f.means(Intent.LIST, unread=True) if (things or places) and not _wants_a_figure(f) else None


@rule(Weight.ROWS, _LISTED, over="rows")
def names(f: Facts) -> Meaning | None:
    """Which merchants or categories."""
    if _wants_a_figure(f):
        return None
    opens = f.runs("^(?:SUBJECT )?GROUP") and not f.has(_T.PAY, _T.AVERAGE) and not f.said("spend_of_that")
    asked = f.has(_T.LIST, _T.WHICH) or f.runs("WHAT GROUP") or f.runs("^(?:WHAT|WHICH)")
    whom = f.has(_T.WHO) and f.has(*SPENT, *EARNT, _T.REFUND, _T.TRANSFER, _T.BUY)
    topics = f.has(_T.WHICH) and f.group is None and f.subjects and f.all_are("topic") and not f.has(*ROWS)
    if f.group in _NAMES and (opens or (asked and not f.has(_T.WHERE) and not whom)):
        return f.means(Intent.LIST, Aspect.NAME)
    return f.means(Intent.LIST, Aspect.NAME, group=Group.MERCHANT) if f.has(_T.WHERE) or whom or topics else None


@rule(Weight.ROWS, _LISTED, over="exists")
def rows(f: Facts) -> Meaning | None:
    """The rows themselves."""
    if _wants_a_figure(f):
        return None
    if f.per == "transaction" and f.said("show"):
        # "Give me every charge" is no question per charge.
        return f.means(Intent.LIST, per=None, also=tags("PER"))
    named = f.has(*ROWS, _T.REFUND, _T.TRANSFER, _T.SUBJECT, _T.INCOME, _T.BUY, _T.MONEY_IN, _T.PAY, _T.SPEND)
    listed = f.has(_T.LIST, _T.WHICH) and (named or f.bounded)
    which = f.runs("WHAT (?:SUBJECT |REFUND |BOUND |PERIOD )*(?:ONE|TRANSACTION)") and not f.said("bill_or_cost")
    bought = (f.has(_T.WHAT) and f.has(_T.BUY) and not f.has(_T.SPEND)) or (f.bounded and f.said("what_costs"))
    bare = f.has(_T.TRANSACTION) and not f.has(_T.SPEND, _T.PAY)
    return f.means(Intent.LIST) if f.group is None and (listed or which or bought or bare) else None


@rule(Weight.ROWS, "LIST SINGLE TIMES SUBSCRIPTION")
def exists(f: Facts) -> Meaning | None:
    return f.means(Intent.EXISTS, Aspect.YES_NO) if f.yes_no and not f.has(_T.HOW_MUCH, _T.TOTAL) else None


@rule(Weight.PLAIN, COST, over="total")
def price_now(f: Facts) -> Meaning | None:
    """ "How much is Netflix?", "what do I pay for rent": what it costs now, where it recurs and no time is named."""
    asked = bool(f.subjects) and not f.periods and not f.bounded and (f.said("costs_now") or f.has(_T.PRICE))
    other = f.has(_T.TOTAL, _T.REFUND, _T.TRANSFER, _T.TARGET, *EARNT)
    return f.means(Intent.RECURRING) if asked and not other else None


@rule(Weight.PLAIN, "HOW_MUCH LIST WHICH PRICE SINGLE RECURRING SUBSCRIPTION")
def total(f: Facts) -> Meaning:
    """What is left is a sum. A tally of purchases may be their number or their sum."""
    unread = f.said("tally") and not f.has(_T.HOW_MANY) and f.has(_T.ONE, _T.TRANSACTION)
    refunded = f.has(_T.REFUND) and f.has(_T.HOW_MUCH, _T.TOTAL) and f.group is Group.MERCHANT and f.said("merchants")
    return f.means(Intent.TOTAL, unread=unread, also=tags("GROUP" if refunded else ""))
