"""Settings and entity names are the same everywhere: code, reference, sample, templates, emulators, documents.

The code's own reader says which settings there are: it is run, and asked which names it looked for. A deployment's
settings are then given to it as the platform would give them, so that a required one that the template forgets, or one
that the code does not know, is found by the code that would refuse it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from mosaic_core import config
from mosaic_core.adapters.blobs import CONTAINER
from mosaic_core.adapters.tables import TABLES
from mosaic_core.config import Settings
from mosaic_core.domain.errors import ConfigurationError
from mosaic_core.domain.lanes import RULES
from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import Field, Instance, Missing, Record, Value, Values, deploy, texts
from mosaic_ops.checks.infra.security import ENTRIES, shown

REFERENCE: Final = "docs/reference/settings.md"
SAMPLE: Final = "local.settings.sample.json"
CONSUMER_GROUP: Final = "mosaic-money-runtime"

PLATFORM: Final[Mapping[str, str]] = {
    "AZURE_CLIENT_ID": "the SDKs' identity",
    "AzureWebJobsStorage__accountName": "the host's storage",
    "AzureWebJobsStorage__blobServiceUri": "the host's storage",
    "AzureWebJobsStorage__queueServiceUri": "the host's storage",
    "AzureWebJobsStorage__tableServiceUri": "the host's storage",
    "AzureWebJobsStorage__credential": "the host's identity",
    "AzureWebJobsStorage__clientId": "the host's identity",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "where telemetry goes",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "by which identity",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "whether the worker sends the app's spans",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "whose logs",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "frameworks that the app has not",
    "OTEL_SERVICE_NAME": "the role's name in traces",
    "OTEL_RESOURCE_ATTRIBUTES": "what is said of the process in traces",
    "OTEL_TRACES_SAMPLER": "how many traces are kept",
    "OTEL_TRACES_SAMPLER_ARG": "how many traces are kept",
}
"""Settings of the platform and its libraries that a deployment may set, and why."""

LOCAL: Final[Mapping[str, str]] = {
    "FUNCTIONS_WORKER_RUNTIME": "Core Tools cannot tell the language of a Python app without it; not on Flex",
    "AzureWebJobsStorage": "the host's storage, by connection string: the emulator knows no identities",
    "AzureWebJobsFeatureFlags": "the host's own",
}
"""Settings that only a developer's machine has."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "AZURE_CLIENT_ID": (),
    "AzureWebJobsStorage__credential": ("managedidentity",),
    "AzureWebJobsStorage__clientId": (),
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (),
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": (),
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": ("true",),
    "Stores__CreateTables": ("false",),
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": (),
}
"""What a deployment needs beyond what the app refuses to start without: name → values that it may have."""

_DOCUMENTS: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/reference/*.md",
    "infra/*.md",
    "emulators/*",
    ".github/**/*.yml",
)
_NO_SETTINGS: Final = re.compile(r"(Processes|Reconcile|CONNECTIONS|MOSAIC)__\w+")
"""Names of the same form that are none: those of ./mosaic env, and one of a plan."""

_MISSPELT_ON_PURPOSE: Final = frozenset({"Lease__Second"})


@cache
def known() -> frozenset[str]:
    """Every setting that the app's code reads."""
    return frozenset(set(config.SETTINGS) - set(config.FORBIDDEN_ON_FLEX))


@cache
def defaults() -> dict[str, str]:
    """As an app setting would spell them."""
    return {name: setting.shown for name, setting in config.SETTINGS.items() if setting.shown}


def problems(root: Path, files: Mapping[str, BicepFile]) -> list[str]:
    found = [*_reference(root), *_sample(root), *_documents(root), *_emulators(root)]
    for entry in ENTRIES:
        if entry in files:
            instances = deploy(files, entry)
            found += _deployed(root, instances)
            found += _entities(entry, instances)
    found += [line for file in files.values() for line in _written(file)]
    return list(dict.fromkeys(found))


def _near(name: str) -> str:
    close = difflib.get_close_matches(name, [*known(), *PLATFORM], 1)
    return f": is it {close[0]}?" if close else ""


# ----------------------------------------------------------------------------------------------------------- reference


