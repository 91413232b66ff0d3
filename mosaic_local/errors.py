"""The embedded stack's errors; each message is one line for a person.

StackError
├─ StateError          the state folder is in use, of a newer version, or not readable
├─ PartError           a part (broker, Azurite, worker) did not start or ended; names the part and its log
├─ LocalSettingsError  local.settings.json lacks something, or names another machine
├─ DeclarationError    a queue or event hub that is declared wrongly
└─ NotRunningError     no running stack was found
"""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The stack cannot start or go on."""


class StateError(StackError):
    """The state folder cannot be used."""


class LocalSettingsError(StackError):
    """``local.settings.json`` is missing, or does not say what the issuer beside ``func start`` has to know."""


class DeclarationError(StackError):
    """What is to be declared on the broker is not readable, or not something that it has."""


class NotRunningError(StackError):
    """There is no running stack where one was looked for."""


class PartError(StackError):
    """A part did not start, or ended by itself."""

    def __init__(self, part: str, what: str, log: Path | None = None) -> None:
        self.part, self.what, self.log = part, what, log
        super().__init__(f"{part}: {what}" + (f" (log: {log})" if log is not None else ""))
