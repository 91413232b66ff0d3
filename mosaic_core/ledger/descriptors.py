"""Bank descriptors: from "SQ *BLUE BTL 0423 SF CA" to a name that a person knows and a key that stays the same."""

from __future__ import annotations

import calendar
import re
import unicodedata
from functools import lru_cache
from typing import Final

from mosaic_core.ledger.knowledge import BRAND_ALIASES, merchant_type_words
from mosaic_core.ledger.spelling import fold

_NOT_WORD = re.compile(r"[^0-9a-z&]+")


def _split(text: str) -> list[str]:
    """The words of a folded text, of any script."""
    if text.isascii():
        return [word for word in _NOT_WORD.split(text) if word]
    return "".join(c if c == "&" or unicodedata.category(c)[0] in "LMN" else " " for c in text).split()


# What banks and processors put in front of a merchant's name. Applied repeatedly: they stack.
_PREFIXES = re.compile(
    r"""^(?:
        (?:sq|sqc|gosq|tst|sp|pp|paypal|pypl|py|ppl|zip|klarna|affirm|afterpay|stripe|spo|ic|fs|bt|dd|ckg|cko
          |chownow|toast|clover|wpy|wl|ec|in|gpay
           |google\ pay|apple\ pay|applepay|sumup|izettle|zettle|adyen|mollie|ls|eb|evb|cke|crv|pos|nst|iz|par|sqr
             |sqsp|fsp|ddl|slice|olo)\s?\*+\s*
        | paypal\s+inst\s+xfer\s+ | paypal\s+des:\s*
        | (?:pos|visa|mastercard|mc|debit|credit|check|chk|atm)?\s?(?:debit|card|check)\s?card\s+(?:purchase
          |payment|debit|pos|credit|refund)?\s*[-:]?\s*
        | (?:pos|pin|sig|visa|dbt|mc|debit|credit|card|online|mobile|internet|recurring|contactless|point\ of\ sale
          |non-?pin|signature|international|intl|int'?l|external)
          \s+(?:card\s+|pos\s+|dbt\s+|debit\s+)?(?:purchase|purch|pur|payment|pymt|pmt|debit|dbt|withdrawal|w/d|wd
            |refund|return|pos|auth|charge|dda)\b\s*(?:return\b|authorized\s+on\b|-|:)?\s*
        | (?:purchase|payment)\s+(?:authorized\s+on|at|to)\s+
        | (?:preauthorized|pre-?auth|preauth|recurring|pending|authorized)\s+(?:(?:ach|debit|credit|charge|payment
          |pymt|auth)\s+)*
        | checkcard\s+ | chkcard\s+ | chkcrd\s+ | dbt\s?crd\s+ | ckcd\s+ | pos\s+ | ach\s+(?:debit|credit|pmt
          |payment|web|withdrawal|deposit|hold|trans|tel|ppd|ccd)?\s*[-:]?\s*
        | (?:web|electronic|elec|bill|online|e)\s+(?:pmt|pymt|payment|pay|billpay|withdrawal|debit|draft)\s+(?:to\s+)?
        | (?:visa|vis|mastercard|mc|amex)\s+(?:\d{2,4}\s+)?(?=\S)
        | debit\s+(?=\S) | purchase\s+(?=\S)
          | withdrawal\s+(?=[a-z]) | contactless\s+(?=\S)
        | (?:refund|reversal|reversed|remboursement|chargeback)\s+(?:(?:of|from|to|for|de)\s+)?[-:]?\s*(?=[a-z]{2})
        | (?:direct\s+debit|standing\s+order)\s+(?:payment\s+)?(?:to\s+)?(?=[a-z0-9])
        | (?:prlv|prelevement|vir|virement)\s+(?:(?:sepa|inst|recu|emis|europeen|de|du)\s+)*(?=[a-z0-9])
        | (?:(?:paiement|achat)\s+(?:par\s+)?)?(?:cb|carte)\s+(?=[a-z0-9])
        | (?:sepa[\s-]+)?(?:lastschrift|gutschrift|kartenzahlung|dauerauftrag)\s+(?=[a-z0-9])
        | (?:dd|so|bp|crd|fpi|fpo|cpt|bgc|sto|vis|deb|bac)\s+(?=[a-z]{3})
        | \d{2}[/.-]\d{2}(?:[/.-]\d{2,4})?\s+ | \d{2,6}\s+(?=[a-z]{3,}\s) | x{2,}\d{2,}\s+
    )""",
    re.VERBOSE,
)
_PAYPAL_INNER = re.compile(r"\b(?:paypal|pypl|pp)\s*\*\s*")
_PHONE = re.compile(
    r"""
      (?:\+?1[\s.-]?)?\(?\b[2-9]\d{2}\)?[\s.-]\d{3}[\s.-]?\d{4}\b
    | \b8(?:00|33|44|55|66|77|88)\d{7}\b
    | \b\d{3}-\d{7}\b
    | \b8(?:00|33|44|55|66|77|88)-[a-z0-9-]{5,}\b
    """,
    re.VERBOSE,
)
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)"
_DATE = re.compile(
    rf"""
      \b\d{{4}}-\d{{2}}-\d{{2}}\b
    | \b\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?\b
    | \b\d{{1,2}}-\d{{1,2}}-\d{{2,4}}\b
    | \b\d{{1,2}}[\s-]?{_MONTH}[\s-]?(?:\d{{2,4}})?\b
    | \b{_MONTH}[\s-]?\d{{1,2}}\b
    | \b\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:\s?[ap]m)?\b
    """,
    re.VERBOSE,
)
_MASK = re.compile(
    r"\b(?:card|crd|acct|account|ending(?:\s+in)?|x|no\.?)\s*[x*#.]*\s*\d{4}\b|[x*•]{2,}[\s-]?\d{2,}\b|\bxx+\b"
)
_REFERENCE = re.compile(
    r"""
    \b(?:
        ppd\s+id | web\s+id | ccd\s+id | tel\s+id | co\s+id | indn | conf(?:irmation)?\s?\#? | ref(?:erence)?\.? | trace
      | trn | auth | seq | invoice | inv | order | txn | trans(?:action)? | id | des | mandate | policy | member | store
      | term(?:inal)? | unit | str | loc | no | nbr
    )
    \s*(?:no\.?|id|nr\.?)?\s*[#:.]\s*[a-z0-9-]*\d?[a-z0-9-]*
    """,
    re.VERBOSE,
)
_DOMAIN_TAIL = re.compile(
    r"""
    \.(?:com|net|org|io|co|uk|us|tv|ca|de|fr|eu|app|ai|gov|edu|info|shop)(?:\.[a-z]{2})?
    (?:/[a-z0-9/.?=_-]*)?(?=\W|$)
    """,
    re.VERBOSE,
)
# "Card payment to a shop" is how some banks write a purchase, not a payment of the card.
_CARD_PURCHASE = re.compile(r"\bcard\s+payment\s+to\b")
_URL_HEAD = re.compile(r"\b(?:https?://|www\.)")
_STAR_TAIL = re.compile(r"\*\s*(\S+)\s*$|\*\s*([a-z0-9]*\d[a-z0-9]*)\b")