def _reference(root: Path) -> Iterator[str]:
    """The table has every setting that the code reads, once, with its default."""
    path = root / REFERENCE
    if not path.is_file():
        yield f"{REFERENCE}:1: not there"
        return
    seen: dict[str, int] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        row = re.match(r"\|\s*`(\w+)`\s*\|(.*)", line)
        if row is None:
            continue
        name, rest = row[1], row[2]
        if name in seen:
            yield f"{REFERENCE}:{number}: {name} stands twice (line {seen[name]})"
        seen[name] = number
        if name not in known() and name not in PLATFORM and name not in LOCAL and name not in config.FORBIDDEN_ON_FLEX:
            yield f"{REFERENCE}:{number}: {name} is read by nothing{_near(name)}"
        first = re.match(r"\s*`([^`]*)`\s*\|", rest)
        default = defaults().get(name)
        if first and default is not None and first[1] != default:
            yield f"{REFERENCE}:{number}: {name}: the default is {default}, not {first[1]}"
    for name in sorted(known() - set(seen)):
        yield f"{REFERENCE}:1: {name}, which the app reads, is not there"


def _documents(root: Path) -> Iterator[str]:
    """Wherever a document names a setting, there is one."""
    for pattern in _DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            if not path.is_file() or path.suffix not in (".md", ".yml", ".yaml", ".json", ".env"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                for found in re.findall(r"(?<![\w/])([A-Z][A-Za-z]+__[A-Za-z]+)\b", line):
                    if found in known() or found in PLATFORM or _NO_SETTINGS.fullmatch(found):
                        continue
                    if found not in _MISSPELT_ON_PURPOSE:
                        yield f"{name}:{number}: {found} is no setting{_near(found)}"


# -------------------------------------------------------------------------------------------------------------- sample


def _line_of(text: str, name: str) -> int:
    before, found, _ = text.partition(f'"{name}"')
    return before.count("\n") + 1 if found else 1


def _sample(root: Path) -> Iterator[str]:
    """The sample for a developer's machine is one that the app starts with."""
    path = root / SAMPLE
    try:
        text = path.read_text("utf-8")
        values: Mapping[str, object] = json.loads(text)["Values"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{SAMPLE}:1: cannot be read: {error!r}"
        return
    for name in values:
        place = f"{SAMPLE}:{_line_of(text, name)}"
        if name not in known() and name not in (*PLATFORM, *LOCAL, *config.FORBIDDEN_ON_FLEX):
            yield f"{place}: {name} is no setting{_near(name)}"
    expected = {setting: RULES[lane].default_queue for lane, setting in config.QUEUE_SETTINGS.items()}
    for name, wanted in {**expected, "TelemetryHub": defaults()["TelemetryHub"]}.items():
        if name in values and values[name] != wanted:
            yield f"{SAMPLE}:{_line_of(text, name)}: {name} is {values[name]!r}, the emulators have '{wanted}'"
    if json.loads(text).get("IsEncrypted") is not False:
        yield f"{SAMPLE}:{_line_of(text, 'IsEncrypted')}: IsEncrypted has to be false: the values are no cipher"
    ours = {name: str(value) for name, value in values.items() if name not in LOCAL}
    for fault in _faults(root, ours):
        yield f"{SAMPLE}:{_line_of(text, fault.split()[0])}: {fault}"


def _faults(root: Path, environ: Mapping[str, str]) -> list[str]:
    """What the app would refuse to start with."""
    try:
        Settings.from_env(environ, json.loads((root / "host.json").read_text("utf-8")))
    except ConfigurationError as error:
        return [str(fault) for fault in error.faults]
    return []


# ---------------------------------------------------------------------------------------------------------- deployment

_PLACEHOLDERS: Final = (
    (re.compile(r".*__fullyQualifiedNamespace"), "example.invalid"),
    (re.compile(r".*(__endpoint|Uri|Issuer|Endpoint)"), "https://example.invalid/"),
)
"""What stands for a value that only Azure knows."""


def _deployed(root: Path, instances: list[Instance]) -> Iterator[str]:
    sites = [each for each in instances if each.type == "Microsoft.Web/sites" and not each.declaration.existing]
    for site in sites:
        inside = [each for each in site.at("properties.siteConfig.appSettings") if _is_set(each)]
        children = [
            each
            for each in instances
            if each.type == "Microsoft.Web/sites/config" and "appsettings" in each.texts("name")
        ]
        if inside and children:
            yield f"{inside[0].place}: app settings both here and in {children[0].place}: the one replaces the other"
        if not inside and not children:
            yield f"{site.place}: {site.declaration.name} has no app settings"
        for child in children:
            for field in child.at("properties"):
                for value in field.values:
                    if isinstance(value, Record):
                        yield from _map(root, dict(value.fields), value.place or child.place)
        for field in inside:
            yield f"{field.place}: app settings belong into the child 'appsettings', which the checks follow"


def _is_set(field: Field) -> bool:
    return any(value is not None and not isinstance(value, Missing) for value in field.values)


def _map(root: Path, settings: Mapping[str, Field], place: str) -> Iterator[str]:
    for name, field in settings.items():
        if name in config.FORBIDDEN_ON_FLEX:
            continue  # told by the forbidden list
        if name not in known() and name not in PLATFORM:
            yield f"{field.place}: {name} is no setting{_near(name)}"
    for name, allowed in REQUIRED.items():
        if name not in settings:
            yield f"{place}: {name} is missing: a deployment needs it"
        elif allowed:
            # an object that anybody may add to comes first, so that the template's own values win
            for value in settings[name].values:
                if value not in allowed:
                    yield f"{settings[name].place}: {name} is {shown(value)}, has to be {' or '.join(allowed)}"
    if "AzureWebJobsStorage__accountName" not in settings:
        for service in ("blob", "queue", "table"):
            if (name := f"AzureWebJobsStorage__{service}ServiceUri") not in settings:
                yield f"{place}: {name} is missing: the host needs all three, or AzureWebJobsStorage__accountName"
    for connection in (
        "ServiceBusConnection",
        "EventHubsConnection",
        "TablesConnection",
        "BlobsConnection",
        "AzureWebJobsStorage",
    ):
        if connection in settings:
            yield (
                f"{settings[connection].place}: {connection} is a connection string: the identity form stands beside it"
            )
        if any(name.startswith(f"{connection}__") for name in settings):
            for part in ("credential", "clientId"):
                if f"{connection}__{part}" not in settings:
                    yield f"{place}: {connection}__{part} is missing: a user-assigned identity needs it"
    yield from _identity_of_telemetry(settings)
    environ = {name: _environment_value(name, field) for name, field in settings.items() if name in known()}
    # as the platform says of a deployment
    for fault in _faults(root, {**environ, "WEBSITE_SITE_NAME": "app"}):
        name = fault.split()[0]
        yield f"{settings[name].place if name in settings else place}: {fault}"


def _identity_of_telemetry(settings: Mapping[str, Field]) -> Iterator[str]:
    name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
    field = settings.get(name)
    if field is None:
        return
    for value in field.values:
        pieces = "".join(texts((value,)))
        if "Authorization=AAD" not in pieces or "ClientId=" not in pieces:
            yield f"{field.place}: {name} has to be ClientId=…;Authorization=AAD"
        elif pieces.endswith(";"):
            yield f"{field.place}: {name} ends in a semicolon, on which the exporter raises"


def _environment_value(name: str, field: Field) -> str:
    constants = [each for each in field.values if isinstance(each, str)]
    if constants:
        return constants[0]
    return next((value for shape, value in _PLACEHOLDERS if shape.fullmatch(name)), "example")


def _written(file: BicepFile) -> Iterator[str]:
    """Names of the form of a setting within a template, wherever they stand as keys."""
    for value in file.values():
        for each in bicep.walk(value):
            for item in each.properties if isinstance(each, bicep.Object) else ():
                key = item.key or ""
                if re.fullmatch(r"[A-Z][A-Za-z]+__\w+", key) and key not in known() and key not in PLATFORM:
                    yield f"{file.path}:{item.line}: {key} is no setting{_near(key)}"


# ------------------------------------------------------------------------------------------------------------ entities

QUEUE: Final[Mapping[str, Value]] = {
    "lockDuration": "PT1M",
    "maxDeliveryCount": 10,
    "deadLetteringOnMessageExpiration": True,
    "requiresDuplicateDetection": False,
    "requiresSession": False,
}
"""Each queue, by the contract: the app has to see duplicates, and owns their handling."""


def _names(instances: list[Instance], kind: str) -> dict[str, str]:
    """Names of the deployed entities of a type, and where they stand."""
    return {
        text: field.place
        for each in instances
        if each.type.lower() == kind.lower() and not each.declaration.existing
        for field in each.at("name")
        for text in texts(field.values)
    }


def _entities(entry: str, instances: list[Instance]) -> Iterator[str]:
    expected: tuple[tuple[str, str, set[str], bool], ...] = (
        ("Microsoft.ServiceBus/namespaces/queues", "queue", {rules.default_queue for rules in RULES.values()}, True),
        ("Microsoft.EventHub/namespaces/eventhubs", "hub", {defaults()["TelemetryHub"]}, True),
        ("Microsoft.EventHub/namespaces/eventhubs/consumergroups", "consumer group", {CONSUMER_GROUP}, False),
        ("Microsoft.Storage/storageAccounts/tableServices/tables", "table", set(TABLES), True),
        ("Microsoft.Storage/storageAccounts/blobServices/containers", "container", {CONTAINER}, False),
    )
    for kind, word, wanted, exact in expected:
        there = _names(instances, kind)
        for name in sorted(wanted - set(there)):
            yield f"{entry}:1: {word} {name}, which the app uses, is not deployed"
        for name in sorted(set(there) - wanted) if exact else ():
            yield f"{there[name]}: {word} {name} is used by nothing"
    for each in instances:
        if each.type == "Microsoft.ServiceBus/namespaces/queues" and not each.declaration.existing:
            for key, wanted_value in QUEUE.items():
                for field in each.at(f"properties.{key}"):
                    for value in field.values:
                        if type(value) is not type(wanted_value) or value != wanted_value:
                            yield (
                                f"{field.place}: queue {each.declaration.name}.{key} is"
                                f" {shown(value)}, by the contract {shown(wanted_value)}"
                            )
    yield from _queues_of_the_app(instances)
    yield from _package(instances)


def _queues_of_the_app(instances: list[Instance]) -> Iterator[str]:
    """The queues and the hub that the settings name are deployed."""
    queues = _names(instances, "Microsoft.ServiceBus/namespaces/queues")
    hubs = _names(instances, "Microsoft.EventHub/namespaces/eventhubs")
    for each in instances:
        if each.type == "Microsoft.Web/sites/config":
            for name in (*config.QUEUE_SETTINGS.values(), "TelemetryHub"):
                for field in each.at(f"properties.{name}"):
                    there = hubs if name == "TelemetryHub" else queues
                    for value in field.values:
                        if isinstance(value, str) and value not in there:
                            yield f"{field.place}: {name} is '{value}', which is not deployed"
            seen: dict[Values, str] = {}
            for name in config.QUEUE_SETTINGS.values():
                for field in each.at(f"properties.{name}"):
                    if any(isinstance(value, str) for value in field.values):
                        other = seen.setdefault(field.values, name)
                        if other != name:
                            yield f"{field.place}: {name} names the same queue as {other}"


def _package(instances: list[Instance]) -> Iterator[str]:
    """The container that the package is taken from is deployed."""
    containers = _names(instances, "Microsoft.Storage/storageAccounts/blobServices/containers")
    for site in instances:
        if site.type == "Microsoft.Web/sites" and not site.declaration.existing:
            for field in site.at("properties.functionAppConfig.deployment.storage.value"):
                names = {text.strip("/") for text in texts(field.values)}
                if not names & set(containers):
                    yield (
                        f"{field.place}: the deployment container is"
                        f" {', '.join(sorted(names)) or 'not known'}, which is not deployed"
                    )


# ----------------------------------------------------------------------------------------------------------- emulators


def _emulators(root: Path) -> Iterator[str]:
    """The official emulators' entities are those of a deployment."""
    for name, word, wanted in (
        ("emulators/servicebus.json", "queue", {rules.default_queue for rules in RULES.values()}),
        ("emulators/eventhubs.json", "hub", {defaults()["TelemetryHub"]}),
    ):
        path = root / name
        if not path.is_file():
            continue
        text = path.read_text("utf-8")
        try:
            user = json.loads(text)["UserConfig"]
            spaces = user.get("Namespaces") or user.get("NamespaceConfig") or []
            entities = [each for space in spaces for each in (space.get("Queues") or space.get("Entities") or [])]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield f"{name}:1: cannot be read: {error!r}"
            continue
        there = {each.get("Name"): each for each in entities}
        for missing in sorted(wanted - set(there)):
            yield f"{name}:1: {word} {missing} is not there"
        for more in sorted(set(there) - wanted, key=str):
            yield f"{name}:{_line_of(text, str(more))}: {word} {more} is used by nothing"
        for entity, each in there.items():
            place = f"{name}:{_line_of(text, str(entity))}"
            for key, value in (each.get("Properties") or {}).items():
                expected = QUEUE.get(key[:1].lower() + key[1:])
                if expected is not None and value != expected:
                    yield f"{place}: queue {entity}.{key} is {value}, by the contract {shown(expected)}"
            if word == "hub":
                groups = {group.get("Name") for group in each.get("ConsumerGroups") or []}
                if CONSUMER_GROUP not in groups:
                    yield f"{place}: hub {entity} has no consumer group {CONSUMER_GROUP}"
