"""JSON Lines files: read line by line with errors that name the place, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ValidationError

from mosaic_core.domain.envelope import faults, parse_json
from mosaic_core.domain.errors import InvalidJsonError


class InputError(Exception):
    """What was given cannot be used. ``str()`` is "FILE, line N, field F: issue" and never holds a value."""

    def __init__(self, path: Path, issue: str, *, line: int = 0, field: str = "") -> None:
        place = str(path) + (f", line {line}" if line else "") + (f", field {field}" if field else "")
        super().__init__(f"{place}: {issue}")


def read[M: BaseModel](path: Path, model: type[M]) -> Iterator[tuple[int, M]]:
    """(line number from 1, value) of each line that is not blank, one at a time.

    Raises `InputError` where the file cannot be read and at the first line that is no ``model``.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, model.model_validate(parse_json(line.rstrip(b"\r\n")))
    except OSError as error:
        raise InputError(path, f"cannot be read: {(error.strerror or 'error').lower()}") from None
    except InvalidJsonError as error:
        raise InputError(path, error.rationale, line=number) from None
    except ValidationError as error:
        field, issue = faults(error)[0]
        raise InputError(path, issue, line=number, field="" if field == "body" else field) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes ``path``'s place when the block ends well; else ``path`` stays as it was, or absent.

    What is no regular file (a terminal, a pipe) is written only when everything is there.
    Raises `InputError` where it cannot be written.
    """
    target = path.resolve()
    special = target.exists() and not target.is_file()
    if target.is_dir():
        raise InputError(path, "is a directory")
    partial = (Path(os.environ.get("TMPDIR", "/tmp")) if special else target.parent) / (  # noqa: S108 - with our pid
        f".{target.name}.{os.getpid()}.partial"
    )
    try:
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            yield file
        if special:
            with partial.open("rb") as done, path.open("wb", buffering=0) as out:
                while chunk := done.read(1 << 16):
                    out.write(chunk)
        else:
            partial.replace(target)
    except OSError as error:
        raise InputError(path, f"cannot be written: {(error.strerror or 'error').lower()}") from None
    finally:
        partial.unlink(missing_ok=True)


def encode(value: Mapping[str, Any]) -> str:
    """One line, without its end. Decimals become JSON numbers, whole ones without a fraction's zeros lost or added."""
    return json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
