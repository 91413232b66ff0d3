"""Rules for questions on rows and groups: which, how many, the largest, the last, of each. Pure.

Each looks at tags, wherever they stand, at short runs of them, or at a turn of phrase, and says what it makes of them;
None where it makes nothing of them. `rules` says which of several counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.facts import EARNT, ROWS, SPENT, Facts, Meaning
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.ledger.query import Aspect, Group, Intent
from mosaic_core.ledger.topics import Topic

_T = Tag
_NAMES: Final = (Group.MERCHANT, Group.CATEGORY)
_TIMES: Final = (Group.DAY, Group.WEEK, Group.MONTH, Group.QUARTER, Group.YEAR)
_MEASURED: Final = (
    "(?:SPEND|EXPENSES|TOTAL|SUBJECT|INCOME|SINGLE|NUMBER|OTHER|PERIOD|REFUND|BUY|PAY|TRANSFER|TARGET|MONEYOUT|MONEY)"
)
LARGE: Final = frozenset({_T.MAX, _T.MOST})
SMALL: Final = frozenset({_T.MIN, _T.LEAST})
EARLIEST: Final = frozenset({_T.FIRST, _T.START})
LATEST: Final = frozenset({_T.LAST, _T.AGO, _T.STOP, _T.SINGLE, _T.HOW_MANY})
"""What an extreme or an end makes something of, beyond what the other one does."""
_THINGS: Final = frozenset("books clothing games pizza tickets cinema furniture electronics coffee donations".split())
"""Topics whose words name what is bought rather than where."""


def days_since(f: Facts) -> Meaning | None:
    if not f.has(_T.AGO):
        return None
    dated = f.has(_T.WHEN) and not f.said("days")
    return Meaning(intent=Intent.LAST, aspect=Aspect.DATE if dated else Aspect.DAYS, group=f.group, per=f.per)


def how_high(f: Facts) -> Meaning | None:
    """ "How high has the water bill got": its extreme, no sum."""
    if not f.said("how_high_it_got"):
        return None
    smallest = f.said("how_low")
    also = (SMALL if smallest else LARGE) | {
        _T.UP, _T.DOWN, _T.MORE, _T.LESS, _T.RECURRING, _T.SUBSCRIPTION, _T.PRICE
    }  # fmt: skip
    intent = Intent.SMALLEST if smallest else Intent.LARGEST
    return Meaning(intent=intent, smallest=smallest, n=1, group=f.group, per=f.per, also=also)


def ranking(f: Facts) -> Meaning | None:
    """Merchants, categories, months and so on by what goes to them."""
    superlative = f.has(_T.MAX, _T.MIN, _T.MOST, _T.LEAST, _T.OFTEN, _T.TOP)
    if not superlative or f.has(_T.AVERAGE, _T.PERCENT) or (f.has(_T.TIMES) and f.has(_T.HOW_MANY)):
        return None
    one_row = f.runs(f"(?:MAX|MIN) (?:{_MEASURED} )*(?:ONE|TRANSACTION|EXPENSES)") and not f.runs(
        "(?:MAX|MIN) (?:SPEND |SINGLE |EXPENSES |SUBJECT |ONE )*GROUP"
    )
    group = _ranked(f)
    if group is None or (one_row and not f.has(_T.OFTEN)):
        return None
    counted = f.runs("(?:MOST|LEAST|MAX) (?:TRANSACTION|VISIT|TIMES|ONE)|VISIT (?:SUBJECT |PERIOD )*(?:MOST|LEAST)")
    several = f.said("top_or_rank") and f.said("groups_by_name")
    return Meaning(
        intent=Intent.RANKING,
        aspect=Aspect.NAME,
        group=group,
        per=f.per,
        n=f.n or (5 if several else 1),
        by_count=f.has(_T.OFTEN) or f.said("turns_up") or (counted and not f.has(_T.SPEND)),
        smallest=f.has(_T.MIN, _T.LEAST),
    )


def _ranked(f: Facts) -> Group | None:
    """What is ranked: what is named, else what the question asks for."""
    group = f.group
    if group is None and f.said("which_day") and not f.has(*ROWS) and f.has(_T.MOST, _T.LEAST, _T.MAX, _T.MIN):
        group = Group.DAY
    if group is not None and not (f.has(_T.WHERE, _T.WHO) and group in (Group.DAY, Group.MONTH)):
        return group
    if f.has(_T.WHERE, _T.WHO) or f.said("shop"):
        return Group.MERCHANT
    if not f.subjects and f.has(_T.MOST, _T.LEAST, _T.TOP) and f.said("spends_on"):
        return Group.CATEGORY
    return Group.MERCHANT if f.has(_T.OFTEN) and not f.has(_T.HOW_MANY) else None


def extreme(f: Facts) -> Meaning | None:
    if f.has(_T.AVERAGE, _T.PERCENT, _T.OFTEN):
        return None
    top = f.has(_T.TOP) and (
        f.n is not None
        or f.has(*ROWS, _T.SINGLE, _T.REFUND, _T.TRANSFER, *EARNT)
        or (f.has(_T.HOW_MUCH) and bool(f.subjects))
    )
    graded = f.has(_T.MAX, _T.MIN) or top
    of_rows = f.has(*SPENT, *EARNT, _T.SUBJECT, _T.BUY, _T.REFUND, _T.TRANSFER)
    if not graded and (f.has(_T.WHEN) or not (f.has(_T.MOST, _T.LEAST) and of_rows)):
        return None
    if f.has(_T.WHEN) or (f.group is Group.DAY and not f.has(_T.SINGLE)):
        aspect = Aspect.DATE
    elif f.has(_T.WHERE, _T.WHO) or f.group is Group.MERCHANT:
        aspect = Aspect.NAME
    elif f.group is not None:
        return None
    else:
        aspect = Aspect.AMOUNT
    several = f.said("rows_by_name") and not f.has(_T.MOST, _T.LEAST) and not f.said("one_of_them")
    smallest = f.has(_T.MIN, _T.LEAST)
    return Meaning(
        intent=Intent.SMALLEST if smallest else Intent.LARGEST,
        aspect=aspect,
        per=f.per,
        n=f.n or (5 if several else None),
        smallest=smallest,
        also=SMALL if smallest else LARGE,
    )


def first_or_last(f: Facts) -> Meaning | None:
    first = f.has(_T.FIRST)
    if not (first or f.has(_T.LAST, _T.WHEN)) or f.has(_T.HOW_MANY, _T.AVERAGE, _T.HOW_OFTEN):
        return None
    dated = not f.has(_T.HOW_MUCH) and (
        f.has(_T.WHEN)
        or (f.said("that_time") and not f.runs("WHAT .*(?:SPEND|PAY)"))
        or f.group is Group.DAY
        or f.said("payday_or_earliest")
    )
    aspect = Aspect.AMOUNT
    if dated:
        aspect = Aspect.DATE
    elif f.has(_T.WHERE, _T.WHO) or f.group is Group.MERCHANT:
        aspect = Aspect.NAME
    elif f.group is not None:
        return None
    if f.said("day_of_the_month") and not first:
        aspect = Aspect.MONTH_DAY
    return Meaning(
        intent=Intent.FIRST if first else Intent.LAST,
        aspect=aspect,
        per=f.per,
        n=f.n or 1,
        also=EARLIEST if first else LATEST,
    )


def how_often(f: Facts) -> Meaning | None:
    return plainly(f, Intent.HOW_OFTEN, Aspect.NUMBER) if f.has(_T.HOW_OFTEN) else None


def price_of_each(f: Facts) -> Meaning | None:
    """ "How much is Netflix a month" asks for its price."""
    if not f.fixed_series or f.periods or f.per in (None, "transaction"):
        return None
    if f.has(_T.AVERAGE, _T.BREAKDOWN, _T.LIST):
        return None
    return plainly(f, Intent.RECURRING)


def average(f: Facts) -> Meaning | None:
    shown = f.has(_T.LIST) or (f.per == "transaction" and f.said("show"))
    if f.has(_T.BREAKDOWN) or not (f.has(_T.AVERAGE) or (f.per is not None and not shown)):
        return None
    per = f.per
    if per is None:
        habit = f.has(_T.SPEND, _T.EXPENSES, _T.INCOME, _T.EARN) and not f.has(_T.ONE, _T.TRANSACTION)
        bill = f.said("costs") and f.subjects and not f.said("spend")
        per = "month" if habit and f.all_are("topic") and not bill else "transaction"
    counting = f.has(_T.HOW_MANY, _T.TIMES) and not f.has(_T.HOW_MUCH)
    return replace(plainly(f, Intent.AVERAGE, Aspect.NUMBER if counting else Aspect.AMOUNT), per=per)


def breakdown(f: Facts) -> Meaning | None:
    split = f.group is not None and not f.said("done_by_merchants") and not (f.has(_T.AVERAGE) and f.per)
    by_group = split and f.said("by_group")
    monthly = f.per is not None and (f.has(_T.LIST, _T.BREAKDOWN) or f.said("totals_of_each"))
    if not (f.has(_T.BREAKDOWN) or by_group or monthly):
        return None
    group = f.group
    if group is None and f.per not in (None, "transaction"):
        group = Group(f.per)
    if group is None and f.said("trend"):
        group = Group.MONTH
    return replace(plainly(f, Intent.BREAKDOWN), group=group or Group.CATEGORY)


def count(f: Facts) -> Meaning | None:
    if not f.has(_T.HOW_MANY) and not (f.has(_T.TIMES) and not f.has(_T.HOW_MUCH)):
        return None
    if f.said("how_many_of_a_currency"):
        return None
    # "In how many months did I spend over 3000" bounds months, not rows.
    return replace(plainly(f, Intent.COUNT, Aspect.NUMBER), unread=f.bounded and f.group in _TIMES)


def not_of_rows(f: Facts) -> Meaning | None:
    """ "Where did Lyft take me", "which book did I buy": not in a ledger."""
    if _wants_a_figure(f):
        return None
    merchants = bool(f.subjects) and f.all_are("merchant")
    things = any(
        isinstance(mark.value, Topic)
        and mark.value.name in _THINGS
        and turn("asked_for").search(f.text[: mark.start]) is not None
        for mark in f.marks
    )
    if not (things or (f.has(_T.WHERE) and merchants)):
        return None
    return replace(plainly(f, Intent.LIST), unread=True)


def _wants_a_figure(f: Facts) -> bool:
    return f.has(_T.HOW_MUCH, _T.TOTAL, _T.PRICE) or (f.yes_no and not f.said("polite_order"))


def names(f: Facts) -> Meaning | None:
    """Which merchants or categories."""
    if _wants_a_figure(f):
        return None
    opens = f.runs("^(?:SUBJECT )?GROUP") and not f.has(_T.PAY, _T.AVERAGE) and not f.said("spend_of_that")
    asked = f.has(_T.LIST, _T.WHICH) or f.runs("WHAT GROUP") or f.runs("^(?:WHAT|WHICH)")
    if f.group in _NAMES and opens:
        return plainly(f, Intent.LIST, Aspect.NAME)
    whom = f.has(_T.WHO) and f.has(*SPENT, *EARNT, _T.REFUND, _T.TRANSFER, _T.BUY)
    topics = f.has(_T.WHICH) and f.group is None and f.subjects and f.all_are("topic") and not f.has(*ROWS)
    if f.has(_T.WHERE) or whom:
        return replace(plainly(f, Intent.LIST, Aspect.NAME), group=Group.MERCHANT)
    if f.group in _NAMES and asked:
        return plainly(f, Intent.LIST, Aspect.NAME)
    return replace(plainly(f, Intent.LIST, Aspect.NAME), group=Group.MERCHANT) if topics else None


def rows(f: Facts) -> Meaning | None:
    """The rows themselves."""
    if _wants_a_figure(f):
        return None
    if f.per == "transaction" and f.said("show"):
        # "Give me every charge" is no question per charge.
        return replace(plainly(f, Intent.LIST), per=None, also=frozenset({_T.PER}))
    named = f.has(
        *ROWS, _T.REFUND, _T.TRANSFER, _T.SUBJECT, _T.INCOME, _T.BUY, _T.MONEY_IN, _T.PAY, _T.SPEND
    )  # fmt: skip
    listed = f.has(_T.LIST, _T.WHICH) and (named or f.bounded)
    which = f.runs("WHAT (?:SUBJECT |REFUND |BOUND |PERIOD )*(?:ONE|TRANSACTION)") and not f.said("bill_or_cost")
    bought = (f.has(_T.WHAT) and f.has(_T.BUY) and not f.has(_T.SPEND)) or (f.bounded and f.said("what_costs"))
    bare = f.has(_T.TRANSACTION) and not f.has(_T.SPEND, _T.PAY)
    if f.group is not None or not (listed or which or bought or bare):
        return None
    return plainly(f, Intent.LIST)


def exists(f: Facts) -> Meaning | None:
    if not f.yes_no or f.has(_T.HOW_MUCH, _T.TOTAL):
        return None
    return plainly(f, Intent.EXISTS, Aspect.YES_NO)


def total(f: Facts) -> Meaning:
    """What is left is a sum. A tally of purchases may be their number or their sum."""
    unread = f.said("tally") and not f.has(_T.HOW_MANY) and f.has(_T.ONE, _T.TRANSACTION)
    refunded = f.has(_T.REFUND) and f.has(_T.HOW_MUCH, _T.TOTAL) and f.group is Group.MERCHANT and f.said("merchants")
    also = frozenset({_T.GROUP}) if refunded else frozenset[Tag]()
    return replace(plainly(f, Intent.TOTAL), unread=unread, also=also)


def plainly(f: Facts, intent: Intent, aspect: Aspect = Aspect.AMOUNT) -> Meaning:
    """The intent with the group, unit and number that the words say."""
    return Meaning(intent=intent, aspect=aspect, group=f.group, per=f.per, n=f.n)
