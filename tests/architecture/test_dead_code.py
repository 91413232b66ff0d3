"""Nothing in mosaic_core is there for the tests alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("mosaic_core", "mosaic_ops", "mosaic_local", "bench")

DEFINED = re.compile(
    r"^(?P<decorators>(?:@.*\n)*)"
    r"(?:(?:async )?def (?P<function>\w+)|class (?P<class>\w+)|type (?P<type>\w+)|(?P<value>[A-Za-z]\w*)(?:: .*)? = )"
    r"|^(?P<above>(?:    @.*\n)*)    (?:async )?def (?P<method>\w+)",
    re.MULTILINE,
)
KNOWN = re.compile(r"@(?:property|cached_property|classmethod|staticmethod|abstractmethod|cache|lru_cache|dataclass)\b")

CALLED_BY_OTHERS = {
    "field_title_should_be_set": "pydantic's schema generator",
    "function_after_schema": "pydantic's schema generator",
    "connection_made": "asyncio",
    "NOTICES": "documents are compared with it",
}


def defined(source: str) -> Iterator[str]:
    """Names of the module and of its classes' methods, but those that a decorator of somebody else's takes."""
    for found in DEFINED.finditer(source):
        decorators = [line.strip() for line in (found["decorators"] or found["above"] or "").splitlines()]
        name = next(name for name in found.group("function", "class", "type", "value", "method") if name is not None)
        if not name.startswith("__") and all(map(KNOWN.match, decorators)):
            yield name


def only_defined(files: dict[str, str]) -> set[tuple[str, str]]:
    """(file, name) of what nothing names but its own definition."""
    uses = Counter(word for source in files.values() for word in re.findall(r"\w+", source))
    return {
        (file, name)
        for file, source in files.items()
        if file.startswith("mosaic_core/")
        for name in defined(source)
        if uses[name] == 1
    }


def test_everything_is_used_by_code() -> None:
    paths = [ROOT / "function_app.py", *(path for room in CODE for path in (ROOT / room).rglob("*.py"))]
    files = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}
    assert len(files) > 200
    found = only_defined(files)
    assert {f"{file}: {name}" for file, name in found if name not in CALLED_BY_OTHERS} == set()


def test_what_only_a_test_uses_would_be_found() -> None:
    source = "LIMIT = 3\n\n\ndef used(): ...\n\n\nclass Row:\n    @property\n    def odd(self):\n        used()\n"
    assert only_defined({"mosaic_core/rows.py": source}) == {
        ("mosaic_core/rows.py", name) for name in ("LIMIT", "Row", "odd")
    }
