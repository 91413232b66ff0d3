"""Types, API versions, properties, values and limits of every resource, against a committed table.

``bicep-types.json`` is cut from Azure/bicep-types-az at 1f896de (MIT licence). A key is ``Type@version``; in a shape,
``name!`` is required, ``?name`` is the property that chooses among shapes, ``*`` any other property. A text is a type
or the list of allowed values; where that list ends in ``string`` Azure takes others as well, but a value that is not
listed is almost always misspelt, and compiles.

Limits are those of Azure's own documents, which the types do not say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import (
    Composed,
    Instance,
    List,
    Missing,
    Record,
    Reference,
    Scope,
    Unknown,
    Value,
    Values,
    deploy,
)

ENTRIES: Final = ("infra/main.bicep", "infra/resources.bicep")
TABLE: Final = Path(__file__).with_name("bicep-types.json")
_META: Final = frozenset({"parent", "scope", "dependson", "asserts"})

_TEXT_FUNCTIONS: Final = frozenset(
    "uniqueString guid toLower toUpper format substring trim replace join base64 subscriptionResourceId resourceId"
    " extensionResourceId tenantResourceId managementGroupResourceId string uri uriComponent padLeft newGuid utcNow"
    " environmentName loadTextContent loadFileAsBase64 take".split()
)
_ARRAY_FUNCTIONS: Final = frozenset("split range objectKeys items map filter".split())


@dataclass(frozen=True, slots=True)
class Limit:
    """Of a text: its length and shape. Of a number: its value."""

    lowest: int
    highest: int
    shape: str = ""


LIMITS: Final[Mapping[tuple[str, str], Limit]] = {
    ("Microsoft.Resources/resourceGroups", "name"): Limit(1, 90, r"[-\w._()]*[-\w_()]"),
    ("Microsoft.ManagedIdentity/userAssignedIdentities", "name"): Limit(3, 128, r"[A-Za-z0-9][-\w]*"),
    ("Microsoft.ServiceBus/namespaces", "name"): Limit(6, 50, r"[A-Za-z][-A-Za-z0-9]*[A-Za-z0-9]"),
    ("Microsoft.ServiceBus/namespaces/queues", "name"): Limit(1, 260, r"[A-Za-z0-9]([-\w./]*[A-Za-z0-9])?"),
    ("Microsoft.ServiceBus/namespaces/queues", "properties.maxDeliveryCount"): Limit(1, 2000),
    ("Microsoft.EventHub/namespaces", "name"): Limit(6, 50, r"[A-Za-z][-A-Za-z0-9]*[A-Za-z0-9]"),
    ("Microsoft.EventHub/namespaces/eventhubs", "name"): Limit(1, 256, r"[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?"),
    ("Microsoft.EventHub/namespaces/eventhubs", "properties.partitionCount"): Limit(1, 1024),
    ("Microsoft.EventHub/namespaces/eventhubs/consumergroups", "name"): Limit(
        1, 50, r"\$?[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?"
    ),
    ("Microsoft.Storage/storageAccounts", "name"): Limit(3, 24, r"[a-z0-9]+"),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "name"): Limit(3, 63, r"[a-z0-9$](-?[a-z0-9])*"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "name"): Limit(3, 63, r"[A-Za-z][A-Za-z0-9]*"),
    ("Microsoft.Web/serverfarms", "name"): Limit(1, 60, r"[-\w]+"),
    ("Microsoft.Web/sites", "name"): Limit(2, 60, r"[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9]"),
    ("Microsoft.Web/sites", "properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount"): Limit(40, 1000),
    ("Microsoft.Web/sites", "properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB"): Limit(512, 4096),
    ("Microsoft.OperationalInsights/workspaces", "name"): Limit(4, 63, r"[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9]"),
    ("Microsoft.OperationalInsights/workspaces", "properties.retentionInDays"): Limit(7, 730),
    ("Microsoft.Insights/components", "name"): Limit(1, 260),
    ("Microsoft.Insights/actionGroups", "name"): Limit(1, 260),
    ("Microsoft.Insights/actionGroups", "properties.groupShortName"): Limit(1, 12),
    ("Microsoft.Insights/metricAlerts", "properties.severity"): Limit(0, 4),
    ("Microsoft.Insights/scheduledQueryRules", "properties.severity"): Limit(0, 4),
    ("Microsoft.Network/virtualNetworks", "name"): Limit(2, 64, r"[A-Za-z0-9][-\w.]*"),
    ("Microsoft.Network/networkSecurityGroups", "name"): Limit(1, 80, r"[A-Za-z0-9][-\w.]*"),
    ("Microsoft.Network/privateEndpoints", "name"): Limit(2, 64, r"[A-Za-z0-9][-\w.]*"),
    ("Microsoft.KeyVault/vaults", "name"): Limit(3, 24, r"[A-Za-z][-A-Za-z0-9]*"),
}

CHOICES: Final[Mapping[tuple[str, str], frozenset[Value]]] = {
    ("Microsoft.Web/sites", "properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB"): frozenset(
        {512, 2048, 4096}
    ),
    ("Microsoft.Web/sites", "properties.functionAppConfig.runtime.version"): frozenset({"3.13"}),
    ("Microsoft.ServiceBus/namespaces", "sku.capacity"): frozenset({1, 2, 4, 8, 16}),
}

CHARACTERS: Final[Mapping[str, str]] = {
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]*",
    "Microsoft.ServiceBus/namespaces": r"[-A-Za-z0-9]*",
    "Microsoft.EventHub/namespaces": r"[-A-Za-z0-9]*",
    "Microsoft.Web/sites": r"[-A-Za-z0-9]*",
    "Microsoft.KeyVault/vaults": r"[-A-Za-z0-9]*",
}
DURATIONS: Final[Mapping[tuple[str, str], tuple[int, int]]] = {
    ("Microsoft.ServiceBus/namespaces/queues", "properties.lockDuration"): (5, 300),
    ("Microsoft.ServiceBus/namespaces/queues", "properties.defaultMessageTimeToLive"): (1, 2**62),
    ("Microsoft.Insights/metricAlerts", "properties.evaluationFrequency"): (60, 86_400),
    ("Microsoft.Insights/metricAlerts", "properties.windowSize"): (60, 86_400),
    ("Microsoft.Insights/scheduledQueryRules", "properties.evaluationFrequency"): (300, 86_400),
    ("Microsoft.Insights/scheduledQueryRules", "properties.windowSize"): (300, 172_800),
}
"""Seconds that an ISO 8601 duration may be."""


@cache
def table() -> dict[str, tuple[str, Any]]:
    """Lower-case ``type@version`` → the name as it is written, and its shape."""
    return {name.lower(): (name, shape) for name, shape in json.loads(TABLE.read_text("utf-8")).items()}


@cache
def versions() -> dict[str, list[str]]:
    """Lower-case type → the versions that the table has."""
    found: dict[str, list[str]] = {}
    for name in table():
        kind, _, version = name.partition("@")
        found.setdefault(kind, []).append(version)
    return found


def shape_of(resource: bicep.Resource) -> Any | None:
    found = table().get(f"{resource.type}@{resource.version}".lower())
    return found[1] if found else None


def problems(files: Mapping[str, BicepFile]) -> list[str]:
    """A line for each thing that Azure would refuse."""
    found: list[str] = []
    for file in files.values():
        for resource in file.resources:
            found += _declaration(file, resource)
        # one level down, so that parameters are whatever their declarations allow
        scope = Scope(file, {file.path: file}, (), {}, depth=0)
        for instance in scope.instances():
            shape = shape_of(instance.declaration)
            if shape is not None and not instance.declaration.existing:
                check = _Check(instance)
                check.shape(instance.body, shape, instance.type.rpartition("/")[2], instance.place, top=True)
                check.limits()
                found += check.found
    for entry in ENTRIES:
        for instance in deploy(files, entry) if entry in files else ():
            shape = shape_of(instance.declaration)
            if not instance.declaration.existing and shape is not None:
                found += _characters(instance)
                # once more, with what the modules were given
                check = _Check(instance)
                check.shape(instance.body, shape, instance.type.rpartition("/")[2], instance.place, top=True)
                found += check.found
    return list(dict.fromkeys(found))


def _characters(instance: Instance) -> Iterator[str]:
    """What is known of a name that is not wholly known is made of characters that Azure takes."""
    if instance.type not in CHARACTERS:
        return
    for field in instance.at("name"):
        for text in _pieces(field.values):
            if not re.fullmatch(CHARACTERS[instance.type], text):
                yield (
                    f"{field.place}: the name of {instance.declaration.name} has '{text}' in it: Azure does not take it"
                )


def _pieces(values: Values) -> Iterator[str]:
    """The constant pieces of a text, those of functions' arguments left out."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Composed) and not value.function:
            for part in value.parts:
                yield from _pieces(part)


