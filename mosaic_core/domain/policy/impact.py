"""The kinds of actions, by what they touch."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ImpactClass(StrEnum):
    """What an action would touch. All but the first two always need a person's approval."""

    READ_ONLY = "read_only"
    PROPOSAL = "proposal"
    MONEY_MOVEMENT = "money_movement"
    EXTERNAL_MESSAGE = "external_message"
    DELETION = "deletion"
    ACCOUNT_CLOSURE = "account_closure"
    PAYEE_CHANGE = "payee_change"
    SUBSCRIPTION_CHANGE = "subscription_change"
    UNLISTED_ACTION = "unlisted_action"

    @property
    def needs_approval(self) -> bool:
        return self not in (ImpactClass.READ_ONLY, ImpactClass.PROPOSAL)


SUMMARY: Final = {
    ImpactClass.MONEY_MOVEMENT: "move money (send, pay, transfer, buy or withdraw)",
    ImpactClass.EXTERNAL_MESSAGE: "send a message to someone outside (e-mail, text, call or sharing of data)",
    ImpactClass.DELETION: "delete or remove data",
    ImpactClass.ACCOUNT_CLOSURE: "open, close or lock an account or card",
    ImpactClass.PAYEE_CHANGE: "change payees, bank details, limits or access",
    ImpactClass.SUBSCRIPTION_CHANGE: "start, cancel or change a subscription or contract with a merchant",
    ImpactClass.UNLISTED_ACTION: "carry out an action that is not on the list of harmless ones",
}
"""In words, for those that need an approval."""
