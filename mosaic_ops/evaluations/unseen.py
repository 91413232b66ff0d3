"""More questions over the same ledger, written in many styles before the grammar that they measure.

``UNSEEN`` can be answered, ``UNSEEN_CANNOT`` cannot: balances, item-level detail, the future, other people, reasons,
merchants and times that the ledger never saw. Neither list is looked at while changing the vocabulary.
"""

# ruff: noqa: E501 - a table of questions, one a line
from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from mosaic_ops.evaluations.questions import (
    ALL,
    AS_OF,
    AUG,
    JUL,
    JUN,
    MAY,
    OCT,
    Q2,
    Q3,
    SEP,
    Y25,
    Y26,
    Case,
    N,
    Rows,
    S,
    V,
    best,
    cents,
    diff,
    food,
    income,
    month,
    name,
    newest,
    refund,
    rows,
    top,
    total,
    transfer_out,
)

_Q1 = (date(2026, 1, 1), date(2026, 3, 31))
_H2 = (date(2025, 7, 1), date(2025, 12, 31))


def _one(names: str, span: tuple[date, date]) -> Rows:
    return rows(span, names=[names])


def _mean(found: Rows) -> Decimal:
    return cents(total(found) / len(found))


def _least(found: Rows) -> Decimal:
    return min(abs(t.amount) for t in found)


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return (part * 100 / whole).quantize(Decimal("0.1"))


def _saved(span: tuple[date, date]) -> Rows:
    return [t for t in rows(span, test=transfer_out) if "SAVINGS" in t.description]


def _net(span: tuple[date, date]) -> Decimal:
    return sum((t.amount for t in rows(span, test=lambda t: not t.category.startswith("TRANSFER"))), Decimal(0))


