"""What the categoriser knows: chains, phrases and words of each primary. The knowledge is text in `categories`.

One file a kind of evidence (``chains.toml``, ``phrases.toml``, ``words.toml``, ``stems.toml``), each with a table per
primary and in it a list per country or language. They are read when first asked for, once a process.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from mosaic_core.domain.transactions import Category

PRIMARIES: Final[tuple[str, ...]] = get_args(Category.__value__)
"""Plaid's sixteen, in the order in which they are listed to people."""

Kind = Literal["chains", "phrases", "words", "stems"]

# Spellings of one merchant; the value is the name. Only where the descriptor's words differ beyond noise.
BRAND_ALIASES: Final[dict[str, str]] = {
    "amzn": "amazon",
    "amzn mktp": "amazon",
    "amzn mktplace": "amazon",
    "amazon mktpl": "amazon",
    "amazon mktplace": "amazon",
    "amazon marketplace": "amazon",
    "amazon prime": "amazon prime",
    "amzn prime": "amazon prime",
    "amazon": "amazon",
    "sbux": "starbucks",
    "starbucks": "starbucks",
    "wholefds": "whole foods",
    "wholefoods": "whole foods",
    "whole foods": "whole foods",
    "whole foods market": "whole foods",
    "wm supercenter": "walmart",
    "wal mart": "walmart",
    "walmart": "walmart",
    "mcd": "mcdonalds",
    "mcdonalds": "mcdonalds",
    "netflix": "netflix",
    "spotify": "spotify",
    "uber": "uber",
    "uber trip": "uber",
    "uber eats": "uber eats",
    "ubereats": "uber eats",
    "lyft": "lyft",
    "trader joe": "trader joes",
    "trader joes": "trader joes",
    "costco whse": "costco",
    "costco": "costco",
    "costco gas": "costco gas",
    "target": "target",
    "home depot": "home depot",
    "homedepot": "home depot",
    "bestbuy": "best buy",
    "best buy": "best buy",
    "vzwrlss": "verizon",
    "verizon": "verizon",
    "att": "at&t",
    "at&t": "at&t",
    "tmobile": "t-mobile",
    "t mobile": "t-mobile",
    "cvs": "cvs",
    "cvs pharmacy": "cvs",
    "walgreens": "walgreens",
    "shell oil": "shell",
    "shell service": "shell",
    "shell": "shell",
    "chevron": "chevron",
    "exxonmobil": "exxon",
    "exxon": "exxon",
    "7 eleven": "7-eleven",
    "7eleven": "7-eleven",
    "dunkin": "dunkin",
    "chickfila": "chick-fil-a",
    "chick fil a": "chick-fil-a",
    "xfinity": "comcast",
    "comcast": "comcast",
    "comcast xfinity": "comcast",
    "pg&e": "pg&e",
    "pge": "pg&e",
}


@cache
def read(kind: Kind) -> Mapping[str, Mapping[str, str]]:
    """The file of that kind: by primary, by country or language, the list as it is written."""
    text = (Path(__file__).parent / "categories" / f"{kind}.toml").read_text(encoding="utf-8")
    data: dict[str, dict[str, str]] = tomllib.loads(text)
    return data


@cache
def trade_words() -> frozenset[str]:
    """English words that say what a merchant or a row is, hints included."""
    return frozenset(item.rstrip("!?~") for lists in read("words").values() for item in lists.get("en", "").split())


@cache
def merchant_type_words() -> frozenset[str]:
    """English words that name a merchant's trade, as the last word of a name does."""
    return frozenset(
        item.rstrip("!~")
        for lists in read("words").values()
        for item in lists.get("en", "").split()
        if not item.endswith("?") and len(item.rstrip("!~")) > 2
    )
