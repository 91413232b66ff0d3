"""Rules for questions that set figures against each other, or that ask for what returns. Pure."""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.offline.reading.facts import EARNT, SPENT, Facts, Meaning, Weight, rule, tags
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.agents.offline.reading.shapes import COST, DATED, EXTREMES, ONE_ROW
from mosaic_core.ledger.query import Aspect, Intent

_T = Tag
_MOVED: Final = (_T.UP, _T.DOWN, _T.CHANGE)
_INCOMING: Final = "(?:INCOME|EARN|MONEYIN)"
_MOVES: Final = "MORE LESS THAN UP DOWN CHANGE BEFORE"
_SIDES: Final = f"{_MOVES} OR VERSUS DIFFERENCE COMPARE YEAR_EARLIER WHICH GROUP HOW_MUCH MOST WHERE"
_COMPARED: Final = f"{_SIDES} WHO HOW_MANY HOW_OFTEN TIMES OFTEN LEAST PERCENT MAX MIN SINGLE"
_SERIES: Final = "RECURRING SUBSCRIPTION PRICE"
_ENDED: Final = "LAST AGO STOP SINGLE HOW_MANY"


@rule(Weight.FIGURE, f"{ONE_ROW} {_SERIES} LAST UP DOWN MORE LESS", over="price_change")
def how_high(f: Facts) -> Meaning | None:
    """ "How high has the water bill got": its extreme, no sum."""
    if not f.said("how_high_it_got"):
        return None
    smallest = f.said("how_low")
    also = tags("MIN LEAST" if smallest else "MAX MOST")
    return f.means(Intent.SMALLEST if smallest else Intent.LARGEST, smallest_first=smallest, n=1, also=also)


@rule(Weight.FIGURE, f"{_MOVES} {_SERIES} LAST HOW_MUCH PERCENT WHICH LIST", over="series_ends")
def price_change(f: Facts) -> Meaning | None:
    """ "Has Netflix gone up?", "what subscriptions have raised their price", "what was the price increase"."""
    graded = f.said("dearer") and not f.has(_T.OR, _T.THAN, _T.VERSUS)
    moved = f.has(*_MOVED) or (f.has(_T.MORE, _T.LESS) and f.has(_T.BEFORE)) or graded
    series = f.has(_T.SUBSCRIPTION, _T.RECURRING, _T.PRICE)
    if not moved or f.periods or f.has(_T.GROUP, _T.INCOME, _T.EARN) or not (f.subjects or series):
        return None
    habit = f.has(_T.SPEND, _T.BUY, _T.VISIT) and not f.has(_T.PRICE, _T.ONE) and not f.fixed_series
    if f.subjects and habit and not series:
        return None
    also = ""
    if f.has(_T.PERCENT):
        aspect = Aspect.RATIO
    elif not f.subjects and (not f.yes_no or f.has(_T.WHICH)):
        aspect = Aspect.NAME
    elif f.has(_T.WHEN) and f.fixed_series:
        aspect, also = Aspect.DATE, "WHEN"
    else:
        aspect = Aspect.YES_NO if f.yes_no and not f.has(_T.HOW_MUCH) else Aspect.AMOUNT
    # The last bill against the one before it, whatever earlier ones were.
    n = 2 if f.has(_T.BEFORE) and f.said("last_bill") else f.n
    return f.means(Intent.PRICE_CHANGE, aspect, n=n, smallest_first=f.has(_T.DOWN), also=tags(also))


@rule(Weight.FIGURE, DATED, over="still_paid")
def series_ends(f: Facts) -> Meaning | None:
    """When a series began or ended."""
    asks = f.has(_T.WHEN, _T.LAST, _T.FIRST) or f.said("since_when")
    if not f.subjects or not asks or f.has(_T.HOW_MANY, _T.AVERAGE):
        return None
    if f.has(_T.STOP) and not f.has(_T.FIRST):
        return f.means(Intent.LAST, Aspect.DATE, also=tags(_ENDED))
    began = f.has(_T.START) or (f.said("subscribed_to") and f.has(_T.WHEN) and not f.has(_T.LAST))
    return f.means(Intent.FIRST, Aspect.DATE, also=tags("FIRST START")) if began and not f.has(_T.AGO) else None


@rule(Weight.FIGURE, COST, over="recurring")
def still_paid(f: Facts) -> Meaning | None:
    """ "Do I still pay for Netflix?"."""
    still = f.yes_no and f.subjects and not f.periods and f.said("still") and f.has(_T.PAY, _T.SUBSCRIPTION)
    return f.means(Intent.RECURRING, Aspect.YES_NO) if still else None