UNSEEN: list[Case] = [
    # spending
    S("whats the total ive spent on petrol since the start of June?", _one("Shell", (JUN[0], AS_OF))),
    S("How much cash has Uber had off me in 2026", _one("Uber", Y26)),
    S("add up everything i paid to Geico in H2 2025", _one("Geico", _H2)),
    S("tot up my food shopping for September", food(SEP)),
    S("Roughly what have we paid for electricity this year?", _one("PG&E", Y26)),
    S("In August how much of my money ended up at Amazon?", _one("Amazon", AUG)),
    S("spent on takeaway coffee in Q3", _one("Starbucks", Q3)),
    S("How much did the gym membership cost me between 1 Feb and 30 April 2026?", _one("Planet Fitness", (date(2026, 2, 1), date(2026, 4, 30)))),
    S("my Home Depot total for the second quarter", _one("Home Depot", Q2)),
    S("groceries, October, how much?", food(OCT)),
    S("How much did I fork over for car insurance last year", _one("Geico", Y25)),
    S("What did we spend on dining out over the past 60 days?", food((AS_OF - timedelta(days=59), AS_OF), out=True)),
    S("How much did I spend on 4 July 2026?", rows((date(2026, 7, 4), date(2026, 7, 4)))),
    S("spending the day before yesterday", rows((date(2026, 11, 22), date(2026, 11, 22)))),
    S("How much did I spend on purchases over $100 in August?", [t for t in rows(AUG) if abs(t.amount) > 100]),
    S("How much did I spend excluding rent and utilities in September?", [t for t in rows(SEP) if t.category != "RENT_AND_UTILITIES"]),
    S("total outgoings in the last fortnight", rows((AS_OF - timedelta(days=13), AS_OF))),
    S("What did I spend on weekdays in July?", [t for t in rows(JUL) if t.posted_on.weekday() < 5]),
    S("How much did I spend at Trader Joe's on Saturdays this year?", [t for t in _one("Trader Joe's", Y26) if t.posted_on.weekday() == 5]),
    S("Uber + Shell spend in August", rows(AUG, names=["Uber", "Shell"])),
    S("How much of my spending in October was on entertainment?", rows(OCT, categories=["ENTERTAINMENT"])),
    S("hw much did i spnd on grocries in augst", food(AUG)),
    S("What did Netflix cost in total over the last 12 months?", _one("Netflix", (date(2025, 11, 25), AS_OF))),
    S("so, er, what's gone out on rideshares since Easter-ish, say April 2026?", _one("Uber", (date(2026, 4, 1), AS_OF))),
    # counts
    N("How many Uber trips have I taken since July?", _one("Uber", (JUL[0], AS_OF))),
    N("how many separate Starbucks visits in Q2 2026", _one("Starbucks", Q2)),
    N("number of purchases bigger than 200 bucks this year", [t for t in rows(Y26) if abs(t.amount) > 200]),
    N("How frequently did I shop at Target in 2025?", _one("Target", Y25)),
    N("count my ATM fees in 2025", rows(Y25, categories=["BANK_FEES"])),
    V("On how many days did I buy coffee in October?", len({t.posted_on for t in _one("Starbucks", OCT)}), _one("Starbucks", OCT)),
    V("How many months this year did I pay Netflix?", 11, _one("Netflix", Y26)),
    N("How many paydays have there been in Q3?", rows(Q3, test=income)),
    # averages
    V("What does a typical Safeway shop come to?", _mean(_one("Safeway", ALL))),
    V("avg. spend per visit at CVS in 2026", _mean(_one("CVS Pharmacy", Y26))),
    V("per month, how much goes on restaurants in 2026 on average?", cents(total(food(Y26, out=True)) / 11)),
    V("What's my mean weekly grocery spend in Q3?", cents(total(food(Q3)) / (Decimal(92) / 7))),
    V("Average daily spend in September", cents(total(rows(SEP)) / 30)),
    V("average paycheck in the last three months of 2025", _mean(rows((date(2025, 10, 1), date(2025, 12, 31)), test=income))),
    # largest, smallest
    V("What's the single biggest amount I paid anyone in 2025?", abs(best(rows(Y25)).amount), [best(rows(Y25))]),
    V("dearest restaurant meal this year", abs(best(food(Y26, out=True)).amount)),
    V("lowest electric bill in 2026", _least(_one("PG&E", Y26))),
    V("Where was my most expensive purchase in July?", name(best(rows(JUL)))),
    V("What are my three largest Amazon purchases this year?", "rows", sorted(_one("Amazon", Y26), key=lambda t: (t.amount, t.posted_on))[:3]),
    V("On what date was my biggest Target purchase?", best(_one("Target", ALL)).posted_on.isoformat()),
    V("priciest Uber ride ever", abs(best(_one("Uber", ALL)).amount)),
    # comparisons
    V("Was October more expensive than September?", "yes" if diff(rows(OCT), rows(SEP)) > 0 else "no"),
    V("Which was higher, grocery spending in May or in June?", "May 2026" if diff(food(MAY), food(JUN)) > 0 else "June 2026"),
    V("Safeway vs Trader Joe's this year - which got more of my money?", top(food(Y26), name)[0]),
    V("How much less did I spend on Uber in August than in July?", diff(_one("Uber", JUL), _one("Uber", AUG))),
    V("Do I spend more on coffee or on fuel?", "coffee" if diff(_one("Starbucks", ALL), _one("Shell", ALL)) > 0 else "fuel"),
    V("By how much did my grocery spending rise from August to September?", diff(food(SEP), food(AUG))),
    V("did i earn more than i spent in october", "yes" if _net(OCT) > 0 else "no"),
    V("What's the difference between Netflix and Spotify costs in 2025?", diff(_one("Netflix", Y25), _one("Spotify", Y25))),
    # income
    S("how much came in from Acme in the second half of last year?", rows(_H2, names=["Acme Corp"], test=income)),
    S("What were my total earnings for Q1 2026?", rows(_Q1, test=income)),
    V("When did my salary last arrive?", newest(rows(ALL, test=income)).posted_on.isoformat()),
    S("take-home pay in August", rows(AUG, test=income)),
    # refunds
    V("Did Amazon refund me anything in 2025?", "yes"),
    S("total money back from Amazon so far", rows(ALL, names=["Amazon"], test=refund)),
    V("what was my biggest refund?", best(rows(ALL, test=refund)).amount, [best(rows(ALL, test=refund))]),
    V("when was the last refund I received", newest(rows(ALL, test=refund)).posted_on.isoformat()),
    # recurring
    V("what am I subscribed to?", ["Planet Fitness", "Netflix", "Spotify"]),
    V("How much does my Netflix subscription cost?", Decimal("15.49")),
    V("how much do I pay for rent each month", Decimal("1850.00")),
    V("What's the annual cost of my Spotify subscription?", 12 * Decimal("10.99")),
    V("do i have a gym membership?", "yes"),
    # top
    V("Top 5 places I spent money in 2026", top(rows(Y26), name, 5)),
    V("rank my 3 biggest categories in October", top(rows(OCT), lambda t: t.category, 3)),
    V("which merchants did I use most often this year, top 3", top(rows(Y26), name, 3, count=True)),
    V("What do I spend most on?", top(rows(ALL), lambda t: t.category)[0]),
    # when
    V("when did i last fill up with petrol", newest(_one("Shell", ALL)).posted_on.isoformat()),
    V("What was the date of my first Starbucks purchase in 2026?", min(t.posted_on for t in _one("Starbucks", Y26)).isoformat()),
    V("How long since I last bought anything from Amazon?", (AS_OF - newest(_one("Amazon", ALL)).posted_on).days),
    # transfers, fees
    S("How much did I put into savings in 2025?", _saved(Y25)),
    S("total ATM charges for 2026", rows(Y26, categories=["BANK_FEES"])),
    N("How many times did I move money to savings this year?", _saved(Y26)),
    # lists
    V("show me everything I bought at Home Depot in 2026", "rows", _one("Home Depot", Y26)),
    V("Which restaurants did I go to in October?", top(food(OCT, out=True), name, 10)),
    V("list the fees I was charged in 2025", "rows", rows(Y25, categories=["BANK_FEES"])),
    # change, net
    V("What percentage of my income in October went on rent?", _share(Decimal(1850), total(rows(OCT, test=income)))),
    V("how much did my spending change from Q2 to Q3", diff(rows(Q3), rows(Q2))),
    V("percentage change in grocery spending between August and September", _share(diff(food(SEP), food(AUG)), total(food(AUG)))),
    V("How much was left over in October after expenses?", _net(OCT)),
    V("Net savings for Q3", _net(Q3)),
    S("bank fees, month of " + f"{AS_OF:%B}", rows(month(2026, 11), categories=["BANK_FEES"])),
]  # fmt: skip

