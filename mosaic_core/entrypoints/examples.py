"""Examples for the OpenAPI document, made from the schemas: whatever has a schema has an example, and a test holds each
against its schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

type Schema = Mapping[str, Any]

_GUID: Final = "a11ce000000000000000000000000001"
_TIME: Final = "2026-03-01T08:00:00Z"
_MOST_LEVELS: Final = 12

_BY_NAME: Final[Mapping[str, Any]] = {
    "accountId": "checking",
    "actionKind": "draft_message",
    "actionSummary": "Draft a message to the gym",
    "agentName": "household-agent",
    "agentSource": "offline",
    "amount": "-84.67",
    "batchId": "november-2026",
    "body": "Please end my membership.",
    "categoryHint": "groceries",
    "channel": "email",
    "clientApprovalId": "approval-7",
    "clientMessageId": "message-42",
    "code": "validation_failed",
    "commandType": "agent_message_posted",
    "correlationId": f"agent:{_GUID}:{_GUID}:{_GUID}",
    "counterpartyAccountId": "savings",
    "currency": "USD",
    "description": "SAFEWAY #1234 PORTLAND OR",
    "executor": "agent",
    "failureCode": "lane_failed",
    "kind": "message",
    "merchantName": "Safeway",
    "message": "What did I spend on groceries last month?",
    "name": "tables",
    "note": "Looked at with the household: the file was sent twice.",
    "outcomeCode": "succeeded",
    "packageDigest": "0" * 64,
    "commit": "0f1e2d3",
    "policyDisposition": "advisory_only",
    "policyVersion": "2026-01",
    "postedOn": "2026-02-28",
    "provenance": "tx-1",
    "queue": "runtime-agent-message-posted",
    "rationale": "It is the right amount.",
    "recipient": "gym",
    "requestHash": "0" * 64,
    "rows": "tx-1",
    "signalCode": "worker_command_failed",
    "source": "my-bank",
    "subject": "alice",
    "summary": "A command failed for good",
    "transactionId": "tx-1",
    "transactionsBlob": f"{_GUID}/{'0' * 64}",
    "userNote": "Only the shared account.",
    "version": "1.0.0",
    "nextCursor": "251476473599999999!a11ce000000000000000000000000001",
}
"""By a field's name, where a text of any kind would do."""


def example(schema: Schema, definitions: Mapping[str, Schema], name: str = "", level: int = 0) -> Any:
    """A value that the schema allows; of an optional part its fuller form. ``name`` is the field's."""
    if level > _MOST_LEVELS:
        return None
    if reference := schema.get("$ref"):
        return example(definitions[reference.rpartition("/")[2]], definitions, name, level + 1)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        wanted = _BY_NAME.get(name)
        return wanted if wanted in schema["enum"] else schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            full = next((one for one in schema[several] if one.get("type") != "null"), schema[several][0])
            return example(full, definitions, name, level + 1)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {field: example(its, definitions, field, level + 1) for field, its in fields.items()}
        case "array":
            return [example(schema.get("items", {}), definitions, name, level + 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _text(schema, name)


def _text(schema: Schema, name: str) -> str:
    candidates: tuple[Any, ...] = (_BY_NAME.get(name), _GUID, _TIME, _TIME[:10], name or "text", "x")
    if schema.get("format") == "date-time":
        return _TIME
    if schema.get("format") == "date":
        return _TIME[:10]
    if name.endswith(("Id", "Ids")) and name not in _BY_NAME:
        candidates = (_GUID, *candidates)
    pattern, most = schema.get("pattern"), schema.get("maxLength", 10_000)
    for one in candidates:
        if isinstance(one, str) and len(one) <= most and (pattern is None or re.search(pattern, one)):
            if one in (_GUID, _TIME, _TIME[:10]) and pattern is None and not name.endswith(("Id", "Ids")):
                continue
            return one
    return ""
