"""Each role against the operations that are performed: none missing, none that nothing needs, none that is wider.

``operations.json`` is what the app's own code does to each entity, counted by running it
(``tests/contract/test_operations.py`` writes it anew and compares). What the Functions host does with the app's
identity, and what people and producers do, no run of ours can count: it is listed here, with reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaic_core.domain.lanes import RULES, Lane
from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import (
    Composed,
    Instance,
    Reference,
    Unknown,
    Value,
    Values,
    deploy,
    references,
    texts,
)
from mosaic_ops.checks.infra.security import ENTRIES

OPERATIONS: Final = Path(__file__).with_name("operations.json")

_ASSIGNMENT: Final = "Microsoft.Authorization/roleAssignments"
_IDENTITY: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True, slots=True)
class Role:
    """`operations` on entities of the kind `of`."""

    name: str
    of: str
    operations: frozenset[str]


def _role(name: str, of: str, operations: str) -> Role:
    return Role(name, of, frozenset(operations.split()))


ROLES: Final[Mapping[str, Role]] = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": _role("Storage Blob Data Owner", "blobs", "read write delete create own"),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": _role("Storage Blob Data Contributor", "blobs", "read write delete create"),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": _role("Storage Blob Data Reader", "blobs", "read"),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": _role("Storage Queue Data Contributor", "storage queues", "read write"),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": _role(
        "Storage Table Data Contributor", "tables", "read add update delete create"
    ),
    "76199698-9eea-4c19-bc75-cec21354c6b6": _role("Storage Table Data Reader", "tables", "read"),
    "090c5cfd-751d-490a-894a-3ce6f1109419": _role("Service Bus Data Owner", "queues", "send listen manage"),
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": _role("Service Bus Data Receiver", "queues", "listen"),
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": _role("Service Bus Data Sender", "queues", "send"),
    "f526a384-b230-433a-b45c-95f59c4a2dec": _role("Event Hubs Data Owner", "hubs", "send listen manage"),
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": _role("Event Hubs Data Receiver", "hubs", "listen"),
    "2b629674-e913-4c01-ae53-ef4638d8f975": _role("Event Hubs Data Sender", "hubs", "send"),
    "3913510d-42f4-4e42-8a64-420c390055eb": _role("Monitoring Metrics Publisher", "telemetry", "publish"),
    "73c42c96-874c-492b-b04d-ab87d138a893": _role("Log Analytics Reader", "logs", "query"),
}

_ENTITY: Final[Mapping[str, tuple[str, int]]] = {
    "Microsoft.Storage/storageAccounts": ("storage", 2),
    "Microsoft.Storage/storageAccounts/blobServices": ("blobs", 1),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("blobs", 0),
    "Microsoft.Storage/storageAccounts/tableServices": ("tables", 1),
    "Microsoft.Storage/storageAccounts/tableServices/tables": ("tables", 0),
    "Microsoft.ServiceBus/namespaces": ("queues", 1),
    "Microsoft.ServiceBus/namespaces/queues": ("queues", 0),
    "Microsoft.EventHub/namespaces": ("hubs", 1),
    "Microsoft.EventHub/namespaces/eventhubs": ("hubs", 0),
    "Microsoft.Insights/components": ("telemetry", 0),
    "Microsoft.OperationalInsights/workspaces": ("logs", 0),
}
"""Resource type → the kind of its entities, and how many levels above an entity it is."""

EVERYTHING: Final = "*"

HOST: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    **{
        ("queues", rules.default_queue): {
            "listen": "the trigger receives and settles",
            "manage": "the scaler reads the queue's length; without the right it adds one instance at a time",
        }
        for rules in RULES.values()
    },
    ("blobs", EVERYTHING): dict.fromkeys(
        ("read", "write", "delete", "create", "own"),
        "AzureWebJobsStorage: the host's locks and timers, in containers that it makes; the package",
    ),
    ("tables", EVERYTHING): dict.fromkeys(
        ("read", "add", "create"), "AzureWebJobsStorage: the host's diagnostic events, in tables that it makes"
    ),
    ("telemetry", EVERYTHING): {"publish": "requests, spans and logs, by identity"},
}
"""What the platform does with the app's identity: (kind, entity) → operation → why."""