_STATES = frozenset(
    "al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa"
    " ri sc sd tn tx ut vt va wa wv wi wy dc pr on qc bc ab mb sk ns nb nl pe".split()
)
_COUNTRIES = frozenset("us usa gb gbr uk deu fra can irl nld esp ita che aus jpn lux mex swe".split())
_CITIES = frozenset(
    """sf nyc la dc slc atl chi philly seattle portland oakland berkeley austin dallas houston denver boulder
    chicago boston cambridge
    brooklyn manhattan queens bronx newark trenton philadelphia pittsburgh baltimore washington arlington alexandria
    richmond raleigh durham charlotte atlanta savannah miami tampa orlando jacksonville nashville memphis knoxville
    louisville lexington cincinnati columbus cleveland toledo detroit lansing milwaukee madison minneapolis stpaul omaha
    lincoln wichita tulsa phoenix tucson mesa scottsdale tempe albuquerque reno sacramento fresno oakdale sanfrancisco
    sunnyvale cupertino mountainview paloalto menlopark redwoodcity sanjose sandiego irvine anaheim pasadena glendale
    burbank longbeach losangeles santamonica honolulu anchorage boise spokane tacoma bellevue redmond kirkland eugene
    salem buffalo rochester syracuse albany yonkers hartford stamford providence worcester burlington concord
    indianapolis bloomington springfield peoria naperville evanston aurora plano irving frisco garland lubbock laredo
    birmingham montgomery huntsville mobile jackson shreveport norman edmond boisecity provo ogden
    bend medford vancouver toronto montreal calgary ottawa london manchester leeds bristol dublin paris berlin munich
    amsterdam hoboken jerseycity princeton lasvegas henderson neworleans newyork stlouis kansascity saltlakecity
    fortworth
    sanantonio elpaso corpuschristi batonrouge virginiabeach fortlauderdale westpalmbeach stpetersburg annarbor
    grandrapids
    desmoines cedarrapids siouxfalls fargo coloradosprings fortcollins santafe lascruces santaclara santacruz santarosa
    sanmateo daly fremont hayward""".split()
)
_ALSO_WORDS = frozenset(
    """la atl chi mobile bend mesa irving concord aurora salem norman eugene lansing peoria madison lincoln
    jackson bloomington medford
    henderson fremont springfield lexington columbus arlington alexandria richmond durham charlotte savannah
    princeton glendale
    bristol cambridge washington houston cleveland orlando hayward daly plano reno buffalo albany stamford providence
    worcester burlington hartford oakdale berkeley boulder phoenix manhattan queens london paris berlin dublin
    trenton dc""".split()
)
_CITY_FIRST = frozenset(
    "san santa los las el la new fort ft saint st north south east west mount mt palm long grand little salt des baton"
    """ corpus virginia colorado kansas jersey redwood mountain menlo palo ann cedar sioux lake port royal rancho
    costa""".split()
)
_CORPORATE = frozenset("inc llc ltd corp gmbh plc llp sa bv ag pbc lp incorporated limited".split())
NOISE_WORDS = frozenset(
    """pos ach ppd ccd web tel id des indn ref conf auth seq trace purchase debit card dbt crd visa mc
    xfer recurring autopay pymt pmt payment pay bill billpay epay e onlinepmt authorized on at the of for http
    https www com help support
    usa us mktp mktplace online""".split()
)
_KEEP_DIGITS = re.compile(
    r"""^(?:
        7eleven | 76 | 99 | 5guys | 365 | 1800\w+ | 24 | 7 | 5 | 3m | 4 | 1 | 9 | 21 | 2k | a1 | w2 | h2o | o2 | 85c
      | 8x8 | 23andme | 1password | 24hr | 5below | n26 | six | 4ocean
    )$""",
    re.VERBOSE,
)
"""Names that are or have a number."""
FUNCTION_WORDS = frozenset("a an and & n of the at in to by".split())
CALENDAR_WORDS = frozenset(name.lower() for name in (*calendar.day_name, *calendar.month_name) if name)
MOST_WORDS = 4
"""Words of a name that identify its merchant."""


