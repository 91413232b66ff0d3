"""The AsyncAPI 3 document of the three queues and the hub, and JSON Schemas (draft 2020-12) of what travels there, made
from the pydantic models that the worker reads commands by. ``python -m mosaic_ops.reference`` writes them.

A body that is valid by its queue's schema is one that the worker's parser takes, and the other way round, within what a
schema can say; `RULES_OF_ALL` is the rest.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema, create_model
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from mosaic_core.config import VERSION
from mosaic_core.config.table import TELEMETRY_HUB
from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.envelope import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_NUMBER_CHARACTERS,
    PAYLOADS,
    _batch_id,
    _currency,
    _Header,
    _no_control,
    _utc,
    _within_days,
)
from mosaic_core.domain.ids import normalise_guid
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.lifecycle import RunStatus, Severity
from mosaic_core.entrypoints.http import schema_rules

type Document = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
FORMAT: Final = "application/schema+json;version=draft-2020-12"
HUB: Final = TELEMETRY_HUB.default

RULES_OF_ALL: Final = (
    f"A body is UTF-8 JSON of at most {MAX_BODY_BYTES} bytes without a byte order mark: no key twice in an object, no "
    f"NaN or Infinity, no half of a surrogate pair, at most {MAX_DEPTH} levels and {MAX_NUMBER_CHARACTERS} characters "
    "for a number. Texts are trimmed (Unicode's white space); lengths, patterns and choices are of what remains, and "
    "the normal form (NFKC, case folded) of a person's text may be twice as long. A day or a time is one of the "
    "calendar; a time is also taken without seconds, with a space for the T and with a zone such as +0100. A whole "
    "number has no fraction, not even .0. Unknown fields are ignored. A command acts only where the "
    "API has recorded it, or where a listed source sends an ingestion past it."
)

TIME: Final[schema_rules.Schema] = {
    **schema_rules.TIME,
    # on the first and the last day a zone may lead out of the years
    "pattern": schema_rules.TIME["pattern"].replace("^", "^(?!(?:1970-01-01|9998-12-31)[^Zz]*$)", 1),
}

_OF_VALIDATORS: Final[dict[Any, schema_rules.Schema]] = {
    normalise_guid: schema_rules.GUID,
    _no_control: schema_rules.NO_CONTROL,
    _utc: TIME,
    _within_days: schema_rules.DAY,
    _batch_id: schema_rules.BATCH_ID,
    _currency: {"type": "string", "enum": sorted(CURRENCIES), "description": "An ISO 4217 code."},
}


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat a field's name, and with what validators check in code."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_after_schema(self, schema: Any) -> dict[str, Any]:
        return {**super().function_after_schema(schema), **_OF_VALIDATORS.get(schema["function"]["function"], {})}


# ------------------------------------------------------------------------------------------------------------ commands


def _command(kind: CommandType) -> type[BaseModel]:
    name = "".join(word.capitalize() for word in kind.value.split("_"))
    model: type[BaseModel] = create_model(
        f"{name}Command",
        __base__=_Header,
        __doc__=f"The command `{kind.value}`.",
        command_type=(cast(Any, Literal[kind.value]), ...),
        payload=(PAYLOADS[kind], ...),
    )
    return model


def command_schemas() -> dict[str, Document]:
    """By lane: the schema of a message body that the lane's queue takes."""
    return {lane.value: _queue_schema(lane) for lane in Lane}


def _queue_schema(lane: Lane) -> Document:
    kinds = sorted(RULES[lane].command_types)
    definitions: Document = {}
    each: list[Document] = []
    for kind in kinds:
        schema = TypeAdapter(_command(kind)).json_schema(by_alias=True, schema_generator=_Schemas)
        definitions |= schema.pop("$defs", {})
        name = schema["title"] = str(schema.get("title", kind.value))
        definitions[name] = schema
        each.append({"$ref": f"#/$defs/{name}"})
    if "IngestionCompleted" in definitions:
        _say_what_ingestions_are(definitions)
    return {
        "$schema": DRAFT,
        "title": f"Commands of the lane {lane.value}",
        "description": f"The body of a message of the queue `{RULES[lane].default_queue}`. {RULES_OF_ALL}",
        "oneOf": each,
        "$defs": dict(sorted(definitions.items())),
    }