_INGESTION: Final = RULES[Lane.INGESTION].default_queue

PERSON: Final[frozenset[tuple[str, str, str]]] = frozenset(
    {
        *(("queues", rules.default_queue, "listen") for rules in RULES.values()),  # dead letters
        ("queues", _INGESTION, "send"),  # the message that proves the lane after a deployment
        ("hubs", EVERYTHING, "listen"),  # following the events
        ("logs", EVERYTHING, "query"),
        *(
            ("tables", table, operation)
            for table in (
                *("Households", "HouseholdMembers"),  # the first household and its first members
                *("AgentCommands", "AgentIndex"),  # a command that the smoke test records, for the app to send
                *("AgentRuns", "AgentRunStages", "AgentSignals"),  # what became of it
            )
            for operation in ("read", "add", "update", "delete", "create")
        ),
    }
)
"""What whoever looks after the environment may do: (kind, entity, operation)."""

PRODUCER: Final[frozenset[tuple[str, str, str]]] = frozenset({("queues", _INGESTION, "send")})


@dataclass(frozen=True, slots=True)
class Grant:
    """One role assignment. `who`: app, person, producer. `entity`: its name, or `EVERYTHING` of its kind."""

    place: str
    name: str
    who: str
    role: Role
    kind: str
    entity: str
    level: int
    key: tuple[Values, Values, str]


def needed_by_the_app(path: Path = OPERATIONS) -> dict[tuple[str, str], set[str]]:
    """(kind, entity) → operations: those counted and those of the host."""
    counted: Mapping[str, Mapping[str, list[str]]] = json.loads(path.read_text("utf-8"))["operations"]
    found: dict[tuple[str, str], set[str]] = {
        (kind, entity): set(operations) for kind, entities in counted.items() for entity, operations in entities.items()
    }
    for key, operations in HOST.items():
        found.setdefault(key, set()).update(operations)
    return found


def problems(files: Mapping[str, BicepFile], operations: Path = OPERATIONS) -> list[str]:
    found: list[str] = []
    for entry in ENTRIES:
        if entry in files:
            instances = deploy(files, entry)
            grants: list[Grant] = []
            for instance in instances:
                if instance.type.lower() == _ASSIGNMENT.lower() and not instance.declaration.existing:
                    found += _read(instance, instances, grants)
            found += _app(entry, [each for each in grants if each.who == "app"], needed_by_the_app(operations))
            found += _others([each for each in grants if each.who != "app"])
            found += _repeated(grants)
            found += _order(instances)
    return list(dict.fromkeys(found))


# ------------------------------------------------------------------------------------------------------------- reading