def _declaration(file: BicepFile, resource: bicep.Resource) -> Iterator[str]:
    place = f"{file.path}:{resource.line}"
    known = versions().get(resource.type.lower())
    if known is None:
        yield (
            f"{place}: {resource.type} is no resource type of bicep-types.json: is it misspelt?"
            " If not, add its shape there"
        )
        return
    if resource.version.lower() not in known:
        yield (
            f"{place}: {resource.type} has no API version {resource.version}; the table knows"
            f" {', '.join(sorted(known))}"
        )
        return
    written = table()[f"{resource.type}@{resource.version}".lower()][0].partition("@")[0]
    if written != resource.type:
        yield f"{place}: {resource.type} is written {written}"
    yield from _parenthood(place, resource)


def _parenthood(place: str, resource: bicep.Resource) -> Iterator[str]:
    """A child says whose it is: by its place, by `parent`, or by a name with slashes."""
    levels = resource.type.count("/") - 1
    if levels == 0 or resource.nested_in is not None:
        return
    for body in bicep.bodies(resource.value):
        name = body.get("name")
        slashes = (
            sum(part.count("/") for part in name.parts if isinstance(part, str))
            if isinstance(name, bicep.Text)
            else None
        )
        if body.get("parent") is None and slashes is not None and slashes < levels:
            yield f"{place}: {resource.name} is a child without parent: give it `parent`"
        if body.get("parent") is not None and slashes:
            yield f"{place}: {resource.name} has a parent, so that its name has no slash"


