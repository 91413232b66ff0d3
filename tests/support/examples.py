"""How many examples a property is tried on: some in the everyday run, all where the slow tests run."""

from __future__ import annotations

import os
from typing import Final

WITH_SLOW: Final = "MOSAIC_TESTS_WITH_SLOW"
"""Set by tests/conftest.py where slow tests are not left out."""


def examples(everyday: int, *, slow: int) -> int:
    return slow if WITH_SLOW in os.environ else everyday