def _read(assignment: Instance, instances: list[Instance], grants: list[Grant]) -> Iterator[str]:
    place, name = assignment.place, assignment.declaration.name
    definitions = assignment.at("properties.roleDefinitionId")
    for field in definitions:
        for value in field.values:
            by_function = isinstance(value, Composed) and value.function == "subscriptionResourceId"
            by_reference = isinstance(value, Reference) and value.path == ("id",)
            if not (by_function or by_reference):
                yield f"{field.place}: {name}: roles are named by subscriptionResourceId"
    guids = {
        text.lower()
        for field in definitions
        for text in texts(field.values)
        if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)
    }
    if not guids:
        yield f"{place}: {name}: which role this is cannot be told"
    scopes = [value for field in assignment.at("scope") for value in field.values]
    who = _principal(assignment, instances)
    for field in assignment.at("properties.principalType"):
        for value in field.values:
            if who == "app" and value != "ServicePrincipal":
                yield (
                    f"{field.place}: {name}: principalType has to be 'ServicePrincipal', or a new"
                    " identity may not be found"
                )
    for value in (value for field in assignment.at("properties.principalId") for value in field.values):
        if who == "app" and isinstance(value, Reference) and value.path != ("properties", "principalId"):
            yield f"{place}: {name}: principalId is .{'.'.join(value.path)} of the identity, has to be its principalId"
    if who == "app" and assignment.present != (True,):
        yield f"{place}: {name} is the app's, and is not there under every parameter"
    for guid in sorted(guids):
        role = ROLES.get(guid)
        if role is None:
            yield f"{place}: {name} grants the role {guid}, which no operation is known to need"
            continue
        for scope in scopes:
            target = _instance(scope, instances)
            if target is None:
                yield f"{place}: {name} grants {role.name} on the whole resource group: give it a scope"
                continue
            kind, level = _ENTITY.get(target.type, ("", 0))
            if kind == "storage":
                kind = role.of if role.of in ("blobs", "tables", "storage queues") else kind
            if kind != role.of:
                yield f"{place}: {name} grants {role.name} on a {target.type}, where it opens nothing"
                continue
            names = {text for field in target.at("name") for text in texts(field.values)} if level == 0 else set()
            entity = next(iter(names)) if len(names) == 1 and kind not in ("telemetry", "logs") else EVERYTHING
            principal = tuple(value for field in assignment.at("properties.principalId") for value in field.values)
            named = tuple(value for field in target.at("name") for value in field.values)
            grants.append(
                Grant(place, name, who, role, kind, entity, level, (principal, (*named, target.type), role.name))
            )
    written = [value for field in assignment.at("name") for value in field.values]
    for value in written:
        if isinstance(value, Composed) and value.function == "guid":
            inside = {text.lower() for text in texts((value,))}
            if guids and not guids & inside:
                yield f"{place}: {name}: its name does not hold its role: a second assignment would collide with it"
        else:
            yield f"{place}: {name}: its name has to be guid(scope, principal, role)"


def _principal(assignment: Instance, instances: list[Instance]) -> str:
    values = tuple(value for field in assignment.at("properties.principalId") for value in field.values)
    identities = {each.address for each in instances if each.type.lower() == _IDENTITY.lower()}
    if values and all(isinstance(each, Reference) and each.address in identities for each in values):
        return "app"
    unknown = {each.what for each in _unknown(values)}
    return "person" if unknown == {"principalId"} else "producer"


def _unknown(values: Values) -> Iterator[Unknown]:
    for value in values:
        if isinstance(value, Unknown):
            yield value
        elif isinstance(value, Composed):
            for part in value.parts:
                yield from _unknown(part)


def _instance(scope: Value, instances: list[Instance]) -> Instance | None:
    if not isinstance(scope, Reference):
        return None
    return next((each for each in instances if each.address == scope.address), None)


# ----------------------------------------------------------------------------------------------------------- judgement


def _covers(grant: Grant, kind: str, entity: str) -> bool:
    return grant.kind == kind and (grant.entity in (entity, EVERYTHING))


def _app(entry: str, grants: list[Grant], needed: Mapping[tuple[str, str], set[str]]) -> Iterator[str]:
    for (kind, entity), operations in sorted(needed.items()):
        granted = {operation for each in grants if _covers(each, kind, entity) for operation in each.role.operations}
        where = entity if entity != EVERYTHING else "the whole account or component"
        for operation in sorted(operations - granted):
            roles = sorted(role.name for role in ROLES.values() if role.of == kind and operation in role.operations)
            yield f"{entry}:1: the app's identity may not {operation} {kind} ({where}): it needs {' or '.join(roles)}"
    for grant in grants:
        below = {
            operation
            for (kind, entity), operations in needed.items()
            if kind == grant.kind and (entity == grant.entity or grant.entity == EVERYTHING)
            for operation in operations
        }
        wanted = below & grant.role.operations
        if not wanted:
            yield f"{grant.place}: {grant.name} grants {grant.role.name}, which no operation of the app needs"
            continue
        smaller = [
            role.name
            for role in ROLES.values()
            if role.of == grant.kind and wanted <= role.operations and role.operations < grant.role.operations
        ]
        if smaller:
            yield f"{grant.place}: {grant.name} grants {grant.role.name}; {smaller[-1]} is enough"
        if grant.level and (grant.kind, EVERYTHING) not in needed:
            yield (
                f"{grant.place}: {grant.name} grants {grant.role.name} on the whole namespace: grant"
                f" it on each of the {grant.kind}"
            )
        others = [each for each in grants if each is not grant and each.place != grant.place]
        if all(
            any(_covers(other, grant.kind, grant.entity) and operation in other.role.operations for other in others)
            for operation in wanted
        ):
            yield f"{grant.place}: {grant.name} grants {grant.role.name}, all of which other assignments grant already"