_LONGEST = 400
"""Characters of a folded descriptor that are read: twice what a source may send. A letter may fold into eighteen."""


def _folded(description: str) -> str:
    return fold(description)[:_LONGEST]


KEPT: Final = 32_768
"""Descriptors whose reading is kept: more than a ledger of 100,000 rows has. With fewer each pass over it forgets what
the next one asks for, and all of them are read several times."""


@lru_cache(KEPT)
def descriptor_words(description: str) -> tuple[str, ...]:
    """All words of a descriptor that can carry meaning, lower case, noise (dates, masks, phone numbers) removed.

    Keeps words such as "payroll" or "transfer", which say what the row is even though they name no merchant.
    """
    text = _PHONE.sub(" ", _folded(description))
    text = _MASK.sub(" ", _DATE.sub(" ", text))
    text = _URL_HEAD.sub(" ", text)
    text = _DOMAIN_TAIL.sub(" ", text)
    text = _CARD_PURCHASE.sub(" ", text)
    return tuple(word for word in _split(text) if not (word.isdigit() and len(word) > 2))


def _strip_place(words: list[str]) -> list[str]:
    """Without a trailing city, state and country. A word before a state that is no known city stays, unless the word
    before it names a trade and so ends the name ("joes grill smithville tx")."""
    while len(words) > 1 and words[-1] in _COUNTRIES:
        words = words[:-1]
    state = words[-1] if len(words) > 1 and words[-1] in _STATES else ""
    before = words[:-1] if state else words
    for length in (3, 2, 1):
        city = "".join(before[-length:])
        if len(before) > length and city in _CITIES and (state or city not in _ALSO_WORDS):
            return before[:-length]
    if not state or state == "co":
        # "Co" after anything but a city of Colorado is a company.
        return words
    if len(before) > 2 and before[-1] not in merchant_type_words():
        if before[-2] in _CITY_FIRST:
            return before[:-2]
        if before[-2] in merchant_type_words():
            return before[:-1]
    return before


