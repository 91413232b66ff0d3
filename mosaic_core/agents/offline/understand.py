"""From a question in plain English to a `Query`, or to the reason why the ledger cannot answer it. Pure."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from mosaic_core.agents.offline.ledgerview import Merchant, Row, compact, find_merchant, in_topic
from mosaic_core.agents.offline.periods import Period, add_months, everything, find_periods, number
from mosaic_core.agents.offline.query import Aspect, Flow, Group, Intent, Query, Refusal, Subject
from mosaic_core.agents.offline.vocabulary import STOP_WORDS, TOPICS, TRANSFERS, Topic

_CURRENCY_WORDS: Final = {
    "dollars": "USD", "dollar": "USD", "usd": "USD", "euros": "EUR", "euro": "EUR", "eur": "EUR", "pounds": "GBP", "gbp": "GBP", "sterling": "GBP", "yen": "JPY", "jpy": "JPY", "francs": "CHF", "chf": "CHF",
    "cad": "CAD", "aud": "AUD", "sek": "SEK", "kronor": "SEK", "mxn": "MXN", "pesos": "MXN", "inr": "INR", "rupees": "INR", "brl": "BRL", "reais": "BRL",
}  # fmt: skip
_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()

_REFUSALS: Final = tuple(
    (re.compile(pattern), Refusal(code, text))
    for code, pattern, text in (
        (
            "balances_not_in_ledger",
            r"\bbalances?\b|\bhow much (?:money |cash |do )*(?:do )?(?:i|we) (?:currently |still )?(?:have|own|got)(?: left)?\b(?! (?:spent|paid|earned|made|been|to pay|received|sent|donated|transferred|given|put|moved|blown|saved|used|withdrawn|gotten|got|bought|refunded|lost))|\bnet worth\b"
            r"|\bmoney (?:is |do i have |have i got )?(?:left|available|remaining)\b|\bin my (?:checking|savings|bank) account (?:right )?now\b|\b(?:left|remaining) (?:in|on) my\b|\bleft to (?:pay|spend)\b|\bcredit limit\b|\bavailable (?:credit|funds)\b|\b(?:do|did) i owe\b|\bi owe\b|\boutstanding\b|\bhow rich\b|\bassets\b|\bworth\b",
            "The ledger holds transactions, not balances, so it cannot say that.",
        ),
        (
            "future_not_in_ledger",
            r"\b(?:will|wont|shall|gonna|going to) (?:i|we|my|be|it|the|cost|netflix|have)\b|\b(?:i|it|we|that|rent|bills?|spending|income) will\b|\bforecast|\bpredict|\bproject(?:ed|ion)|\bexpect(?:ed)? to\b|\bnext (?:payment|bill|charge|paycheck|payday|month|week|year|quarter)\b|\btomorrow\b|\bupcoming\b|\bin the future\b|\b(?:when|what) (?:is|are|s) .* due\b|\bhow (?:long|many (?:months|years)) until\b|\bam i going to\b|\bby the end of\b.*\bwill\b|\bin \d+ (?:years|months) time\b",
            "The ledger records what has happened; it cannot tell the future.",
        ),
        (
            "advice_not_given",
            r"\bshould (?:i|we)\b|\b(?:can|could) (?:i|we) afford\b|\b(?:recommend|advice|advise|suggest|suggestion)\b|\bbest (?:way|card|bank|credit|savings|investment|stock|rate)\b|\bhow (?:can|could|do|should) (?:i|we) (?:save|cut|reduce|lower|improve|invest|budget|get out|pay off|cancel|spend less)\b|\bis it (?:wise|smart|ok|a good|worth|better|normal|too much)\b|\bam i (?:on track|overspending|over budget|under budget|doing|saving enough|spending too)\b|\btoo much\b|\bwhat if\b|\bhow would\b|\bbudget\b|\bworth it\b|\bgood idea\b|\bhow (?:to|do i) \b|\bafford\b|\bwhich (?:stocks?|funds?|shares?)\b.*\b(?:buy|invest)\b|\bwaste(?:ful)?\b",
            "That asks for advice or a judgement; the ledger only holds what was paid and received.",
        ),
        (
            "other_people_not_in_ledger",
            r"\b(?:other|average|typical|most) (?:people|households?|families|americans?|person|customers?|users?)\b|\b(?:neighbou?rs?|friends?|colleagues?|boss|coworkers?|co-workers?)(?:'s|s)? (?:spend|spent|pay|paid|earn|make|made|salary|income|income|transactions?|account|rent|ledger|household)\b|\b(?:did|does|do|has|have) (?:my |the |our )?(?:neighbou?rs?|friends?|colleagues?|boss|parents|brother|sister|coworkers?)\b|\bother households?\b|\banother household\b|\bsomeone else\b|\b(?!(?:this|my|our|the|day|night|today|yesterday|week|month|quarter|year|spring|summer|autumn|fall|winter)\b)\w+'s (?:household|ledger|spending|salary|finances)\b|\bhousehold (?:of|b|[0-9a-f]{8,})\b|\bcompared? (?:to|with) (?:others|average|people|the average|everyone)",
            "The ledger is this household's own; it says nothing of other people.",
        ),
        (
            "not_about_the_ledger",
            r"\bweather\b|\bjokes?\b|\bpoems?\b|\bcapital of\b|\bpresident\b|\brecipes?\b|\bwho are you\b|\bwho is\b|\bcredit score\b|\bstock price|\bshare price\b|\b(?:interest|exchange|inflation|mortgage|tax) rates?\b|\bnews\b|\bmeaning of\b|\btranslate\b|\bwhat (?:day|time|date) is it\b|\bhow (?:old|tall) \b|\bsports?\b.*\bscore\b|\bbitcoin price\b|\bprice of (?:gold|bitcoin|oil|gas|a)\b|\bhow are you\b|\bwhat can you do\b|\bpassword\b|\bsystem prompt\b|\binstructions\b|\bphone number\b|\baddress\b|\baccount number\b|\brouting number\b|\bsocial security\b|\bpin code\b|\bphotos?\b|\bcalories\b|\bhow many (?:miles|gallons|litres|liters|items|hours|steps|people)\b|\bwrite (?:me )?(?:a|an|some)\b|\bwhat did i (?:eat|drink|wear|watch)\b|\bwarranty\b|\binvested in\b.*\breturn\b|\bcurrent value\b|\bportfolio\b|\bretire",
            "That is not something that a ledger of transactions can answer.",
        ),
        (
            "details_not_in_ledger",
            r"\bwhat (?:size|colou?rs?|flavou?rs?)\b|\bwhat time (?!of\b)|\bwhich (?:films?|movies?|books?|songs?|albums?|dish(?:es)?|seats?|sizes?|colou?rs?)\b|\bwho (?:drove|served|cut|cooked|delivered|fixed|sold|treated|cleaned)\b"
            r"|\bhow many (?:cups|slices|bottles|kilos?|grams|points|calories)\b|\b(?:reward|bonus|air|loyalty) (?:miles|points)\b|\bco2\b|\bemissions?\b|\bhow (?:far|fast|heavy)\b|\bany good\b|\b(?:is|was|are|were) .{0,40}\bfair\b|\bwhat made (?:me|us)\b"
            r"|\bdo(?:es)? (?:my|the|our) \w+ do with\b|\bapr (?:on|of|for)\b|\b(?:overdraft|card|withdrawal) limit\b|\b(?:open|close)s? (?:today|tomorrow|at)\b",
            "The ledger holds who was paid, how much and when, and nothing else of what was bought.",
        ),
        (
            "reasons_not_in_ledger",
            r"^why\b|\bthe reason\b|\bwhy (?:did|was|is|do|has)\b|\bwhat(?:'s| is| was) .* for$|\bwas it me\b|\bis (?:it|this) (?:fraud|legit|a scam)\b",
            "The ledger says what was paid, not why.",
        ),
    )
)  # fmt: skip

_AMOUNT: Final = (
    r"(?:[$€£¥]\s?)?(\d[\d,]*(?:\.\d+)?)\s?(k\b)?(?:\s?(?:dollars?|bucks|euros?|usd|eur|gbp|pounds?|[$€£]))?"
)
_OVER: Final = re.compile(
    rf"\b(over|above|more than|greater than|exceed(?:s|ed|ing)?|bigger than|larger than|higher than|at least|no less than|minimum of|upwards of|of at least|>=?|north of) {_AMOUNT}(?! (?:times|days|weeks|months|transactions|purchases|payments|visits|charges|of my|percent|%))(?:\s?(?:or more))?"
)
_OR_MORE: Final = re.compile(rf"{_AMOUNT} (?:or more|and (?:up|above|over)|plus)\b")
_UNDER: Final = re.compile(
    rf"\b(under|below|less than|smaller than|cheaper than|lower than|at most|no more than|up to|not more than|<=?|maximum of) {_AMOUNT}(?! (?:times|days|weeks|months))"
)
_BETWEEN: Final = re.compile(rf"\bbetween {_AMOUNT} (?:and|to) {_AMOUNT}")
_EXACTLY: Final = re.compile(r"\b(?:of|for|exactly|worth) (?:exactly )?[$€£]\s?(\d[\d,]*(?:\.\d+)?)\b")


def tidy(question: str) -> str:
    """Lower case, plain apostrophes and spaces, no invisible characters, no thousands separators' trouble."""
    text = unicodedata.normalize("NFKC", question)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Cn"))
    text = re.sub(r"[’‘`´]", "'", text.lower())
    text = re.sub(r"[“”«»]", '"', text)
    text = re.sub(r"\b(what|how|where|who|when|that|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"\b(i|we|you|they)'ve\b", r"\1 have", text)
    text = re.sub(r"\b(i|we|you)'m\b", r"\1 am", text)
    text = re.sub(r"\b(i|we|you|he|she|they)'d\b", r"\1 would", text)
    text = re.sub(r"\b(do|did|does|has|have|was|were|is|are)n't\b", r"\1 not", text)
    text = re.sub(r"\b(?:shell|fork|splash|lay)(?:ed|ing)? out\b|\bsplurged? on\b", "spend on", text)
    return " ".join(re.sub(r"[?!;]+|\.(?=\s|$)|…", " ", text).split())


def understand(question: str, rows: Sequence[Row], *, as_of: date) -> Query | Refusal:
    """The question as a query on ``rows`` (oldest first, none after ``as_of``), or a refusal."""
    text = tidy(question)
    if not re.search(r"[a-z]{2}", text):
        return Refusal("not_understood", "I could not read a question on the ledger in that.")
    for pattern, refusal in _REFUSALS:
        if pattern.search(text) and not (refusal.code == "reasons_not_in_ledger" and _CHANGE.search(text)):
            return refusal
    periods, rest = find_periods(text, as_of)
    rest, thresholds = bounds_in(rest)
    # What was said of words is settled on the text without its periods and amounts.
    words = _Words(text, rest, as_of)
    words.thresholds = thresholds
    currency, rest = _currency(rest, rows)
    account, rest = _account(rest, rows)
    weekdays, rest = _weekdays_in(rest)
    subjects, without, unknown, doubt = _subjects(rest, rows, words)
    if unknown is not None:
        return Refusal(
            "unknown_merchant",
            f"The ledger has nothing by the name of {unknown!r}.",
            (("unknown", unknown),),
        )
    if not subjects and not words.about_money:
        return Refusal("not_understood", "I could not tell what about the ledger was asked.")
    intent, aspect, group, per, n = words.intent(periods, subjects)
    if intent is Intent.TOTAL and subjects and not periods and _PRESENT.search(text):
        # "How much is my rent?" asks for what it costs now, where it recurs.
        intent, per = Intent.RECURRING, "month"
    period = periods[0] if periods else everything(as_of)
    other = periods[1] if len(periods) > 1 else None
    if intent in (Intent.COMPARE, Intent.CHANGES):
        period, other = _two_periods(periods, text, as_of, subjects, intent)
    elif other is not None:
        period, other = _joined(periods), None
    flow = words.flow(subjects, intent, rows)
    if flow in (Flow.TRANSFERS, Flow.TRANSFERS_IN, Flow.TRANSFERS_OUT) and not subjects:
        subjects = _transfer_target(text, rows)
    return Query(
        intent=intent,
        flow=flow,
        as_of=as_of,
        period=period,
        other_period=other,
        subjects=subjects,
        without=without,
        group=group,
        per=per,
        aspect=aspect,
        n=n,
        at_least=thresholds[0],
        at_most=thresholds[1],
        strictly=thresholds[2],
        currency=currency,
        account_id=account,
        weekdays=weekdays,
        net_of_refunds=bool(_NET_REFUNDS.search(text)),
        recurring_kind=words.recurring_kind,
        smallest_first=words.smallest,
        doubt=doubt,
    )


# ------------------------------------------------------------------------------------------------------------ details


def _decimal(digits: str, thousand: str | None = None) -> Decimal:
    try:
        return Decimal(digits.replace(",", "")[:20]) * (1000 if thousand else 1)
    except InvalidOperation:
        return Decimal(0)


def bounds_in(text: str) -> tuple[str, tuple[Decimal | None, Decimal | None, bool]]:
    """The text without amounts that bound rows, and (least, most, whether the bounds themselves are outside)."""
    between = _BETWEEN.search(text)
    if between:
        low, high = _decimal(between[1], between[2]), _decimal(between[3], between[4])
        return text.replace(between.group(), " "), (min(low, high), max(low, high), False)
    for pattern in (_OVER, _OR_MORE):
        match = pattern.search(text)
        if match:
            more = pattern is _OR_MORE or match.group().endswith("or more")
            digits, thousand = (match[1], match[2]) if pattern is _OR_MORE else (match[2], match[3])
            loose = more or (match[1] in ("at least", "no less than", "minimum of", "of at least", ">=", "upwards of"))
            return text.replace(match.group(), " "), (_decimal(digits, thousand), None, not loose)
    match = _UNDER.search(text)
    if match:
        loose = match[1] in ("at most", "no more than", "up to", "not more than", "<=", "maximum of")
        return text.replace(match.group(), " "), (None, _decimal(match[2], match[3]), not loose)
    match = _EXACTLY.search(text)
    if match:
        value = _decimal(match[1])
        return text.replace(match.group(), " "), (value, value, False)
    return text, (None, None, True)


def _currency(text: str, rows: Sequence[Row]) -> tuple[str | None, str]:
    known = {row.tx.currency for row in rows}
    for match in re.finditer(
        r"\bin ([a-z]{3,8})\b|\b([a-z]{3,8})(?= (?:transactions|spending|purchases|payments))|\b(usd|eur|gbp|jpy|chf)\b",
        text,
    ):
        word = next(g for g in match.groups() if g)
        code = _CURRENCY_WORDS.get(word) or (word.upper() if word.upper() in known else None)
        if code is not None:
            return code, text.replace(match.group(), " ", 1)
    return None, text


def _account(text: str, rows: Sequence[Row]) -> tuple[str | None, str]:
    """An account that is named by its id, or by a kind that only one account's id carries."""
    accounts = sorted({row.tx.account_id for row in rows})
    for account in accounts:
        match = re.search(
            rf"\b(?:from|on|in|with|via|using|to|by)? ?(?:my |the |account )*{re.escape(account.lower())}(?: account| card)?(?![\w-])",
            text,
        )
        if (
            match
            and len(account) >= 3
            and (
                any(c.isdigit() for c in account)
                or "account" in match.group()
                or "card" in match.group()
                or re.match(r"(?:from|on|in|with|via|using) (?:my|the)", match.group())
            )
        ):
            return account, text.replace(match.group(), " ", 1)
    match = re.search(
        r"\b(?:from|on|in|with|via|using) (?:my |the |our )(checking|savings|credit card|joint|current|visa|amex|mastercard|debit card)(?: account| card)?\b",
        text,
    )
    if match:
        kind = match[1].split()[0]
        having = [account for account in accounts if kind in account.lower()]
        if len(having) == 1:
            return having[0], text.replace(match.group(), " ", 1)
    return None, text


def _weekdays_in(text: str) -> tuple[frozenset[int], str]:
    found: set[int] = set()
    for match in re.finditer(
        r"\b(?:on |over |during |at )?(?:the )?(weekends?|weekdays?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b",
        text,
    ):
        word = match[1].rstrip("s")
        if word in ("weekend", "weekday"):
            if re.search(r"which|what|breakdown|by (?:the )?$", text[: match.start()]):
                continue
            found |= {5, 6} if word == "weekend" else set(range(5))
        elif word in _WEEKDAYS and match[1].endswith("s"):
            found.add(_WEEKDAYS.index(word))
        else:
            continue
        text = text.replace(match.group(), " ", 1)
    return frozenset(found), text


def _joined(periods: Sequence[Period]) -> Period:
    """Several periods in one question that does not compare: from the first day to the last where they touch, else the
    narrowest that lies in the others ("in May this year")."""
    ordered = sorted(periods, key=lambda p: (p.days, p.start))
    if all(ordered[0].start >= p.start and ordered[0].end <= p.end for p in ordered[1:]):
        return ordered[0]
    return Period(min(p.start for p in periods), max(p.end for p in periods), " and ".join(p.label for p in periods))


def _two_periods(
    periods: Sequence[Period], text: str, as_of: date, subjects: Sequence[Subject], intent: Intent
) -> tuple[Period, Period | None]:
    if len(periods) >= 2:
        first, second = periods[0], periods[1]
        return first, second
    if len(subjects) >= 2 and intent is Intent.COMPARE:
        return (periods[0] if periods else everything(as_of)), None
    period = periods[0] if periods else None
    if period is None:
        start = as_of.replace(day=1)
        period = Period(start, as_of, f"this month ({as_of:%B %Y})")
    if re.search(
        r"\b(?:a year (?:ago|earlier|before)|the year before|year[- ]over[- ]year|the same (?:month|quarter|period) (?:of )?(?:last|the previous) year)\b",
        text,
    ):
        return period, Period(add_months(period.start, -12), add_months(period.end, -12), "a year earlier")
    return period, _before(period)


def _before(period: Period) -> Period:
    """The period of the same kind just before."""
    if period.start.day == 1 and (period.end.month, period.end.year) == (period.start.month, period.start.year):
        start = add_months(period.start, -1)
        end = date.fromordinal(period.start.toordinal() - 1)
        return Period(start, end, f"{start:%B %Y}")
    if (period.start.month, period.start.day) == (1, 1) and period.end.year == period.start.year and period.days > 92:
        return Period(
            date(period.start.year - 1, 1, 1), date(period.start.year - 1, 12, 31), str(period.start.year - 1)
        )
    if period.start.day == 1 and 89 <= period.days <= 92:
        start = add_months(period.start, -3)
        return Period(start, date.fromordinal(period.start.toordinal() - 1), f"the quarter from {start}")
    last = max(2, period.start.toordinal() - 1)
    first = date.fromordinal(max(1, last - period.days + 1))
    return Period(first, date.fromordinal(last), f"{first} to {date.fromordinal(last)}")


# ----------------------------------------------------------------------------------------------------------- subjects

_TOKEN: Final = re.compile(r"[0-9a-z&+][0-9a-z&+'./*-]*")
_NAMES_SOMETHING: Final = frozenset("at on for to from with by of".split())
_MOST_NAMES: Final = 8
_IGNORED_UNKNOWN: Final = frozenset(
    "blow blown burn burned burnt fork forked shell shelled dish drop pour poured splurge splurged waste wasted throw threw spends dropped lately ago now".split()
)


def _subjects(
    text: str, rows: Sequence[Row], words: _Words
) -> tuple[tuple[Subject, ...], tuple[Subject, ...], str | None, float]:
    """(what is asked about, what is excluded, a name that the ledger does not know, doubt)."""
    excluded: tuple[Subject, ...] = ()
    match = re.search(
        r"\b(?:excluding|except(?: for)?|without|not (?:including|counting)|apart from|other than|besides|minus|ignoring|leaving out)\b (.+)",
        text,
    )
    if match and not re.search(r"\btransfers?\b|\brefunds?\b", match[1]):
        excluded, _, _, _ = _subjects(match[1], rows, words)
        text = text[: match.start()]
    elif match:
        text = text[: match.start()]
    found: list[tuple[int, Subject]] = []
    doubt = 0.0
    unknown: str | None = None
    for quoted in re.finditer(r'"([^"]{2,60})"', text):
        merchant = find_merchant(quoted[1], rows)
        if merchant is None:
            return (), (), quoted[1], 0.0
        found.append((quoted.start(), _of_merchant(merchant)))
    text = re.sub(r'"[^"]*"', lambda m: "\x00" * len(m.group()), text)
    text, whole = _whole_names(text, rows)
    found += whole
    for hit, topic in _topic_hits(text):
        before = text[: hit.start()].rstrip()
        if hit.group() in _LOOSE_TOPICS and not _TAKES_TOPIC.search(before):
            continue
        ids = frozenset(row.tx.transaction_id for row in rows if in_topic(row, topic))
        found.append((hit.start(), Subject(topic.name, "topic", ids)))
        text = text[: hit.start()] + "\x00" * len(hit.group()) + text[hit.end() :]
    for start, term, preposition in _leftovers(text)[:_MOST_NAMES]:
        merchant = find_merchant(term, rows)
        if merchant is None and term.endswith("'s"):
            merchant = find_merchant(term[:-2], rows)
        if merchant is not None:
            found.append((start, _of_merchant(merchant)))
            doubt += 0.0 if merchant.exact else 0.15
            continue
        parts = [(part, find_merchant(part, rows)) for part in term.split()[:_MOST_NAMES] if len(compact(part)) >= 4]
        known = [m for _, m in parts if m is not None and m.exact]
        if known and preposition:
            found.append((start, _of_merchant(known[0])))
            doubt += 0.2
        elif preposition and term not in _IGNORED_UNKNOWN:
            unknown = unknown or term
        elif term not in _IGNORED_UNKNOWN:
            doubt += 0.15
    found.sort(key=lambda item: item[0])
    subjects: list[Subject] = []
    for _, subject in found:
        if all(subject.name != other.name for other in subjects):
            subjects.append(subject)
    merchants = [s for s in subjects if s.kind == "merchant"]
    topics = [s for s in subjects if s.kind == "topic"]
    if len(merchants) == 1 and len(topics) == 1 and not re.search(r"\b(?:and|or|vs|versus|than|with)\b|,", text):
        both = merchants[0].ids & topics[0].ids
        if not both or merchants[0].ids <= topics[0].ids:
            return (merchants[0],), excluded, unknown, min(doubt, 0.5)
        return (
            (Subject(f"{topics[0].name} at {merchants[0].name}", "merchant", both),),
            excluded,
            unknown,
            min(doubt, 0.5),
        )
    return tuple(subjects), excluded, unknown, min(doubt, 0.5)


_LOOSE_TOPICS: Final = frozenset(
    "stuff giving services cars car tickets events books book games tech power vision water bars fun house".split()
) | {"the house"}
_TAKES_TOPIC: Final = re.compile(
    r"\b(?:on|for|of|my|in|and|or|the|than|vs|versus|to|at)$|^$|~$|total$|average$|spend(?:ing)?$"
)


def _transfer_target(text: str, rows: Sequence[Row]) -> tuple[Subject, ...]:
    """The account that transfers are said to go to or come from, where rows of transfers name it."""
    match = re.search(r"\b(savings|checking|brokerage|investments?|joint|roth|ira|401k|emergency fund)\b", text)
    if match is None:
        return ()
    word = match[1]
    ids = frozenset(row.tx.transaction_id for row in rows if row.category in TRANSFERS and word in row.text)
    return (Subject(word, "topic", ids),) if ids else ()


def _topic_hits(text: str) -> list[tuple[re.Match[str], Topic]]:
    """The topics that the text names; of phrases that overlap the leftmost, then the longest."""
    hits = [(match, topic) for pattern, topic in TOPICS for match in pattern.finditer(text)]
    hits.sort(key=lambda hit: (hit[0].start(), -len(hit[0].group())))
    chosen: list[tuple[re.Match[str], Topic]] = []
    for match, topic in hits:
        if all(match.end() <= other.start() or other.end() <= match.start() for other, _ in chosen):
            chosen.append((match, topic))
    return chosen


def _of_merchant(merchant: Merchant) -> Subject:
    return Subject(merchant.name, "merchant", merchant.ids, merchant.exact)


def _whole_names(text: str, rows: Sequence[Row]) -> tuple[str, list[tuple[int, Subject]]]:
    """Merchants whose whole name stands in the text, longest names first; the text without them."""
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        for key in {compact(row.name), "".join(row.words).replace("&", "and")} - {""}:
            by_key.setdefault(key, []).append(row)
    tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
    found: list[tuple[int, Subject]] = []
    used: set[int] = set()
    for length in range(min(6, len(tokens)), 0, -1):
        for i in range(len(tokens) - length + 1):
            span = range(i, i + length)
            if used.intersection(span):
                continue
            start, end = tokens[i][1], tokens[i + length - 1][2]
            raw = text[start:end]
            key = compact(raw)
            hit = by_key.get(key) or (by_key.get(key[:-1]) if raw.endswith(("'s", "s'")) else None)
            if (
                not hit
                or len(key) < 2
                or (raw in ("shell", "fork", "splash") and text[end:].startswith((" out", "ed out")))
            ):
                continue
            if all(tokens[k][0] in STOP_WORDS for k in span) or (
                length == 1 and (any(p.fullmatch(raw) for p, _ in TOPICS) or len(key) < 3)
            ):
                # "target" names a shop, "gas" and "rent" do not, whatever a shop is called.
                continue
            names: dict[str, int] = {}
            for row in hit:
                names[row.name] = names.get(row.name, 0) + 1
            name = min(names, key=lambda n: (-names[n], n))
            found.append((start, Subject(name, "merchant", frozenset(r.tx.transaction_id for r in hit))))
            used.update(span)
    for k in used:
        text = text[: tokens[k][1]] + "\x00" * (tokens[k][2] - tokens[k][1]) + text[tokens[k][2] :]
    return text, found


def _leftovers(text: str) -> list[tuple[int, str, bool]]:
    """Runs of words that nothing has explained: (position, words, whether a preposition introduces them)."""
    runs: list[tuple[int, str, bool]] = []
    current: list[str] = []
    start, introduced, last_end = 0, False, 0
    previous = ""
    for match in [*_TOKEN.finditer(text), None]:
        token = match.group().strip("'./*-") if match else ""
        stop = (
            match is None
            or not token
            or token in STOP_WORDS
            or token.rstrip("s") in STOP_WORDS
            or token.replace(".", "").replace(",", "").isdigit()
        )
        between = text[last_end : match.start()] if match else ""
        explained = "\x00" in between or "~" in between
        if current and (stop or explained or "," in between):
            runs.append((start, " ".join(current), introduced))
            current = []
        if explained:
            # What follows a period is introduced by nothing; what "and" joins to a known name still is.
            previous, introduced = "", introduced and "~" not in between
        if match is not None and not stop:
            if not current:
                start = match.start()
                introduced = previous in _NAMES_SOMETHING or (
                    previous in ("the", "my", "a", "an", "and", "or", "vs", "versus", "than") and introduced
                )
            current.append(token)
        elif token not in ("the", "my", "a", "an", "and", "or", "our", "vs", "versus", "than"):
            introduced = token in _NAMES_SOMETHING
        if match is not None:
            last_end = match.end()
            previous = token
    return runs


# ------------------------------------------------------------------------------------------------------------- intent

_CHANGE: Final = re.compile(
    r"\bwhat(?: has| is| have)? (?:been )?(?:changed|different|new)\b|\bchanges? in (?:my|our) (?:spending|expenses)\b|\bwhere did .* (?:go up|increase|change)\b|\bwhich categor\w+ (?:went|changed|increased|grew)\b|\bhow (?:has|have|did) (?:my|our) (?:spending|expenses|finances) change"
)
_COMPARE: Final = re.compile(
    r"\bcompar\w+|\bversus\b|\bvs\b|\bdifference between\b|\b(?:more|less|higher|lower|bigger|greater|fewer|cheaper|smaller|as much)\b.*\b(?:than|as)\b(?! [$€£]?\d)|\bhow (?:has|have|did|does|do) .* chang\w+|\bhow much (?:more|less)\b|\b(?:increase|decrease|go up|gone up|went up|go down|gone down|went down|rise|risen|drop|dropped|grow|grown|changed?)\b.*\b(?:since|from|compared|over|between|this|last|month|year)\b|\bdid .* (?:increase|decrease|go up|go down|change|rise|grow)\b"
)
_NET: Final = re.compile(
    r"\bnet (?:cash ?flow|income|flow|total|amount|savings?|position|result|change)\b|\bcash ?-?flow\b|\b(?:income|earnings?|earned|made|money in) (?:minus|less|versus|vs\.?) (?:my |our )?(?:spending|expenses|outgoings|spent|money out|what i spent)\b|\bhow much (?:did|have|do) (?:i|we) (?:save|saved|manage to save|put aside|net)\b(?!.* (?:in|to|into) (?:my )?savings)|\b(?:left over|surplus|deficit|break even|in the (?:red|black))\b|\bspen[dt] more than (?:i|we) (?:earn|earned|made|make|brought)|\b(?:come|came|end|ended) out ahead\b|\bnet\b(?! of)(?! refund)(?!work)(?!flix)|\bsavings rate\b|\bincome (?:exceed|cover)"
)
_NET_REFUNDS: Final = re.compile(
    r"\b(?:net of|after|less|minus|deducting|including|counting|subtracting|with|accounting for) (?:any |the |my )?(?:refunds?|returns?|money back)\b|\bnet (?:spend|spending|spent|cost|expenses)\b|\bnet\b.*\brefunds?\b"
)
_RECURRING: Final = re.compile(
    r"\bsubscriptions?\b|\brecurring\b|\bsubscribed?\b|\bstanding orders?\b|\bdirect debits?\b|\brepeating\b|\bregular (?:payments?|bills?|charges?|expenses?|costs?)\b|\bmonthly (?:bills|charges|commitments|obligations|subscriptions?|fixed)\b|\bfixed (?:costs?|expenses?|monthly)\b|\bpaying (?:for )?(?:every|each) month\b|\bevery month\b.*\b(?:charges?|bills?)\b.*\bme\b|\bmemberships? do i\b|\bauto-?pay|\bauto-?renew"
)
_ONE: Final = r"(?:purchases?|transactions?|charges?|payments?|expenses?|orders?|bills?|deposits?|refunds?|withdrawals?|transfers?|pay ?che(?:ck|que)s?|buys?|fees?|meals?|receipts?|visits?|trips?|tickets?|items?|thing|things|debits?|credits?|income|spend|cost|amount|fill-?ups?|rides?|flights?|donations?)"


_PRESENT: Final = re.compile(
    r"\bhow much (?:is|are) (?:my|our|the)\b|\b(?:how much|what) (?:do|does) .*\bcosts?\b|\bhow much do (?:i|we) pay\b"
    r"|\bwhat do (?:i|we) pay\b|\bwhat (?:is|are) (?:my|our) (?:rent|mortgage|\w+ (?:bill|fee|premium|payment))\b"
)
_MADE: Final = re.compile(r"\b(?:i|we) (?:make|made)\b|\bmoney (?:i|we) made\b")
_MADE_SOMETHING: Final = re.compile(
    r"\b(?:payments?|purchases?|transfers?|transactions?|orders?|donations?|trips?|visits?|withdrawals?|charges?|deposits?)\b"
)
_MEASURES: Final = frozenset({Intent.AVERAGE, Intent.LARGEST, Intent.SMALLEST, Intent.RANKING, Intent.TOTAL})


class _Words:
    """The words of one question, and what they say of its kind."""

    def __init__(self, text: str, rest: str, as_of: date) -> None:
        self.text = text
        self.rest = " ".join(rest.replace("~", " ").split())
        self.as_of = as_of
        self.thresholds: tuple[Decimal | None, Decimal | None, bool] = (None, None, True)

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    @property
    def about_money(self) -> bool:
        """Whether the question is about a ledger at all, though it names nothing in it."""
        return self.has(
            r"\b(?:spen[dt]\w*|pay\w*|paid|cost\w*|transactions?|purchas\w+|b(?:uy|ought)\w*|charg\w+|expens\w+|expenditures?|bills?|income|earn\w*|salary|wages?|money|cash|refund\w*|transfer\w*|subscri\w+|recurring|merchants?|categor\w+|deposit\w*|withdr\w+"
            r"|fees?|outgo\w+|inflow|outflow|sav(?:e|ed|ings)|net|received?|made|make|sent|send|budget|stores?|shops?|vendors?|debits?|credits?|returns?|reimburs\w+|orders?|ledger|payees?|totals?|due|cheapest|memberships?|standing orders?|autopay|went|swipe\w*|blow\w*|splash\w*|splurge\w*|burn\w*|drop(?:ped)?|fork\w*|shell\w*)\b|[$€£]"
        )

    @property
    def smallest(self) -> bool:
        if _COMPARE.search(self.text) and self.has(
            r"\b(?:less|fewer|lower|cheaper|smaller|decreased?|dropp?(?:ed)?|gone down|went down|go down|fall|fell)\b"
        ):
            return True
        return self.has(r"\b(?:smallest|cheapest|lowest|least|minimum|min|tiniest|fewest|bottom)\b") and not self.has(
            r"\bat least\b"
        )

    @property
    def recurring_kind(self) -> str:
        if self.has(r"\bsubscri|\bmemberships?\b"):
            return "subscriptions"
        if self.has(r"\bincome\b|\bdeposits?\b|\bpay ?che(?:ck|que)s?\b"):
            return "income"
        return "payments"

    def flow(self, subjects: Sequence[Subject], intent: Intent, rows: Sequence[Row]) -> Flow:
        flow = self._flow(intent)
        if not subjects or flow not in (Flow.SPENDING, Flow.INCOME):
            return flow
        ids = frozenset().union(*(s.ids for s in subjects))
        chosen = [row for row in rows if row.tx.transaction_id in ids]
        if flow is Flow.SPENDING and chosen and not any(row.spending for row in chosen):
            # A payee that only transfers went to, or that only ever paid in.
            return Flow.MONEY_OUT if any(row.amount < 0 for row in chosen) else Flow.MONEY_IN
        if flow is Flow.INCOME and chosen and not any(row.income for row in chosen):
            return Flow.MONEY_IN
        return flow

    def _flow(self, intent: Intent) -> Flow:
        if intent is Intent.SHARE and self.has(
            r"\bof (?:my|our|the) (?:\w+ )?(?:income|pay|salary|earnings|paycheck)\b"
        ):
            return Flow.INCOME
        if (
            self.has(
                r"\brefund|\breimburs|\bmoney back\b|\bgot back\b|\bget back\b|\bgiven back\b|\breturns?\b(?! to\b)|\bchargebacks?\b|\breturned\b|\bcredited back\b|\bpaid back\b"
            )
            and not _NET_REFUNDS.search(self.text)
            and not self.has(r"\b(?:excluding|without|ignoring|not counting|before) (?:any )?(?:refunds|returns)")
        ):
            return Flow.REFUNDS
        if self.has(
            r"\btransfer|\bxfers?\b|\bmov(?:e|ed|ing)\b.*\b(?:savings|account|checking|brokerage)\b|\b(?:put|set aside|stash\w*)\b.*\b(?:savings|aside|away)\b|\bto savings\b|\bto my savings\b"
        ) and not self.has(
            r"\b(?:excluding|without|except|not counting|ignoring) (?:any |the |my )?(?:internal )?transfers"
        ):
            if self.has(
                r"\btransfers? in\b|\bincoming\b|\breceiv|\btransferred (?:in|to me|back)|\bfrom savings\b|\bfrom my savings\b|\binto (?:my )?checking\b|\binbound\b|\btransfers? from\b"
            ):
                return Flow.TRANSFERS_IN
            if self.has(
                r"\btransfers? out\b|\boutgoing\b|\bsent\b|\bsend\b|\bto\b|\bmoved?\b|\bmoving\b|\bdid i transfer\b|\bi transferred\b|\binto\b|\bput\b|\bi transfer\b|\baway\b|\baside\b|\boutbound\b"
            ):
                return Flow.TRANSFERS_OUT
            return Flow.TRANSFERS
        if self.has(r"\bwithdr(?:e?w|a)|\bat atms?\b|\batm withdrawals?\b|\bcash withdrawals?\b|\bcash out\b"):
            return Flow.MONEY_OUT
        if self.has(
            r"\b(?:deposits?|deposited)\b(?!.*\bsecurity\b)|\bmoney (?:came|coming|come|comes|came in|in\b)|\bcame in\b|\bcome in\b|\bcoming in\b|\binflows?\b|\bcredits\b|\bmoney i(?:'ve| have)? received\b|\b(?:did|have) (?:i|we) receive\b|\breceived\b|\bincoming\b|\bmoney in\b"
        ):
            return (
                Flow.INCOME
                if self.has(r"\bincome\b|\bpay ?che|\bsalary|\bpayroll|\bwages\b|\bdirect deposits?\b")
                else Flow.MONEY_IN
            )
        if self.has(r"\b(?:get|got|gotten|receive|received) (?:\w+ ){0,3}from\b") and not self.has(r"\brefund"):
            return Flow.MONEY_IN
        if _MADE.search(self.text) and not _MADE_SOMETHING.search(self.text):
            return Flow.INCOME
        if self.has(
            r"\bincome\b|\bearn(?:ed|ings?|s)?\b|\bsalar(?:y|ies)\b|\bpay ?(?:check|cheque)s?\b|\bpayroll\b|\bwages?\b|\b(?:did|do|have|how much|what) (?:i|we) (?:get|gotten|got|been) paid\b|\bget paid\b|\bgot paid\b|\bbeen paid\b|\bpaid me\b|\bpay(?:s|ing)? me\b|\bpayday\b|\btake[- ]home\b|\bbr(?:ing|ought) (?:in|home)\b|\bmy pay\b|\bemployer\b|\bdividends?\b|\binterest (?:earned|income|received)\b|\bpaid (?:by|from) (?:my )?(?:employer|work|job)"
        ) and not self.has(r"\bspen[dt]\b"):
            return Flow.INCOME
        if self.has(
            r"\bspen[dt]|\bspending|\bcosts?\b|\bpaid\b|\bpay(?:s|ing|ments?)?\b|\bb(?:uy|ought|uying)\b|\bpurchas|\bexpens|\bexpenditure|\bcharges?\b|\bcharged\b|\bbills?\b|\bout ?goings?\b|\bmerchants?\b|\bstores?\b|\bshops?\b|\bshopped\b|\borders?\b|\bordered\b|\bvisit|\bgo to\b|\bgone to\b|\bbeen to\b|\bgo (?:out )?for\b|\bdebits?\b|\bmoney (?:go|went|out)\b|\bat\b"
        ):
            if (
                intent not in _MEASURES
                and self.has(r"\btransactions?\b|\bentries\b")
                and not self.has(r"\bspen[dt]|\bcost|\bpaid\b|\bpurchas|\bb(?:uy|ought)|\bexpens|\bdebits?\b")
            ):
                return Flow.ANY
            return (
                Flow.MONEY_OUT
                if self.has(r"\bmoney out\b|\bpayees?\b|\bwent out\b|\bsent\b|\boutflows?\b")
                else Flow.SPENDING
            )
        if self.has(r"\boutflows?\b|\bsent\b|\bsend\b|\bmoney out\b|\bwent out\b"):
            return Flow.MONEY_OUT
        if self.has(r"\btransactions?\b|\bentries\b|\brecords?\b|\brows?\b|\bpostings?\b|\bactivity\b"):
            # The largest or the average "transaction" means what was spent; all of them, or their number, means all.
            return Flow.SPENDING if intent in _MEASURES else Flow.ANY
        return Flow.SPENDING

    def intent(
        self, periods: Sequence[Period], subjects: Sequence[Subject]
    ) -> tuple[Intent, Aspect, Group | None, str | None, int | None]:
        """(intent, aspect, group, per, how many), the most specific reading first."""
        group, per, n = self._group(), self._per(), self._n()
        yes_no = self.has(
            r"^(?:(?:so|and|hey|ok|hi|hello|please|tell me if|tell me whether|check (?:if|whether)|can you (?:check|tell me) (?:if|whether)) )*(?:did|do|does|have|has|had|was|were|is|are|am|whether|if)\b"
        ) or self.has(r"\b(?:tell me|check|know|see) (?:if|whether)\b")
        counting = self.has(
            r"\bhow many\b|\bnumber of\b|\bcount\b|\bhow often\b|\bhow frequently\b|\bhow regularly\b|\bno\. of\b|\bamount of (?:transactions|purchases|times)\b|\btimes\b"
        ) and not self.has(r"\bhow many (?:dollars|euros|bucks|pounds|usd|eur)\b|\bhow much\b.*\btimes\b")
        ratio = self.has(r"\bpercent|\bpercentage|%|\bshare of\b|\bfraction\b|\bproportion\b|\bwhat part\b|\bportion\b")
        if (
            _RECURRING.search(self.text)
            and not _NET.search(self.text)
            and not (ratio or (_COMPARE.search(self.text) and len(periods) > 1))
        ):
            if counting:
                return Intent.RECURRING, Aspect.NUMBER, None, per, n
            if self.has(
                r"\bhow much\b|\bcosts?\b|\btotal\b|\bsum\b|\bspend\b|\bspending\b|\bspent\b|\bpay(?:ing)?\b.*\b(?:in|for|on) (?:total|my |all |)\s?(?:subscriptions|recurring)|\bexpensive\b|\badd up\b"
            ) and not self.has(
                r"\b(?:what|which) (?:\w+ )?(?:subscriptions?|recurring|memberships?|regular)\b(?!.*\bcosts? (?:me )?(?:per|a|each|every|in total))"
            ):
                most = self.has(r"\bmost expensive\b|\bbiggest\b|\blargest\b|\bcheapest\b|\bpriciest\b")
                return (
                    Intent.RECURRING,
                    Aspect.NAME if most else Aspect.AMOUNT,
                    None,
                    per or ("year" if self.has(r"\b(?:a|per|each|every) year\b|\byearly\b|\bannual") else "month"),
                    1 if most else n,
                )
            if yes_no and subjects:
                return Intent.RECURRING, Aspect.YES_NO, None, per, n
            return (
                Intent.RECURRING,
                Aspect.NAME,
                None,
                per,
                (1 if self.has(r"\b(?:most expensive|biggest|largest|priciest|cheapest)\b(?! subscriptions)") else n),
            )
        if ratio:
            return (
                Intent.SHARE if not (_COMPARE.search(self.text) and len(periods) > 1) else Intent.COMPARE,
                Aspect.RATIO,
                group,
                per,
                n,
            )
        if _CHANGE.search(self.text) and not subjects:
            return Intent.CHANGES, Aspect.AMOUNT, Group.MERCHANT if self.has(r"\bmerchant") else Group.CATEGORY, per, n
        if _NET.search(self.text) and not _NET_REFUNDS.search(self.text):
            return Intent.NET, Aspect.YES_NO if yes_no else Aspect.AMOUNT, group, per, n
        if self._compares(periods, subjects):
            aspect = Aspect.YES_NO if yes_no else Aspect.NUMBER if counting else Aspect.AMOUNT
            if (
                self.has(
                    r"\b(?:which|what|where|who|on which|did i spend more (?:on|at) .* or)\b.*\b(?:more|less|higher|lower|bigger|most|cheaper)\b"
                )
                and not self.has(r"\bhow much\b")
            ) or (yes_no and self.has(r"\bmore\b.*\bor\b|\bless\b.*\bor\b")):
                aspect = Aspect.NAME
            return Intent.COMPARE, aspect, None, per, n
        if (
            yes_no
            and (self.thresholds[0] is not None or self.thresholds[1] is not None)
            and self.has(r"\bspen[dt]|\bearn|\bpa(?:y|id)\b|\btotal|\bmade?\b|\bexceed|\bcost\b")
            and not self.has(rf"\b(?:any|a|an|single|one) (?:single )?{_ONE}\b|\banything\b|\bthere\b")
        ):
            return Intent.EXCEEDS, Aspect.YES_NO, None, per, n
        if self.has(
            r"\bhow (?:long|many days|many weeks|many months) (?:ago|since|has it been|is it since|have passed|has passed|passed)\b|\bdays since\b"
        ):
            return Intent.LAST, Aspect.DAYS, None, per, 1
        if self.has(r"\bhow (?:often|frequently|regularly)\b"):
            return Intent.HOW_OFTEN, Aspect.NUMBER, None, per, n
        first = self.has(
            rf"\bfirst (?:\w+ ){{0,2}}{_ONE}\b|\bfirst (?:time|purchase|transaction|payment|charge|order|visit|bill|ever|pay ?check|one|refund|deposit|trip|transfer)\b|\bearliest\b|\bwhen did (?:i|we) (?:first|start|begin)\b|\boldest\b|\bi first\b"
        )
        if first or (
            self.has(
                rf"\blast time\b|\bmost recent\b|\blatest\b|\bmost recently\b|\b(?:i|we) last\b|\blast (?:my )?(?:\w+ ){{0,3}}{_ONE}\b(?!.*\blast \d)|\bwhen (?:did|was|were|have|do|is|does)\b|\bwhat (?:day|date)\b(?!.*\bmost\b)|\bon (?:what|which) (?:day|date)\b(?!.*\bmost\b)|\bnewest\b|\bwhen\b|\bwhat was my last\b|\bmy last \w+|\bon my last\b"
            )
            and not (counting and self.has(r"\bhow many\b"))
            and not self.has(r"\b(?:largest|biggest|highest|smallest|cheapest|most expensive|lowest)\b")
        ):
            intent = Intent.FIRST if first else Intent.LAST
            aspect = (
                Aspect.DATE
                if self.has(
                    r"\bwhen\b|\blast time\b|\bfirst time\b|\bwhat (?:day|date)\b|\bwhich (?:day|date)\b|\bdate\b|\bday\b"
                )
                and not self.has(r"\bhow much\b")
                else Aspect.NAME
                if self.has(r"\bwhere\b|\bwhich (?:merchant|store|shop)\b|\bwho\b")
                else Aspect.AMOUNT
            )
            return intent, aspect, None, per, n or 1
        if self.has(r"\btrends?\b|\bdid (?:i|we) .*\b(?:each|every) (?:month|week)\b") and not self.has(r"\baverage"):
            return Intent.BREAKDOWN, Aspect.AMOUNT, group or Group.MONTH, None, n
        if (
            self.has(
                r"\baverage|\bavg\b|\bmean\b|\btypical|\bon average\b|\busually (?:spend|pay)\b|\bper (?:day|week|month|year|transaction|purchase|visit|trip|order|quarter|meal|ride|charge|payment|paycheck|pay check|fill-?up|time|weekday|deposit|refund|donation|bill)\b|\b(?:a|each|every) (?:day|week|month|year|quarter|visit|time)\b|\bmonthly\b|\bweekly\b|\bdaily\b|\byearly\b|\bannually\b|\bmedian\b"
            )
            and not (
                group in (Group.MERCHANT, Group.CATEGORY, Group.MONTH, Group.DAY, Group.WEEK)
                and (
                    self._superlative()
                    or self.has(
                        r"\bbreak ?down|\bby (?:month|category|merchant|week)\b|\bfor each month\b|\bmonth by month\b|\bmonthly (?:breakdown|totals|trend|summary|spending by)\b"
                    )
                )
            )
            and not (self._superlative() and not self.has(r"\baverage|\bavg\b|\bmean\b|\btypical"))
        ):
            return Intent.AVERAGE, Aspect.NUMBER if counting else Aspect.AMOUNT, group, per or "transaction", n
        if group is not None and (self._superlative() or (n is not None and self.has(r"\btop\b|\bbottom\b"))):
            return (
                Intent.RANKING,
                Aspect.NUMBER
                if self.has(
                    r"\b(?:most|least) (?:often|frequent\w*|times|transactions|purchases|visits|visited)\b|\bmost common\b|\bmost-visited\b|\bhow many times\b"
                )
                else Aspect.AMOUNT,
                group,
                per,
                n or 1,
            )
        if self._superlative() or (n is not None and self.has(r"\btop\b|\bbottom\b")):
            aspect = Aspect.AMOUNT
            if self.has(r"^(?:\w+ )?(?:where|who)\b|\bwhich (?:merchant|store|shop)|\bwhat (?:merchant|store|shop)"):
                aspect = Aspect.NAME
            elif self.has(r"\bwhen\b|\bwhat (?:day|date)\b|\bwhich (?:day|date)\b"):
                aspect = Aspect.DATE
            return (
                (Intent.SMALLEST if self.smallest else Intent.LARGEST),
                aspect,
                None,
                per,
                n
                or (
                    5
                    if self.has(
                        r"\b(?:largest|biggest|top|highest|smallest|cheapest|lowest)\b(?: \w+){0,3} (?:purchases|transactions|charges|payments|expenses|orders|deposits|refunds|withdrawals|transfers|fees|meals|ones|bills|paychecks|donations)\b"
                    )
                    else 1
                ),
            )
        if counting:
            grouped = (
                Group.MERCHANT
                if self.has(
                    r"\bhow many (?:different |distinct |unique )?(?:merchants|stores|shops|places|restaurants|vendors|companies|businesses|payees)\b"
                )
                else Group.CATEGORY
                if self.has(r"\bhow many (?:different |distinct )?categories\b")
                else Group.MONTH
                if self.has(r"\b(?:how many|in how many) months\b")
                else Group.DAY
                if self.has(r"\bhow many (?:different |distinct )?days\b")
                else None
            )
            return Intent.COUNT, Aspect.NUMBER, grouped, per, n
        if group is not None and self.has(
            r"\bbreak ?down|\bby (?:the )?(?:month|category|merchant|week|store|day|year|quarter|shop|vendor|weekday|payee|categories|merchants)\b|\bfor each\b|\beach (?:month|category|merchant)\b|\bper (?:category|merchant|store)\b|\b\w+ by \w+\b|\bmonthly\b|\bacross\b|\btrend\b|\bsplit\b|\bsummar"
        ):
            return Intent.BREAKDOWN, Aspect.AMOUNT, group, per, n
        if self.has(
            r"\bbreak ?down\b|\bsummar\w+ (?:my|of|our|the|all)\b|\bwhere (?:did|does|is|has) (?:all )?(?:my|our|the) money (?:go|gone|going|went)|\boverview\b|\bwhat did (?:i|we) spend (?:my |our )?money on\b|\bsplit\b"
        ):
            return Intent.BREAKDOWN, Aspect.AMOUNT, group or Group.CATEGORY, per, n
        amount_asked = self.has(
            r"\bhow much\b|\btotals?\b|\bsum\b|\bhow many dollars\b|\bwhat (?:did|do|does|was|is|were|are|has|have) .*\b(?:spend|spent|spending|cost|pay|paid|income|earn|earnings|refund(?:s|ed)?|bill|total|salary|make|expenditure|expenses|outgoings|come to|add up)\b|\bamount\b|\badd up\b|\bwhat'?s? (?:is )?my\b|\bcost (?:of|me)\b"
        )
        if yes_no and not amount_asked:
            return Intent.EXISTS, Aspect.YES_NO, None, per, n
        if not amount_asked and self.has(
            r"\b(?:which|what) (?:merchants|stores|shops|places|restaurants|companies|vendors|payees|businesses)\b|\bwhere (?:did|do|have) (?:i|we)\b|\bwho (?:did|do|have) (?:i|we)\b|\b(?:list|show|name)\b.*\b(?:merchants|stores|shops|vendors|payees)\b|^who (?:paid|sent|refunded)\b|\bfrom whom\b"
        ):
            return Intent.LIST, Aspect.NAME, Group.MERCHANT, per, n
        if not amount_asked and self.has(r"\b(?:which|what) categories\b|\blist\b.*\bcategories\b"):
            return Intent.LIST, Aspect.NAME, Group.CATEGORY, per, n
        listing = self.has(
            r"\blist\b|\bshow\b|\bfind\b|\bdisplay\b|\bwhich\b|\bwhat (?:did|have|do|were|are|was|kind|\w+s\b)|\bsee\b|\bgive me\b(?!.*\btotal)|\bpull up\b|\bany\b|\blook up\b|\b(?:all|every) (?:of )?(?:my )?(?:\w+ )?(?:transactions?|purchases?|payments?|charges?|refunds?|deposits?|transfers?)\b"
        )
        if (
            not amount_asked
            and listing
            and self.has(rf"\b{_ONE}\b|\bb(?:uy|ought)\b|\border|\bany\b|\beverything\b|\bactivity\b|\bhistory\b")
        ):
            return Intent.LIST, Aspect.AMOUNT, group, per, n
        return Intent.TOTAL, Aspect.AMOUNT, group, per, n

    def _superlative(self) -> bool:
        return self.has(
            r"\b(?:largest|biggest|highest|most expensive|priciest|costliest|maximum|max|smallest|cheapest|lowest|minimum|most|least|top|greatest|heaviest|number one|favou?rite|largest single|fewest|tiniest|main|busiest|worst|best|huge|hugest)\b"
        ) and not self.has(r"\bat (?:least|most)\b|\bmost recent|\btop[- ]?up\b")

    def _compares(self, periods: Sequence[Period], subjects: Sequence[Subject]) -> bool:
        if len(subjects) >= 2 and self.has(r"\b(?:more|less|most|least|cheaper|higher|lower|bigger)\b.*\bor\b"):
            return True
        if not _COMPARE.search(self.text):
            return False
        if len(periods) >= 2 or len(subjects) >= 2:
            return True
        return self.has(
            r"\b(?:more|less|higher|lower) (?:\w+ ){0,8}than (?:usual|the (?:month|year|quarter|week) before|before|a year)|\bcompar|\bgo(?:ne)? (?:up|down)\b|\bincrease|\bdecrease|\bchang|\bwent (?:up|down)\b|\brise|\brisen|\bgrow|\bdrop"
        ) and (bool(subjects) or self.about_money)

    def _group(self) -> Group | None:
        for group, pattern in (
            (
                Group.CATEGORY,
                r"\bcategor(?:y|ies)\b|\bkinds? of (?:spending|thing|expense)|\btype of (?:spending|expense)|\bwhat do (?:i|we) spend (?:the )?(?:most|least)(?: money)? on\b|\bwhat did (?:i|we) spend (?:the )?(?:most|least)(?: money)? on\b|\bareas?\b",
            ),
            (
                Group.MERCHANT,
                r"\b(?:merchants?|stores?|shops?|vendors?|payees?|retailers?|compan(?:y|ies)|businesse?s?|places?|restaurants?|suppliers?|brands?)\b|^(?:\w+ )?(?:where|who) (?:do|did|have|has|does|am|is|are)? ?(?:i|we|my)?\b(?=.*\b(?:most|least)\b)|\bwho(?:m)? (?:did|do|have) (?:i|we)\b|\bfavou?rite\b|^who (?:paid|pays)\b",
            ),
            (Group.WEEKDAY, r"\b(?:day of the week|weekday|days of the week)\b"),
            (
                Group.MONTH,
                r"\b(?:which|what|per|by|each|every|for each|in which|busiest|cheapest|most expensive|best|worst|highest(?:[- ]\w+)?) (?:calendar )?months?\b|\bmonth by month\b|\bmonthly (?:breakdown|totals?|trend|summary|spending|spend|costs?)\b|\bmonth[- ](?:over|to|on)[- ]month\b|\bmonth with\b|\bmonths?\b(?=.*\b(?:most|least|highest|lowest)\b)",
            ),
            (
                Group.WEEK,
                r"\b(?:which|what|per|by|each|every|in which) weeks?\b|\bweekly (?:breakdown|totals?|trend)\b",
            ),
            (Group.QUARTER, r"\b(?:which|what|per|by|each|every|in which) quarters?\b"),
            (Group.YEAR, r"\b(?:which|what|by|each|every|in which) years?\b|\bper year\b|\bannual breakdown\b"),
            (
                Group.DAY,
                r"\b(?:which|what|by|each|every|on which|on what|single|busiest|most expensive|per) (?:single )?days?\b(?! of the week)|\bday with\b|\bdaily (?:breakdown|totals?)\b",
            ),
        ):
            if self.has(pattern):
                return group
        return None

    def _per(self) -> str | None:
        single = self.has(
            rf"\bper (?:transaction|purchase|visit|trip|order|meal|ride|charge|payment|pay ?check|fill-?up|time|deposit|refund|bill|donation)\b|\b(?:average|avg|mean|typical|median)(?: \w+){{0,2}} {_ONE.replace('|spend|cost|amount', '').replace('|income', '')}\b(?!.*\b(?:per|a|each|every) (?:month|week|day|year)\b)|\b(?:each|every) (?:time|visit|order|purchase|transaction)\b"
        )
        if single and not self.has(
            r"\b(?:per|a|each|every) (?:month|week|day|year)\b|\bmonthly\b|\bweekly\b|\bdaily\b"
        ):
            return "transaction"
        for per, pattern in (
            (
                "month",
                r"\b(?:per|a|each|every|by the) month\b|\bmonthly\b|\bin an? (?:average|typical) month\b|\bmonth on average\b",
            ),
            ("week", r"\b(?:per|a|each|every) week\b|\bweekly\b|\bin an? (?:average|typical) week\b"),
            ("day", r"\b(?:per|a|each|every) day\b|\bdaily\b|\bin an? (?:average|typical) day\b"),
            ("quarter", r"\b(?:per|a|each|every) quarter\b|\bquarterly\b"),
            ("year", r"\b(?:per|a|each|every) year\b|\byearly\b|\bannual(?:ly)?\b"),
        ):
            if self.has(pattern):
                return per
        if self.has(r"\baverage|\bavg\b|\bmean\b|\btypical") and self.has(
            r"\bspend|\bspending|\bspent\b|\bincome\b|\bexpenses\b|\bcosts\b"
        ):
            return "month" if not self.has(r"\bat\b") else None
        return None

    def _n(self) -> int | None:
        match = re.search(
            r"\b(?:top|bottom|biggest|largest|highest|smallest|last|latest|most recent|cheapest|first|lowest|most expensive) (\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty)\b(?! (?:days?|weeks?|months?|years?|quarters?))",
            self.rest,
        ) or re.search(
            r"\b(\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twenty) (?:\w+ ){0,1}?(?:largest|biggest|highest|smallest|cheapest|most|latest|lowest|top|last)\b",
            self.rest,
        )
        if match:
            return max(1, min(number(match[1]) or 1, 100))
        return None