class _Check:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.found: list[str] = []

    def _report(self, place: str, what: str) -> None:
        self.found.append(f"{place}: {what}")

    # ---------------------------------------------------------------------------------------------------------- shapes

    def shape(self, values: Values, shape: Any, path: str, place: str, *, top: bool = False) -> None:
        for value in values:
            if isinstance(shape, dict):
                self._object(value, shape, path, place, top=top)
            elif isinstance(shape, list):
                self._array(value, shape[0], path, place)
            else:
                self._plain(value, str(shape), path, place)

    def _object(self, value: Value, shape: dict[str, Any], path: str, place: str, *, top: bool) -> None:
        if not isinstance(value, Record):
            if (kind := kind_of(value)) not in ("object", "", "null"):
                self._report(place, f"{path} wants an object, has {kind}")
            return
        place = value.place or place
        known, required = self._known(value, shape, path)
        for key, field in value.fields:
            if top and key.lower() in _META:
                continue
            if key in known:
                self.shape(field.values, known[key], f"{path}.{key}", field.place)
            elif "*" in known:
                self.shape(field.values, known["*"], f"{path}.{key}", field.place)
            else:
                close = next((name for name in known if name.lower() == key.lower()), "")
                self._report(field.place, f"{path}.{key} is unknown" + (f": it is written {close}" if close else ""))
        if value.complete:
            for key in required:
                if value.get(key) is None:
                    self._report(place, f"{path}.{key} is missing")

    def _known(self, value: Record, shape: dict[str, Any], path: str) -> tuple[dict[str, Any], list[str]]:
        known = {name.rstrip("!"): inner for name, inner in shape.items() if not name.startswith("?")}
        required = [name[:-1] for name in shape if name.endswith("!")]
        for name, shapes in shape.items():
            if not name.startswith("?"):
                continue
            chooser = name[1:]
            field = value.get(chooser)
            known[chooser] = "string"
            if field is None:
                required.append(chooser)
                known["*"] = "any"
                continue
            for choice in field.values:
                if choice in shapes:
                    inner_known, inner_required = self._known(value, shapes[str(choice)], path)
                    known.update(inner_known)
                    required += inner_required
                elif isinstance(choice, str):
                    self._report(field.place, f"{path}.{chooser}: '{choice}' is none of {', '.join(shapes)}")
                    known["*"] = "any"
                else:
                    known["*"] = "any"
        return known, required

    def _array(self, value: Value, shape: Any, path: str, place: str) -> None:
        if isinstance(value, List):
            for item in value.items:
                self.shape(item, shape, f"{path}[]", place)
        elif (kind := kind_of(value)) not in ("array", "", "null"):
            self._report(place, f"{path} wants an array, has {kind}")

    def _plain(self, value: Value, shape: str, path: str, place: str) -> None:
        kind = kind_of(value)
        if shape in ("any", "*") or kind in ("", "null"):
            return
        if "'" in shape:
            choices = re.findall(r"'((?:[^'\\]|\\.)*)'", shape)
            if kind != "string":
                self._report(place, f"{path} wants a text, has {kind}")
            elif isinstance(value, str) and value not in choices:
                also = "; Azure's list is open, but this is not on it" if shape.endswith("|string") else ""
                self._report(place, f"{path}: '{value}' is none of {', '.join(choices)}{also}")
            return
        wanted = {"string": "string", "integer": "int", "boolean": "bool", "object": "object"}.get(shape, shape)
        if kind != wanted:
            self._report(place, f"{path} wants {wanted}, has {kind}")

    # ---------------------------------------------------------------------------------------------------------- limits

    def limits(self) -> None:
        kind = self._instance.type
        for (of, path), limit in LIMITS.items():
            if of.lower() == kind.lower():
                for field in self._instance.at(path):
                    for value in field.values:
                        self._limit(value, limit, f"{kind.rpartition('/')[2]}.{path}", field.place)
        for (of, path), choices in CHOICES.items():
            if of.lower() == kind.lower():
                for field in self._instance.at(path):
                    for value in field.values:
                        if isinstance(value, str | int) and value not in choices:
                            listed = ", ".join(map(str, sorted(choices, key=str)))
                            self._report(field.place, f"{path}: {value} is none of {listed}")
        for (of, path), (lowest, highest) in DURATIONS.items():
            if of.lower() == kind.lower():
                for field in self._instance.at(path):
                    for value in field.values:
                        if isinstance(value, str):
                            self._duration(value, lowest, highest, path, field.place)

    def _limit(self, value: Value, limit: Limit, path: str, place: str) -> None:
        if isinstance(value, int) and not isinstance(value, bool):
            if not limit.lowest <= value <= limit.highest:
                self._report(place, f"{path} is {value}, not from {limit.lowest} to {limit.highest}")
        elif isinstance(value, Unknown) and value.kind == "int":
            low, high = value.lowest, value.highest
            if low is None or low < limit.lowest or high is None or high > limit.highest:
                self._report(
                    place,
                    f"{path} is {value.what}, which is not held to {limit.lowest} to {limit.highest}:"
                    " give the parameter @minValue and @maxValue",
                )
        elif isinstance(value, str):
            if not limit.lowest <= len(value) <= limit.highest:
                self._report(
                    place,
                    f"{path} '{value}' has {len(value)} characters, not {limit.lowest} to {limit.highest}",
                )
            elif limit.shape and not re.fullmatch(limit.shape, value):
                self._report(place, f"{path} '{value}' is no name that Azure takes")
        elif isinstance(value, Composed | Unknown):
            try:
                low, high = lengths((value,))
            except UnmeasuredError:
                return
            if low < limit.lowest:
                self._report(place, f"{path} may be as short as {low} characters; Azure wants {limit.lowest}")
            if high is not None and high > limit.highest:
                self._report(place, f"{path} may be as long as {high} characters; Azure takes {limit.highest}")
            if high is None and isinstance(value, Unknown) and value.kind == "string":
                self._report(place, f"{path} is {value.what}, which has no @maxLength; Azure takes {limit.highest}")

    def _duration(self, value: str, lowest: int, highest: int, path: str, place: str) -> None:
        seconds = duration(value)
        if seconds is None:
            self._report(place, f"{path}: '{value}' is no duration such as PT5M")
        elif not lowest <= seconds <= highest:
            self._report(place, f"{path}: '{value}' is not from {lowest} to {highest} seconds")