@lru_cache(KEPT)
def _merchant_words(description: str) -> tuple[str, ...]:
    text = _folded(description)
    for _ in range(4):
        shorter = _PREFIXES.sub("", text, count=1)
        if shorter == text or not shorter.strip():
            break
        text = shorter.strip()
    text = _PAYPAL_INNER.sub("", text) or text
    text = _PHONE.sub(" | ", text)
    text = _DATE.sub(" ", text)
    text = _MASK.sub(" ", text)
    text = _REFERENCE.sub(" | ", text)
    text = _URL_HEAD.sub(" ", text)
    text = _DOMAIN_TAIL.sub(" ", text)
    head, star, tail = text.partition("*")
    if star:
        tail_words = _split(tail)
        # "AMZN MKTP US*2K4LM" carries a code after the star, "UBER *EATS" a name.
        text = (
            head
            + " "
            + (tail if tail_words and not any(c.isdigit() for c in tail_words[0]) and len(tail_words[0]) > 2 else "")
        )
        if not head.strip():
            text = tail
    text = re.sub(r"#\s*\w*\d\w*", " | ", text)
    # After a store number or a phone number comes the place, and nothing that names the merchant.
    kept: list[str] = []
    for raw in text.split():
        if raw == "|":
            if kept:
                break
            continue
        if any(c.isdigit() for c in raw):
            compact = re.sub(r"[\W_]", "", raw)
            if not kept and (
                _KEEP_DIGITS.match(compact) or (compact[:1].isdigit() and sum(c.isalpha() for c in compact) >= 4)
            ):
                kept.append(compact)
                continue
            if kept and any(len(word) > 2 for word in kept):
                break
            continue
        kept.extend(_split(raw))
    words = _strip_place(kept)
    words = [w for w in words if w not in _CORPORATE] or words
    meaningful = [w for w in words if w not in NOISE_WORDS] or words
    while len(meaningful) > 1 and (
        meaningful[-1] in FUNCTION_WORDS or len(meaningful[-1]) == 1 or meaningful[-1] in NOISE_WORDS
    ):
        meaningful = meaningful[:-1]
    while len(meaningful) > 1 and meaningful[0] in FUNCTION_WORDS:
        meaningful = meaningful[1:]
    if not meaningful:
        meaningful = _split(text) or _split(_folded(description))
    return tuple(meaningful)


@lru_cache(KEPT)
def clean_descriptor(description: str) -> str:
    """The merchant's name as a person would write it: "SQ *BLUE BTL 0423 SF CA" becomes "Blue Btl".

    Never empty where the description is not: what cannot be cleaned is returned in title case.
    """
    words = _merchant_words(description)
    if not words:
        return " ".join(description.split())
    if len(words) == 1 and words[0] in CALENDAR_WORDS:
        # "monday.com": without its domain the name would be a day
        site = re.search(rf"\b{words[0]}\.[a-z]{{2,5}}\b", _folded(description))
        return site[0].capitalize() if site else words[0].title()
    known = _alias(words)
    return (known or " ".join(words)).title()


# What may follow a chain's name without making it another business; what makes it one.
_CHAIN_TAILS = frozenset(
    """store stores supercenter oil coffee station wholesale whse pharmacy market cable wireless entertainment
    marketplace
    bill drug drugs mkt corp corporation services digital shop restaurant service""".split()
)
_CHAIN_BRANCHES = frozenset("eats prime fuel gas music video pass one kids fresh go business".split())


def _alias(words: tuple[str, ...]) -> str | None:
    """The chain's usual spelling, where the words open with a chain and name no other trade after it."""
    for length in (3, 2, 1):
        known = BRAND_ALIASES.get(" ".join(words[:length])) if len(words) >= length else None
        if known is None:
            continue
        tail = words[length:]
        if any(word in merchant_type_words() and word not in _CHAIN_TAILS | _CHAIN_BRANCHES for word in tail):
            return None
        return " ".join([known, *(word for word in tail if word in _CHAIN_BRANCHES)])
    return None


@lru_cache(KEPT)
def merchant_words(description: str, merchant_name: str | None = None) -> tuple[str, ...]:
    """The words that identify the merchant, lower case, at most four; () only where nothing legible is given.

    The source's own ``merchant_name`` is trusted over the descriptor.
    """
    words = _merchant_words(merchant_name) if merchant_name and merchant_name.strip() else ()
    if not words:
        words = _merchant_words(description)
    known = _alias(words)
    if known:
        return tuple(known.split())
    return tuple([w for w in words if len(w) > 1 and w not in FUNCTION_WORDS] or words)[:MOST_WORDS]


def merchant_key(description: str, merchant_name: str | None = None) -> str:
    """A key that is equal for the same merchant whatever the noise; "" only where nothing legible is given."""
    return "".join(merchant_words(description, merchant_name))