def _others(grants: list[Grant]) -> Iterator[str]:
    """Nobody but the app sends to the conversation and sweep queues; a producer sends to the ingestion queue alone."""
    for grant in grants:
        allowed = PERSON if grant.who == "person" else PRODUCER
        more = [
            operation
            for operation in sorted(grant.role.operations)
            if (grant.kind, grant.entity, operation) not in allowed
            and not ((grant.kind, EVERYTHING, operation) in allowed and grant.level == 0)
        ]
        if more:
            where = grant.entity if grant.entity != EVERYTHING else f"all {grant.kind}"
            yield (
                f"{grant.place}: {grant.name} lets a {grant.who} {', '.join(more)} {where}, which is not theirs"
                f" ({grant.role.name})"
            )


def _repeated(grants: list[Grant]) -> Iterator[str]:
    seen: dict[tuple[Values, Values, str], Grant] = {}
    for grant in grants:
        first = seen.setdefault(grant.key, grant)
        if first is not grant and first.place != grant.place:
            yield f"{grant.place}: {grant.name} repeats {first.name} ({first.place}): Azure refuses the second"


# --------------------------------------------------------------------------------------------------------------- order


def _order(instances: list[Instance]) -> Iterator[str]:
    """The assignments stand before the app: it fetches its package with them as soon as it is there."""
    sites = [each for each in instances if each.type == "Microsoft.Web/sites" and not each.declaration.existing]
    granted = [
        each
        for each in instances
        if each.type == _ASSIGNMENT
        and _principal(each, instances) == "app"
        and not _reaches(references(tuple(v for f in each.at("scope") for v in f.values)), sites)
    ]
    for site in sites:
        for assignment in granted:
            common = 0
            for left, right in zip(site.address, assignment.address, strict=False):
                if left != right:
                    break
                common += 1
            file = _file_at(site, common)
            first, later = assignment.address[common], site.address[common]
            if first not in _needs(file, later):
                yield (
                    f"{file.path}:{_line(file, later)}: {later} does not wait for {first}, which"
                    " grants its roles: dependsOn"
                )
                break


def _reaches(found: Iterable[Reference], sites: list[Instance]) -> bool:
    return any(reference.address == site.address for reference in found for site in sites)


def _file_at(site: Instance, common: int) -> BicepFile:
    """The file that declares the step `common` of the site's address."""
    scope = site.scope
    while len(scope.address) > common and scope.caller is not None:
        scope = scope.caller
    return scope.file


def _line(file: BicepFile, name: str) -> int:
    resource = file.resource(name)
    return file.modules[name].line if name in file.modules else resource.line if resource else 1


def _needs(file: BicepFile, name: str) -> set[str]:
    """Everything that is deployed before `name`: what it refers to, and so on."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        at = ahead.pop()
        declared = file.modules.get(at) or file.resource(at) or file.variables.get(at)
        for each in bicep.walk(declared.value) if declared else ():
            if isinstance(each, bicep.Name) and each.name not in found:
                found.add(each.name)
                ahead.append(each.name)
    return found