def duration(text: str) -> int | None:
    """Seconds of an ISO 8601 duration; None where it is none."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?", text)
    if found is None or text in ("P", "PT") or text.endswith("T"):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class UnmeasuredError(Exception):
    """Nothing is known of the length."""


def lengths(values: Values) -> tuple[int, int | None]:
    """How short and how long a text may be; None where nothing limits it. Raises where nothing at all is known."""
    low, high = 2**31, 0
    unlimited = False
    for value in values:
        least, most = _length(value)
        low = min(low, least)
        unlimited = unlimited or most is None
        high = max(high, most or 0)
    return low, None if unlimited else high


def _length(value: Value) -> tuple[int, int | None]:
    match value:
        case bool():
            return 4, 5
        case str() | int():
            return len(str(value)), len(str(value))
        case Unknown(kind=kind, lowest=lowest, highest=highest):
            if kind == "int":
                return 1, 11
            if kind != "string":
                raise UnmeasuredError
            return lowest or 0, highest
        case Composed(function="", parts=parts):
            pieces = [lengths(part) for part in parts]
            most = [piece[1] for piece in pieces]
            total = None if any(each is None for each in most) else sum(each or 0 for each in most)
            return sum(piece[0] for piece in pieces), total
        case Composed(function="uniqueString"):
            return 13, 13
        case Composed(function="guid" | "newGuid"):
            return 36, 36
        case Composed(function="toLower" | "toUpper", parts=(part,)):
            return lengths(part)
        case Composed(function="take", parts=(part, (int(count),))):
            low, high = lengths(part)
            return min(low, count), count if high is None else min(high, count)
        case Composed(function="substring", parts=(_, _, (int(count),))):
            return count, count
        case Composed(function="replace", parts=(part, (str(old),), (str(new),))) if len(new) <= len(old):
            low, high = lengths(part)
            return (low if len(new) == len(old) else 0), high
        case Composed(function="padLeft", parts=(part, (int(count),), *_)):
            low, high = lengths(part)
            return max(low, count), None if high is None else max(high, count)
    raise UnmeasuredError


def kind_of(value: Value) -> str:
    """string, int, bool, array, object, null; empty where it is not known; ``a resource`` for a bare reference."""
    match value:
        case None | Missing():
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case str():
            return "string"
        case Record():
            return "object"
        case List():
            return "array"
        case Unknown(kind=kind):
            return kind
        case Reference(path=()):
            return "a resource (take its .id or .name)"
        case Reference(path=("id" | "name" | "type",)):
            return "string"
        case Composed(function=""):
            return "string"
        case Composed(function=function):
            return "string" if function in _TEXT_FUNCTIONS else "array" if function in _ARRAY_FUNCTIONS else ""
    return ""