def _say_what_ingestions_are(definitions: Document) -> None:
    """What the models check in code over several fields, or before a field's own type."""
    batch = definitions["IngestionCompleted"]
    there = {"transactions": {"type": "array"}, "transactionsBlob": {"type": "string"}}
    batch["oneOf"] = [{"required": [name], "properties": {name: kind}} for name, kind in there.items()]
    definitions["Amount"] = schema_rules.AMOUNT


# -------------------------------------------------------------------------------------------------------------- events


class _Event(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,128}$"}
_HEX: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
type Id = Annotated[str, WithJsonSchema(_ID)]
type Hex = Annotated[str, WithJsonSchema(_HEX)]
type Code = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,120}$"})]
type Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "pattern": "Z$"})]


class CommandEventData(_Event):
    """What happened to a command. ``commandId`` is null where a message never decoded, ``runId`` until there is a run;
    ``attempt`` is 0 where nobody owned an attempt."""

    command_id: Hex | None
    message_id: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9:._-]{0,128}$"})]
    correlation_id: Id | None
    command_type: Literal[(*(kind.value for kind in CommandType), "unsupported")] | None  # type: ignore[valid-type]
    queue: Code
    run_id: Hex | None
    attempt: Annotated[int, Field(ge=0)]
    state: RunStatus | None
    outcome_code: Code
    occurred_at_utc: Moment


class ApprovalEventData(_Event):
    """An approval that waits. What it is about is asked of the API by who may see it."""

    approval_id: Hex
    household_id: Hex
    conversation_id: Hex
    run_id: Hex
    command_id: Hex
    expires_at_utc: Moment
    occurred_at_utc: Moment


class SignalEventData(_Event):
    """A signal that waits for a person; ``householdId`` is null where a message named none that holds."""

    signal_id: Hex
    signal_code: Code
    severity: Severity
    queue: Code
    household_id: Hex | None
    run_id: Hex | None
    command_id: Hex | None
    occurred_at_utc: Moment


type Source = Literal["MosaicMoney.Api", "MosaicMoney.Worker"]

EVENTS: Final[dict[str, type[_Event]]] = {
    **{
        f"mosaic.runtime.command.{kind}": CommandEventData
        for kind in (
            "enqueued",
            "started",
            "completed",
            "needs_review",
            "attempt_failed",
            "dead_lettered",
            "duplicate",
            "replayed",
        )
    },
    "mosaic.runtime.approval_requested": ApprovalEventData,
    "mosaic.runtime.approval_expiring": ApprovalEventData,
    "mosaic.runtime.finding_raised": SignalEventData,
    "mosaic.runtime.review_opened": SignalEventData,
}
"""The events of the hub by their type. What the contract's section 6 names, and nothing else."""


def _event_model(data: type[_Event]) -> type[BaseModel]:
    kinds = tuple(kind for kind, its in EVENTS.items() if its is data)
    model: type[BaseModel] = create_model(
        data.__name__.removesuffix("Data"),
        __base__=_CloudEvent,
        __doc__=data.__doc__,
        type=(cast(Any, Literal[kinds]), ...),
        data=(data, ...),
    )
    return model


