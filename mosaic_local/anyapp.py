"""Any function app on the embedded stack: its own ``local.settings.json``, and entities declared by name or by the
configuration files of Microsoft's emulators.

A value of ``local.settings.json`` that names an emulator (``UseDevelopmentEmulator=true``,
``UseDevelopmentStorage=true``) becomes the stack's own; every other value is the app's as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from mosaic_local.application import Places
from mosaic_local.broker.config import EventHubConfig, QueueConfig
from mosaic_local.errors import DeclarationError, LocalSettingsError
from mosaic_local.host.config import lenient_json

DEFAULT_PORT: Final = 7071
"""As `func start` has it."""


@dataclass(frozen=True, slots=True)
class AnyApp:
    """A folder with function_app.py and host.json, and what it finds on the stack. ``values``, ``cors``,
    ``cors_credentials``, ``http_port``: of its local.settings.json. ``overridden``: the names of the values that the
    environment has instead."""

    values: Mapping[str, str]
    declared_queues: tuple[QueueConfig, ...] = ()
    declared_hubs: tuple[EventHubConfig, ...] = ()
    cors: str = ""
    cors_credentials: bool = False
    http_port: int = DEFAULT_PORT
    overridden: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        folder: Path,
        queues: Iterable[str | QueueConfig] = (),
        event_hubs: Iterable[EventHubConfig] = (),
        emulators: Iterable[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> AnyApp:
        """``emulators``: configuration files of Microsoft's Service Bus and Event Hubs emulators. ``environment``: a
        variable in it counts instead of the same name in local.settings.json, as with the core tools. Raises
        LocalSettingsError and DeclarationError, one line each."""
        if not (folder / "host.json").is_file():
            raise LocalSettingsError(f"{folder} is no function app: host.json is missing")
        settings = _settings(folder)
        cors, cors_credentials = _cors(settings)
        values = _values(settings)
        overridden = {name: environment[name] for name in values if name in environment} if environment else {}
        declared: list[QueueConfig | EventHubConfig] = [entity for path in emulators for entity in emulated(path)]
        return cls(
            values=values | overridden,
            declared_queues=_once(
                [
                    *(each if isinstance(each, QueueConfig) else _queue(each) for each in queues),
                    *(each for each in declared if isinstance(each, QueueConfig)),
                ]
            ),
            declared_hubs=_once([*event_hubs, *(each for each in declared if isinstance(each, EventHubConfig))]),
            cors=cors,
            cors_credentials=cors_credentials,
            http_port=_port(settings),
            overridden=tuple(overridden),
        )

    def settings(self, places: Places) -> Mapping[str, str]:
        here = {name: _here(name, value, places) for name, value in self.values.items()}
        core_tools = {
            "WEBSITE_HOSTNAME": places.api_base_url.partition("://")[2],
            "AzureWebJobsScriptRoot": str(places.app),
            "FUNCTIONS_CORETOOLS_ENVIRONMENT": "True",
        }
        return {"AzureWebJobsStorage": places.storage, **core_tools, **here}

    def queues(self, settings: Mapping[str, str]) -> Sequence[QueueConfig]:
        return self.declared_queues

    def event_hubs(self) -> Sequence[EventHubConfig]:
        return self.declared_hubs

    def load(self) -> None:
        """Nothing: what the app stores, it makes itself."""

    def prepare(self, settings: Mapping[str, str], state_dir: Path) -> None:
        """Nothing, as ``load``."""


def cors_of(folder: Path) -> tuple[str, bool]:
    """``Host.CORS`` and ``Host.CORSCredentials`` of the app's local.settings.json, as ``func start`` reads them. Raises
    LocalSettingsError."""
    return _cors(_settings(folder))


def _values(settings: Mapping[str, Any]) -> dict[str, str]:
    """``Values`` and ``ConnectionStrings`` as the core tools make environment variables of them: numbers as they are
    written, true and false in lower case, null is not set. Raises LocalSettingsError."""
    values: dict[str, str] = {}
    named = [(str(name), value) for name, value in (settings.get("Values") or {}).items()]
    for name, value in (settings.get("ConnectionStrings") or {}).items():
        text = value.get("ConnectionString") if isinstance(value, dict) else value
        named.append((f"ConnectionStrings:{name}", text))
    for name, value in named:
        if isinstance(value, dict | list):
            raise LocalSettingsError(
                f"local.settings.json: {name} is no text; a setting has no parts, so write one name for each "
                f"({name}__part), or its JSON as a text"
            )
        if value is not None:
            values[name] = str(value).lower() if isinstance(value, bool) else str(value)
    runtime = values.get("FUNCTIONS_WORKER_RUNTIME", "python")
    if runtime.lower() != "python":
        raise LocalSettingsError(f"local.settings.json: FUNCTIONS_WORKER_RUNTIME {runtime!r}: only python runs here")
    return values


def _cors(settings: Mapping[str, Any]) -> tuple[str, bool]:
    host = settings.get("Host") or {}
    return str(host.get("CORS") or ""), str(host.get("CORSCredentials") or "").lower() == "true"


def _port(settings: Mapping[str, Any]) -> int:
    told = (settings.get("Host") or {}).get("LocalHttpPort", DEFAULT_PORT)
    if not str(told).isdecimal() or not 0 < int(told) < 65536:
        raise LocalSettingsError(f"local.settings.json: Host.LocalHttpPort {told!r} is no port")
    return int(told)


def _settings(folder: Path) -> dict[str, Any]:
    """Of local.settings.json; {} where there is none."""
    file = folder / "local.settings.json"
    if not file.is_file():
        return {}
    try:
        read = lenient_json(file.read_text("utf-8-sig"), parse_int=str, parse_float=str)
    except (OSError, ValueError) as error:
        raise LocalSettingsError(f"{file} is not readable as JSON ({type(error).__name__}: {error})") from None
    parts = ("Values", "Host", "ConnectionStrings")
    if not isinstance(read, dict) or not all(isinstance(read.get(part), dict | None) for part in parts):
        raise LocalSettingsError(f"{file}: {', '.join(parts)} are objects of names and values")
    if read.get("IsEncrypted"):
        raise LocalSettingsError(f"{file} is encrypted; run func settings decrypt in {file.parent}")
    return read


def _here(name: str, value: str, places: Places) -> str:
    parts = dict(part.split("=", 1) for part in value.split(";") if "=" in part)
    told = {key.strip().lower(): it.strip() for key, it in parts.items()}
    if told.get("usedevelopmentemulator", "").lower() == "true":
        entity = told.get("entitypath")
        return places.messaging + (f"EntityPath={entity};" if entity else "")
    if told.get("usedevelopmentstorage", "").lower() == "true" or told.get("accountname") == "devstoreaccount1":
        if not places.storage:
            raise LocalSettingsError(f"{name} names storage, and the stack was started without: leave out --no-storage")
        return places.storage
    return value


def _queue(name: str) -> QueueConfig:
    try:
        return QueueConfig(name=name)
    except ValidationError:
        raise DeclarationError(f"{name!r} is no name for a queue") from None


def _once[Entity: (QueueConfig, EventHubConfig)](entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """The last declaration of a name counts; names are case-insensitive."""
    return tuple({entity.name.lower(): entity for entity in entities}.values())


# ------------------------------------------------------------------------- the files of Microsoft's emulators


class _Pascal(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, extra="ignore", frozen=True)


class _Properties(_Pascal):
    dead_lettering_on_message_expiration: bool = False
    default_message_time_to_live: timedelta = timedelta(days=14)
    lock_duration: timedelta = timedelta(minutes=1)
    max_delivery_count: int = 10
    requires_duplicate_detection: bool = False
    requires_session: bool = False


class _Queue(_Pascal):
    name: str
    properties: _Properties = _Properties()


class _Group(_Pascal):
    name: str


class _Hub(_Pascal):
    name: str
    partition_count: int = 4
    consumer_groups: list[_Group] = []


class _Namespace(_Pascal):
    queues: list[_Queue] = []
    topics: list[dict[str, Any]] = []
    entities: list[_Hub] = []


class _UserConfig(_Pascal):
    namespaces: list[_Namespace] = []
    namespace_config: list[_Namespace] = []


class _Emulator(_Pascal):
    user_config: _UserConfig


def emulated(file: Path) -> list[QueueConfig | EventHubConfig]:
    """What the configuration file of Microsoft's Service Bus emulator or Event Hubs emulator declares. Raises
    DeclarationError for what is not readable, and for what the broker has not (topics, sessions)."""
    try:
        config = _Emulator.model_validate_json(file.read_bytes()).user_config
        entities: list[QueueConfig | EventHubConfig] = []
        for namespace in (*config.namespaces, *config.namespace_config):
            for topic in namespace.topics:
                raise DeclarationError(f"{file}: topic {topic.get('Name', '')!r}: the broker has no topics")
            entities += [_as_queue(queue) for queue in namespace.queues]
            for hub in namespace.entities:
                groups = [group.name for group in hub.consumer_groups]
                entities.append(EventHubConfig(name=hub.name, partitions=hub.partition_count, consumer_groups=groups))
    except OSError as error:
        raise DeclarationError(f"{file} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DeclarationError(f"{file} is no configuration of an emulator: {faults}") from None
    return entities


def _as_queue(queue: _Queue) -> QueueConfig:
    told = queue.properties
    return QueueConfig(
        name=queue.name,
        lock_seconds=told.lock_duration.total_seconds(),
        max_delivery_count=told.max_delivery_count,
        ttl_seconds=told.default_message_time_to_live.total_seconds(),
        dead_lettering_on_expiration=told.dead_lettering_on_message_expiration,
        requires_session=told.requires_session,
        requires_duplicate_detection=told.requires_duplicate_detection,
    )
