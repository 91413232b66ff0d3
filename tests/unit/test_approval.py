"""An approval's action: the exact one that was asked for, or none."""

from __future__ import annotations

from dataclasses import replace

from mosaic_core.domain import ids
from mosaic_core.domain.policy.approval import Action, stored_action
from mosaic_core.domain.records import Approval
from tests.support import records

ASKED = Action("pay", {"amount": "10", "payee": "gym"})
CHANGED = Action("pay", {"amount": "1000", "payee": "gym"})


def approval(action: Action, run_id: str = records.APPROVAL.run_id) -> Approval:
    return replace(
        records.APPROVAL,
        run_id=run_id,
        approval_id=ids.approval_id(run_id, action.hash),
        action_hash=action.hash,
        action_json=action.json,
    )


def test_the_action_that_was_asked_for_comes_back() -> None:
    assert stored_action(approval(ASKED)) == ASKED


def test_an_action_that_was_changed_since_is_none() -> None:
    assert stored_action(replace(approval(ASKED), action_json=CHANGED.json)) is None
    assert stored_action(replace(approval(ASKED), action_json=ASKED.json.replace(",", ", "))) is None


def test_an_action_that_was_changed_with_its_hash_is_none() -> None:
    both = replace(approval(ASKED), action_json=CHANGED.json, action_hash=CHANGED.hash)
    assert stored_action(both) is None


def test_an_action_belongs_to_the_approval_that_it_was_asked_for_under() -> None:
    elsewhere = replace(approval(ASKED, "d" * 32), approval_id=approval(ASKED).approval_id)
    assert stored_action(elsewhere) is None