class _CloudEvent(BaseModel):
    """CloudEvents 1.0, structured JSON. The same ``id`` is the same event: take it once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    specversion: Literal["1.0"]
    id: Hex
    source: Source
    subject: Id
    time: Moment
    datacontenttype: Literal["application/json"]
    partitionkey: Annotated[Hex, Field(description="The household; absent where there is none.")] = ""
    traceparent: Annotated[
        str,
        WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}),
    ] = ""


def event_schema() -> Document:
    """The schema of an event of the hub."""
    definitions: Document = {}
    each: list[Document] = []
    for data in (CommandEventData, ApprovalEventData, SignalEventData):
        schema = TypeAdapter(_event_model(data)).json_schema(by_alias=True, schema_generator=_Schemas)
        definitions |= schema.pop("$defs", {})
        for field in ("partitionkey", "traceparent"):
            schema["properties"][field].pop("default", None)  # absent is absent, and no empty text
        name = schema["title"]
        definitions[name] = schema
        each.append({"$ref": f"#/$defs/{name}"})
    return {
        "$schema": DRAFT,
        "title": "Runtime events",
        "description": "An event of the hub: CloudEvents 1.0, structured JSON. Ids and codes only, at least once.",
        "oneOf": each,
        "$defs": dict(sorted(definitions.items())),
    }


# ------------------------------------------------------------------------------------------------------------ document


@cache
def schemas() -> dict[str, Document]:
    """The JSON Schemas by file name, each whole in itself."""
    of_queues = {f"commands-{lane}.schema.json": schema for lane, schema in command_schemas().items()}
    return {**of_queues, "events.schema.json": event_schema()}


@cache
def document_text() -> str:
    return json.dumps(document(), separators=(",", ":"))


def document() -> Document:
    """The AsyncAPI document as JSON-ready values."""
    messages: Document = {
        f"{lane}Command": {
            "name": f"{lane}Command",
            "title": f"A command of the lane {lane}",
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "description": "Application properties of the message; none of them decides anything.",
                "properties": {
                    name: {"type": "string"}
                    for name in ("householdId", "conversationId", "approvalId", "householdUserId", "traceparent")
                },
            },
            "correlationId": {"location": "$message.payload#/correlationId"},
            "payload": {"schemaFormat": FORMAT, "schema": schema},
        }
        for lane, schema in command_schemas().items()
    }
    messages["event"] = {
        "name": "event",
        "title": "What happened to a command, or what waits for a person",
        "contentType": "application/cloudevents+json",
        "payload": {"schemaFormat": FORMAT, "schema": event_schema()},
    }
    channels = {
        lane.value: {
            "address": RULES[lane].default_queue,
            "title": f"The queue of the lane {lane.value}",
            "description": "Delivered at least once; a setting of the deployment names it, with this default.",
            "servers": [{"$ref": "#/servers/serviceBus"}],
            "messages": {"command": {"$ref": f"#/components/messages/{lane.value}Command"}},
        }
        for lane in Lane
    }
    channels["telemetry"] = {
        "address": HUB,
        "title": "The event hub of the runtime",
        "description": "Partition key: the household. Consumer group `mosaic-money-runtime`, or one of your own.",
        "servers": [{"$ref": "#/servers/eventHubs"}],
        "messages": {"event": {"$ref": "#/components/messages/event"}},
    }
    operations = {
        f"receive_{lane.value}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{lane.value}"},
            "summary": f"The worker executes the commands of the lane {lane.value}.",
            "messages": [{"$ref": f"#/channels/{lane.value}/messages/command"}],
        }
        for lane in Lane
    }
    operations["send_events"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/telemetry"},
        "summary": "API and worker tell what happens.",
        "messages": [{"$ref": "#/channels/telemetry/messages/event"}],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Mosaic Money runtime messages", "version": VERSION, "description": RULES_OF_ALL},
        "defaultContentType": "application/json",
        "servers": {
            name: {
                "host": "{namespace}",
                "protocol": "amqps",
                "description": f"{what}, by Microsoft Entra ID.",
                "variables": {"namespace": {"description": "The namespace's full host name."}},
            }
            for name, what in (("serviceBus", "The Service Bus namespace"), ("eventHubs", "The Event Hubs namespace"))
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }
