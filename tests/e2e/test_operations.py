"""The operations that roles are held against are those that the app performs: the demo's commands, counted."""

from __future__ import annotations

import json

import pytest

from mosaic_ops.checks.infra.roles import OPERATIONS
from tests.support.operations import count

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_committed_operations_are_those_that_the_demo_performs() -> None:
    """After a change that is meant: ``python -m tests.support.operations`` writes them anew."""
    assert {"operations": count()} == json.loads(OPERATIONS.read_text("utf-8"))
