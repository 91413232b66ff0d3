"""What the cost sheet counts is what the product does."""

from __future__ import annotations

import json

import pytest

from bench import operations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.slow
async def test_the_documented_counts_are_those_of_the_running_product() -> None:
    documented = json.loads(operations.FILE.read_text("utf-8"))
    assert await operations.count() == documented, "run python -m bench.operations"
    assert all(set(counts) == set(operations.COUNTED) for counts in documented.values())
