"""What ends a verb, with its exit code: 1 not so, 2 usage, 3 not reachable."""

from __future__ import annotations

from typing import Final

NOT_SO: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class OpsError(Exception):
    """``str()`` is one sentence for a person, with what to do."""

    code = NOT_SO

    def __init__(self, message: str, *, api_code: str = "") -> None:
        super().__init__(message)
        self.api_code = api_code


class UsageError(OpsError):
    code = USAGE


class UnreachableError(OpsError):
    """``is_silence``: nobody answered, which is no matter of the caller's rights."""

    code = UNREACHABLE

    def __init__(self, message: str, *, api_code: str = "", is_silence: bool = False) -> None:
        super().__init__(message, api_code=api_code)
        self.is_silence = is_silence
