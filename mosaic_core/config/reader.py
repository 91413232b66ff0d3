"""Reads settings by the table and gathers what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from mosaic_core.config.kinds import Wrong
from mosaic_core.config.platform import REFUSED_AT_START
from mosaic_core.config.table import Setting
from mosaic_core.domain.errors import Fault

_NEAR: Final = 0.85
"""How like a setting of ours (`difflib`'s ratio) another name has to be to be taken for a slip of the pen."""

_PREFIXES: Final = ("APPSETTING_", "CUSTOMCONNSTR_")
"""What the platform puts before a setting's name where it gives it a second time."""


class Reader:
    """After a fault it goes on with the default, so that every fault is found at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: set[str] = set()
        self.faults: list[Fault] = []

    def text(self, name: str) -> str:
        """As it stands, trimmed; empty where it does not."""
        self._known.add(name)
        return self._environ.get(name, "").strip()

    def value[T](self, setting: Setting[T]) -> T:
        """The setting's value, or its default where nothing is said or what is said is no value of its kind."""
        text = self.text(setting.name)
        if not text:
            if setting.required == "yes":
                self.missing(setting)
            return setting.default
        value = setting.kind.read(text, setting.default)
        if isinstance(value, Wrong):
            self.fault(setting.name, value.what, value.remedy)
            return setting.default
        return value

    def missing[T](self, setting: Setting[T], where: str = "") -> None:
        self.fault(setting.name, f"is missing{where}", f"set it to {setting.wanted}", reason="setting_missing")

    def fault(self, name: str, wrong: str, remedy: str, *, reason: str = "setting_invalid") -> None:
        self.faults.append(Fault(name, wrong, remedy, reason=reason))

    def contradicts(self, name: str, wrong: str, remedy: str) -> None:
        self.fault(name, wrong, remedy, reason="setting_contradicts")

    # -------------------------------------------------------------------------------------------------------- unknown

    def report_refused(self) -> None:
        for name, why in REFUSED_AT_START.items():
            if self.text(name):
                self.fault(name, "must not be set", f"remove it: {why}", reason="setting_forbidden")

    def report_unknown(self) -> None:
        """A setting in one of our groups that nothing reads, or one of ours in other letters or nearly so, is a slip of
        the pen."""
        groups = {name.partition("__")[0].lower() for name in self._known if "__" in name}
        spelt = {name.lower(): name for name in self._known}
        ours = [name for name in self._known if name != name.upper()]  # the others are the platform's
        for name in sorted(self._environ):
            if name in self._known or name.startswith(_PREFIXES):
                continue
            group, separator, _ = name.partition("__")
            if name.lower() in spelt:
                self.fault(
                    name,
                    "is not how this setting is spelt",
                    f"call it {spelt[name.lower()]}",
                    reason="setting_unknown",
                )
            elif separator and group.lower() in groups:
                known = sorted(n for n in self._known if n.lower().startswith(f"{group.lower()}__"))
                self.fault(name, "is unknown", f"there is {', '.join(known)}", reason="setting_unknown")
            elif name != name.upper() and (near := difflib.get_close_matches(name, ours, 1, _NEAR)):
                self.fault(name, "is not how this setting is spelt", f"call it {near[0]}", reason="setting_unknown")
