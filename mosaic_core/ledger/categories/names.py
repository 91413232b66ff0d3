"""What people call the ledger's sixteen categories. Data and one look-up."""

# ruff: noqa: E501 - word lists read worse when they are broken
from __future__ import annotations

import re
from typing import Final

_CALLED: Final = {
    "INCOME": "income; salary; salaries; wage; wages; pay; paycheck; paychecks; payroll; earnings; dividends; interest earned; pension; benefits",
    "TRANSFER_IN": "transfer in; transfers in; incoming transfer; incoming transfers; transfer; transfers; internal transfer; internal transfers; own transfers",
    "TRANSFER_OUT": "transfer out; transfers out; outgoing transfer; outgoing transfers; transfer; transfers; internal transfer; internal transfers; own transfers; savings transfer; investment; investments",
    "LOAN_PAYMENTS": "loan payments; loan payment; loan; loans; mortgage; debt; debts; debt repayment; credit card payment; credit card payments; car loan; car payment; student loan; student loans",
    "BANK_FEES": "bank fees; bank fee; bank charges; banking fees; fees; atm fees; overdraft; overdraft fees; interest charges; foreign transaction fees; service charges",
    "ENTERTAINMENT": "entertainment; fun; leisure; movies; cinema; music; streaming; tv; games; gaming; video games; concerts; events; tickets; hobbies",
    "FOOD_AND_DRINK": "food and drink; food and drinks; food; drink; drinks; groceries; grocery; restaurants; restaurant; dining; dining out; eating out; coffee; takeout; takeaway; fast food; alcohol; bars; meals; lunch; dinner; snacks",
    "GENERAL_MERCHANDISE": "general merchandise; merchandise; shopping; online shopping; clothes; clothing; electronics; gadgets; gifts; books; office supplies; pet supplies; toys; retail; department stores",
    "HOME_IMPROVEMENT": "home improvement; home improvements; diy; hardware; furniture; home repairs; repairs; renovation; renovations; garden; gardening; house projects",
    "MEDICAL": "medical; health; healthcare; health care; doctor; doctors; dentist; dental; pharmacy; medicine; prescriptions; hospital; vet; veterinary; eye care; optician",
    "PERSONAL_CARE": "personal care; beauty; hair; haircut; haircuts; gym; gyms; fitness; laundry; dry cleaning; spa; cosmetics; self care",
    "GENERAL_SERVICES": "general services; services; service; insurance; education; tuition; school; childcare; child care; daycare; legal; accounting; consulting; postage; shipping; storage; car repair; car repairs",
    "GOVERNMENT_AND_NON_PROFIT": "government and non-profit; government and nonprofit; government; non-profit; nonprofit; charity; charities; donation; donations; giving; tax; taxes; fines",
    "TRANSPORTATION": "transportation; transport; transit; public transport; public transit; commuting; car; gas; petrol; fuel; gasoline; parking; tolls; taxi; taxis; rides; ride sharing; rideshare; bike share",
    "TRAVEL": "travel; travelling; traveling; trips; trip; vacation; vacations; holiday; holidays; flights; flight; airfare; hotel; hotels; lodging; rental car; car rental",
    "RENT_AND_UTILITIES": "rent and utilities; rent; housing; utilities; utility; electricity; electric; power; energy; gas; water; sewage; internet; broadband; phone; telephone; mobile; cell phone; waste; trash; household bills",
}  # fmt: skip

NAMES: Final = tuple(_CALLED)

_AROUND: Final = re.compile(
    r"^(?:the|a|an|my|our|under|as|category|categories|for|of)\s+|\s+(?:category|categories|expenses?|costs?|spending|purchases?|too|also|instead|please|now|thanks)$"
)


LONGEST_NAMED: Final = 200
"""Characters of a text that may be a name and nothing else."""


def _key(text: str) -> str:
    return " ".join(re.sub(r"[^a-z]+", " ", text.casefold().replace("&", " and ")).split())


def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for category, block in _CALLED.items():
        for name in (category, *block.split(";")):
            found.setdefault(_key(name), set()).add(category)
    return {name: frozenset(categories) for name, categories in found.items()}


_TABLE: Final = _table()


def named(text: str) -> frozenset[str]:
    """The categories that go by this name: none where it is unknown, several where it is said of more than one."""
    if len(text) > LONGEST_NAMED:
        return frozenset()
    text = text.strip(" .,!'\"").casefold()
    for _ in range(6):
        found = _TABLE.get(_key(text))
        if found is not None:
            return found
        shorter = _AROUND.sub("", text, count=1).strip()
        if shorter == text:
            break
        text = shorter
    return frozenset()


def mentioned(text: str) -> frozenset[str]:
    """The categories whose names stand in a text, the longest names first: "food and drink" is no mention of drinks."""
    key, found = f" {_key(text)} ", frozenset[str]()
    for name in sorted(_TABLE, key=lambda n: (-len(n), n)):
        if f" {name} " in key:
            found |= _TABLE[name]
            key = key.replace(f" {name} ", " | ")
    return found
