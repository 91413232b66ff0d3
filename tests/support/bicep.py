"""The parameters of a Bicep file, as a document's table tells them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.support.documents import ROOT, read

_PARAMETER = re.compile(
    r"(?P<decorators>(?:^@\w+\(.*\)\n)*)^param (?P<name>\w+) (?P<type>\w+)(?: = (?P<default>.*))?$", re.MULTILINE
)
_DESCRIPTION = re.compile(r"^@description\('(?P<text>(?:[^'\\]|\\.)*)'\)$", re.MULTILINE)
_BOUND = re.compile(r"^@(?P<name>minLength|maxLength|minValue|maxValue|allowed)\((?P<value>.*)\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """``default`` and the values of ``bounds`` as they are written; a default of None is a required parameter."""

    name: str
    type: str
    default: str | None
    description: str
    bounds: dict[str, str]

    def row(self, azd_value: str) -> list[str]:
        """Value, where azd takes it from, default, bounds, what it is."""
        return [
            f"`{self.name}`",
            f"`{azd_value}`",
            "required" if self.default is None else f"`{self.default}`",
            self._told_bounds(),
            self.description,
        ]

    def _told_bounds(self) -> str:
        if "allowed" in self.bounds:
            return ", ".join(f"`{part.strip()}`" for part in self.bounds["allowed"].strip("[]").split(","))
        found = []
        for kind, unit in (("Value", ""), ("Length", " characters")):
            low, high = self.bounds.get(f"min{kind}"), self.bounds.get(f"max{kind}")
            if low and high:
                found.append(f"{low} to {high}{unit}")
            elif low or high:
                found.append(f"{'at least' if low else 'at most'} {low or high}{unit}")
        return ", ".join(found) or self.type


def parameters(file: str) -> list[Parameter]:
    found = []
    for match in _PARAMETER.finditer(read(file)):
        description = _DESCRIPTION.search(match["decorators"])
        assert description is not None, f"{file}: {match['name']} has no description"
        bounds = {bound["name"]: bound["value"] for bound in _BOUND.finditer(match["decorators"])}
        text = description["text"].replace("\\'", "'")
        found.append(Parameter(match["name"], match["type"], match["default"], text, bounds))
    return found


def azd_values(file: str = "infra/main.parameters.json") -> dict[str, str]:
    """Parameter → name of the azd environment's value."""
    given = json.loads(read(file))["parameters"]
    found = {}
    for name, parameter in given.items():
        value = re.fullmatch(r"\$\{(\w+)(?:=[^}]*)?\}", parameter["value"])
        assert value is not None, f"{file}: {name}"
        found[name] = value[1]
    return found


def resource_providers(text: str) -> set[str]:
    """The namespaces of the resource types that a Bicep file declares."""
    return set(re.findall(r"^resource \w+ '(Microsoft\.\w+)/", text, re.MULTILINE))


GUIDE = "docs/deploy.md"
BEGIN = "<!-- parameters: written by `python -m tests.support.bicep` -->\n"
END = "<!-- end of the parameters -->\n"


def rows(file: str = "infra/main.bicep") -> str:
    """The guide's rows of all parameters, in the template's order."""
    values = azd_values()
    return "".join(f"| {' | '.join(parameter.row(values[parameter.name]))} |\n" for parameter in parameters(file))


def _write() -> None:
    text = read(GUIDE)
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    (ROOT / GUIDE).write_text(before + BEGIN + HEAD + rows() + END + after, "utf-8")


HEAD = "| parameter | value of the azd environment | default | bounds | what it is |\n|---|---|---|---|---|\n"

if __name__ == "__main__":
    _write()
