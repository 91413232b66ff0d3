"""A defect that is planted in a copy of the sources, and the tests that have to see it.

A table of them is a module beside this one (``delivery``, ``lanes``, …); `test_planted` lists the modules.
``old`` stands exactly once in ``file``; with ``new`` in its place the file still compiles, and a promise is broken.
``caught_by`` are node ids without brackets (``tests/unit/test_x.py::test_y``): at least one test of theirs must fail.
A defect that no test catches is a test that is missing: write the test, then the row. ``what`` says what breaks.
``./mosaic test --slow -k planted`` plants them all; ``-k "planted and NAME"`` one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """``file`` is relative to the checkout's root."""

    name: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]
    what: str

    def planted(self, text: str) -> str:
        """The file's text with the defect. Raises ValueError where ``old`` does not stand exactly once in it."""
        times = text.count(self.old)
        if times != 1:
            raise ValueError(f"{self.name}: what is to be replaced stands {times} times in {self.file}")
        return text.replace(self.old, self.new)