@rule(Weight.FIGURE, COST, over="change_in_percent")
def recurring(f: Facts) -> Meaning | None:
    """What returns: its names, its number, its cost."""
    bills = f.said("bills") and not f.subjects and not f.periods and f.has(_T.LIST, _T.WHICH, _T.HOW_MANY)
    compared = f.has(_T.MORE, _T.LESS, _T.UP, _T.DOWN) and f.periods > 1
    other = f.has(_T.NET, _T.PERCENT, _T.AVERAGE, _T.AGO, _T.DIFFERENCE, _T.VERSUS, _T.TIMES)
    if not (bills or f.has(_T.RECURRING, _T.SUBSCRIPTION)) or compared or other:
        return None
    if f.has(_T.LAST, _T.FIRST, _T.WHEN, _T.START):
        return None
    aspect, smallest = _of_series(f), f.has(_T.MIN, _T.LEAST)
    if f.has(*EXTREMES):
        return f.means(Intent.RECURRING, aspect, smallest_first=smallest, n=f.n or 1)
    per = None if aspect is Aspect.AMOUNT and f.per == "transaction" else f.per
    return f.means(Intent.RECURRING, aspect, per=per)


def _of_series(f: Facts) -> Aspect:
    if f.has(*EXTREMES):
        return Aspect.AMOUNT if f.runs("HOWMUCH") or f.said("cost_of_the_most") else Aspect.NAME
    if f.has(_T.HOW_MANY):
        return Aspect.NUMBER
    money = f.has(_T.HOW_MUCH, _T.SPEND, _T.TOTAL, _T.PRICE, _T.PER) or f.said("bills_come_to")
    which = f.said("what_subscriptions") or f.runs("WHAT .*(?:PAY|SUBSCRIPTION)")
    names = f.has(_T.LIST, _T.WHICH) or (which and not f.has(_T.SPEND, _T.PER))
    if f.has(_T.HOW_MUCH, _T.TOTAL) or (money and not names) or (f.subjects and money and not f.yes_no):
        return Aspect.AMOUNT
    return Aspect.YES_NO if f.yes_no else Aspect.NAME


@rule(Weight.FIGURE, f"{_COMPARED}", over="share")
def change_in_percent(f: Facts) -> Meaning | None:
    moved = f.has(*_MOVED, _T.MORE, _T.LESS, _T.DIFFERENCE, _T.VERSUS)
    if not (f.has(_T.PERCENT) and moved and (f.periods > 1 or f.ranges)):
        return None
    later_first = f.has(*_MOVED, _T.DIFFERENCE) and not f.has(_T.THAN)
    return f.means(Intent.COMPARE, Aspect.RATIO, later_first=later_first, by_subject=_sides(f)[1])


@rule(Weight.FIGURE, "PERCENT HOW_MUCH WHICH GROUP MAX", over="net")
def share(f: Facts) -> Meaning | None:
    return f.means(Intent.SHARE, Aspect.RATIO) if f.has(_T.PERCENT) else None


@rule(Weight.FIGURE, "NET OVERSPENT EXCEPT MORE LESS THAN VERSUS HOW_MUCH COMPARE DIFFERENCE UP DOWN LIST")
def net(f: Facts) -> Meaning | None:
    """What came in less what went out."""
    against = _income_against_spending(f)
    if f.said("bottom_line") and f.has(*SPENT) and not f.has(*EARNT):
        return None
    saved = f.has(_T.SAVE) and not f.has(_T.TARGET, _T.REFUND) and not f.subjects
    if not (f.has(_T.NET, _T.OVERSPENT) or against or saved):
        return None
    if f.has(_T.NET) and (f.subjects or f.has(_T.REFUND, _T.TRANSFER, _T.TARGET)):
        return None
    taken_off = f.runs(f"{_INCOMING} (?:EXCEPT|LESS|VERSUS) (?:SPEND|EXPENSES|MONEYOUT)") or f.has(_T.HOW_MUCH)
    asks_yes = f.yes_no and (against or f.has(_T.OVERSPENT) or not f.said("net")) and not taken_off
    spend_first = f.runs("(?:SPEND|EXPENSES|MONEYOUT|PAY)\\b.*(?:INCOME|EARN|MONEYIN|PAIDME)")
    turned = against and spend_first == f.has(_T.MORE, _T.UP) and not f.said("cover")
    return f.means(Intent.NET, Aspect.YES_NO if asks_yes else Aspect.AMOUNT, deficit=turned or f.said("deficit"))


def _income_against_spending(f: Facts) -> bool:
    if not (f.has(*EARNT) and f.has(*SPENT)) or f.has(_T.PERCENT):
        return False
    if any(subject.name != "salary" for subject in f.subjects):
        return False
    graded = f.has(_T.MORE, _T.LESS, _T.UP, _T.DOWN) and not f.runs("PERIOD .*THAN .*PERIOD")
    joined = f.runs(f"{_INCOMING} (?:EXCEPT|LESS|VERSUS|THAN|AND) (?:SPEND|EXPENSES|MONEYOUT|PAY)")
    return graded or joined or (f.has(_T.DIFFERENCE, _T.COMPARE) and f.periods < 2)


def _sides(f: Facts) -> tuple[bool, bool]:
    """(whether the question sets two things against each other; whether these are its subjects and not its times)."""
    subject, period = ([i for i, mark in enumerate(f.marks) if tag in mark.tags] for tag in (_T.SUBJECT, _T.PERIOD))
    if len(f.subjects) < 2 or len(subject) < 2:
        return f.periods > 1 or f.ranges > 0, False
    between = {tag for mark in f.marks[subject[0] + 1 : subject[-1]] for tag in mark.tags}
    if between & {_T.THAN, _T.OR, _T.VERSUS} or f.periods < 2:
        return True, True
    return bool(period), False


