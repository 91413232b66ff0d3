"""Phrases made of parts: who raised what of theirs, what returns each month, what is taken off what. Data."""

# ruff: noqa: E501 - word lists read worse when they are broken
from __future__ import annotations

from itertools import product
from typing import Final


def _joined(*parts: str) -> str:
    return "; ".join(
        " ".join(words).replace("  ", " ").strip() for words in product(*(part.split("|") for part in parts))
    )


_THEIR: Final = "its|their|the|his|her|my|our"
_PRICE: Final = "price|prices|fee|fees|rate|rates|charge|charges|cost|costs|tariff|tariffs|bill|premium|subscription"

RAISED: Final = "; ".join(
    (
        _joined("put|puts|putting|push|pushed|bump|bumped|jack|jacked|bring|brought|mark|marked", _THEIR, _PRICE, "up"),
        _joined("put|puts|putting|push|pushed|bump|bumped|jack|jacked", "up", _THEIR, _PRICE),
        _joined("raise|raises|raised|increase|increases|increased|hike|hiked|up|upped", _THEIR, _PRICE),
    )
)
"""A merchant that asks for more than before."""
LOWERED: Final = "; ".join(
    (
        _joined("put|puts|bring|brought", _THEIR, _PRICE, "down"),
        _joined(
            "lower|lowers|lowered|cut|cuts|reduce|reduces|reduced|drop|drops|dropped|decrease|decreased", _THEIR, _PRICE
        ),
    )
)
RETURNS: Final = "; ".join(
    (
        _joined(
            "come|comes|coming",
            "round|around|back|up|due|out|off|in",
            "each|every",
            "month|week|year|quarter|single month",
        ),
        _joined(
            "recur|recurs|repeat|repeats|hit|hits|hit me|hit us|hits me|hits us|charged|billed|taken|bill me|bill us|bills me|bills us|charge me|charge us"
            "|charges me|charges us|go out|goes out|leave|leaves|are paid|is paid|gets paid|get paid|get charged|get billed|am billed|am charged|are billed|are charged",
            "each|every",
            "month|week|year|quarter|single month",
        ),
    )
)  # fmt: skip
"""What returns of itself."""
ACCOUNT_HIT: Final = _joined(
    "hit|hits|reach|reached|reaches|land in|landed in|lands in|arrive in|arrived in|enter|entered|drop into|dropped into|go into|went into|come into|came into|paid into|credited to",
    "the|my|our|",
    "account|bank account|bank|current account|checking account|checking",
)
NET_OF_SPENDING: Final = _joined(
    "income|earnings|money in|incomings|inflows|inflow|income received",
    "take away|minus|less|net of|subtract|after taking off|after taking away|after deducting|after subtracting|after",
    "spending|spend|expenses|expenditure|outgoings|costs|outlay|outlays|money out|outflows|outflow|all spending|all expenses|my spending|our spending|my expenses|our expenses|my outgoings|our outgoings",
)