UNSEEN_CANNOT = [
    "What's my current balance at the bank?",
    "how much is in my checking account",
    "What credit rating do I have?",
    "how many calories were in my Chipotle order",
    "which flavour of latte did I buy on Tuesday",
    "Why did I spend so much in July?",
    "who was I with at Luigi's Trattoria",
    "How much will groceries cost me in December 2026?",
    "Predict next month's electricity bill",
    "What will my rent be in 2028?",
    "How much did I spend at Ferrari?",
    "how often do I go to Nando's",
    "when did I last shop at Waitrose",
    "How much did I spend in October 2023?",
    "What were my groceries in summer 2022?",
    "How much did my sister spend last month?",
    "What is Elon Musk's salary?",
    "How much tax will I owe?",
    "what's my spending limit on the Visa",
    "How many miles did I drive on that Shell petrol?",
    "How many kilowatt hours did we use in May?",
    "What's the best credit card for me?",
    "Is Netflix worth the money?",
    "how many points did I earn at Starbucks",
    "what colour was the shirt I bought at Target",
    "What was the exchange rate on 3 May?",
    "How much did I spend on milk?",
    "Did I leave a tip at Luigi's Trattoria?",
    "What's the interest rate on my car loan",
    "How much is left on my Toyota loan?",
    "when does my Geico policy expire",
    "which employee sold me the sofa",
    "What is the address of Bright Smile Dental?",
    "How much do people usually pay for Netflix?",
    "how much is bitcoin right now",
    "What did I eat at Chipotle last week?",
    "Am I richer than I was a year ago?",
    "How happy did that purchase make me",
    "what is the return policy at Home Depot",
    "How much sales tax did I pay in October?",
    "how much did I spend on unicorns",
    "what's the phone number of PG&E",
    "blargh frumious spending flibber",
    "How much did I spend at Trader Joe's in euros?",
]
