"""The broker's configuration: a JSON file, checked as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from mosaic_local.broker.errors import StartError

ENTITY_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?$"
EntityName = Annotated[str, Field(pattern=ENTITY_NAME)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class QueueConfig(_Model):
    """`requires_session` and `requires_duplicate_detection` are there to be refused by name."""

    name: EntityName
    lock_seconds: Annotated[float, Field(gt=0, le=300)] = 60
    max_delivery_count: Annotated[int, Field(ge=1, le=2000)] = 10
    ttl_seconds: Annotated[float, Field(gt=0, le=922_337_203_685)] = 1_209_600
    dead_lettering_on_expiration: bool = True
    requires_session: bool = False
    requires_duplicate_detection: bool = False

    @model_validator(mode="after")
    def _refuse(self) -> Self:
        if self.requires_session or self.requires_duplicate_detection:
            raise ValueError("sessions and duplicate detection are not implemented by this broker")
        return self


class EventHubConfig(_Model):
    name: EntityName
    partitions: Annotated[int, Field(ge=1, le=32)] = 4
    consumer_groups: list[str] = []
    retention_events: Annotated[int, Field(ge=1)] = 50_000
    retention_bytes: Annotated[int, Field(ge=1024 * 1024)] = 64 * 1024 * 1024


class BrokerConfig(_Model):
    """`amqp_port` and `admin_port`: 0 lets the operating system choose; no `cert_file`, no administration endpoint."""

    host: str = "127.0.0.1"
    amqp_port: Port = 0
    admin_port: Port = 0
    state_dir: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    sas_key_name: str | None = None
    sas_key: str | None = None
    testing: bool = False
    """Whether the administration endpoint moves the clock and makes faults (`broker/control.py`)."""
    queues: list[QueueConfig] = []
    event_hubs: list[EventHubConfig] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile belong together: give both or neither")
        if (self.sas_key_name is None) != (self.sas_key is None):
            raise ValueError("sasKeyName and sasKey belong together: give both or neither")
        names = [queue.name.lower() for queue in self.queues] + [hub.name.lower() for hub in self.event_hubs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names are case-insensitive and given once only; more than once: {', '.join(twice)}")
        return self


def load(path: Path) -> BrokerConfig:
    """StartError, one line that names every fault, where the file is missing or wrong."""
    try:
        return BrokerConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StartError(f"cannot read the config file {path}: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'config'}: {fault['msg']}" for fault in error.errors()
        )
        raise StartError(f"bad config in {path}: {faults}") from None