@rule(Weight.RELATION, f"{_SIDES} LIST", over="compare")
def what_changed(f: Facts) -> Meaning | None:
    """Which categories or merchants moved, and by how much."""
    if not f.has(*_MOVED) or f.subjects or f.has(_T.AVERAGE, _T.NET):
        return None
    if not f.periods and (f.has(_T.GROUP) or f.said("what_changed_opens")):
        return f.means(Intent.CHANGES)
    return f.means(Intent.CHANGES, also=tags("BREAKDOWN")) if f.has(_T.GROUP) or f.said("what_changed") else None


@rule(Weight.RELATION, f"{_COMPARED} {_SERIES}", over="days_since")
def compare(f: Facts) -> Meaning | None:
    choosing_word = f.has(*EXTREMES, _T.OFTEN) and f.has(_T.OR, _T.VERSUS)
    graded = f.has(_T.MORE, _T.LESS) or choosing_word
    moved = f.has(*_MOVED)
    told = f.has(_T.DIFFERENCE, _T.COMPARE, _T.VERSUS)
    if not (graded or moved or told) or f.has(_T.AVERAGE, _T.NET):
        return None
    two, by_subject = _sides(f)
    figures = (moved or told) and (f.has(*SPENT, *EARNT) or bool(f.subjects))
    if not (two or figures or f.has(_T.BEFORE, _T.YEAR_EARLIER)):
        return None
    onward = moved and not f.has(_T.DIFFERENCE)
    onward = onward or (f.has(_T.DIFFERENCE) and f.periods == 1 and f.said("from_to"))
    aspect = _compared(f, graded=graded)
    of_money = f.has(_T.DIFFERENCE) or _how_much_of_one(f)
    return f.means(
        Intent.COMPARE,
        aspect,
        by_subject=by_subject,
        by_count=not of_money and _by_count(f),
        smallest_first=f.has(_T.LESS, _T.DOWN, _T.LEAST, _T.MIN) and not f.has(_T.MORE, _T.UP),
        later_first=onward and not by_subject and (f.has(_T.CHANGE) or not f.has(_T.THAN, _T.VERSUS)),
        # "Compared with last month, how far off is this month's": the second is what is asked about.
        swapped=not by_subject and f.runs("^(?:WHAT )?(?:COMPARE|THAN|VERSUS)[A-Z+]* PERIOD .*PERIOD"),
        also=tags("LIST" if aspect is Aspect.AMOUNT and not of_money else ""),
    )


def _how_much_of_one(f: Facts) -> bool:
    return f.has(_T.HOW_MUCH) and not f.has(_T.WHICH, _T.WHO)


def _by_count(f: Facts) -> bool:
    if f.has(_T.TIMES, _T.OFTEN, _T.HOW_OFTEN, _T.HOW_MANY):
        return True
    of_money = f.said("bill") or f.has(_T.SPEND, _T.PAY, _T.HOW_MUCH, _T.EXPENSES, _T.DIFFERENCE)
    return not of_money and f.runs(
        "(?:MORE|LESS|MOST|LEAST)(?: (?:VISIT|ONE|TRANSACTION))|VISIT (?:MORE|MOST|LESS|LEAST)"
        "|(?:VISIT|ONE|TRANSACTION) .*(?:MORE|MOST|OFTEN)"
    )


def _compared(f: Facts, *, graded: bool) -> Aspect:
    choosing = (
        f.has(_T.WHICH, _T.WHERE, _T.WHO) or f.runs("WHAT (?:SPEND |PAY |PERIOD )*(?:MORE|LESS|MOST)") or f.has(_T.OR)
    )
    if f.has(_T.DIFFERENCE) or _how_much_of_one(f):
        return Aspect.AMOUNT
    if f.has(_T.HOW_MANY):
        return Aspect.NUMBER
    if choosing and (graded or f.has(_T.OR)) and not (f.yes_no and f.has(_T.THAN) and not f.has(_T.OR)):
        return Aspect.NAME
    if f.yes_no or (f.runs("(?:MORE|LESS) .*THAN") and not f.has(_T.HOW_MUCH)):
        return Aspect.YES_NO
    return Aspect.AMOUNT


@rule(Weight.RELATION, f"{DATED} {_ENDED}", over="exceeds")
def days_since(f: Facts) -> Meaning | None:
    dated = f.has(_T.WHEN) and not f.said("days")
    return f.means(Intent.LAST, Aspect.DATE if dated else Aspect.DAYS, n=None) if f.has(_T.AGO) else None


@rule(Weight.RELATION, "MORE LESS THAN LIST")
def exceeds(f: Facts) -> Meaning | None:
    """Whether a sum is over or under an amount."""
    one = f.has(_T.ONE, _T.TRANSACTION, _T.SINGLE) or f.said("anything")
    over = f.yes_no and f.bounded and not one and f.has(*SPENT, *EARNT, _T.TOTAL)
    return f.means(Intent.EXCEEDS, Aspect.YES_NO) if over else None
