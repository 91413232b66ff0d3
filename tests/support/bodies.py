"""Message bodies that nobody sent on purpose: valid ones of every command type, mutated, and ones built to hurt.

All of it comes out of one `random.Random`, so a body is found again by its seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from mosaic_core.domain.lanes import CommandType

GUID: Final = "a11ce000-0000-0000-0000-000000000001"

TIMES: Final = (
    "2026-11-24T02:57:33.1234567Z",
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999999Z",
    "9998-12-31T23:59:59.999999Z",
    "9998-12-31T23:59:59-23:59",
    "9999-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00+14:00",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-12-31T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01 00:00Z",
    "1700000000",
    "-1",
    "1e400",
    "inf",
    "nan",
    "T",
)
DAYS: Final = (
    "2026-01-31",
    "1900-01-01",
    "1899-12-31",
    "9998-12-31",
    "9999-01-01",
    "9999-12-31",
    "0001-01-01",
    "0000-00-00",
    "2026-02-29",
    "-999-01-01",
    "٢٠٢٦-٠١-٠١",
    "2026-01-31T00:00:00",
)
AMOUNTS: Final = (
    "-12.50",
    "0",
    "-0",
    "+0.00000000",
    "999999999999999.99999999",
    "1e400",
    "1E-400",
    "NaN",
    "sNaN",
    "-Infinity",
    "1_000",
    "٣",
    "0x10",
    " 5 ",
    "\x1c5",
    ".5",
    "5.",
    "9" * 5000,
    "",
)
TEXTS: Final = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x1f",
    "\x7f",
    "\x85",
    "\ufeff",
    "\u2028",
    "\uffff",
    "\U0010ffff",
    "😀" * 120,
    "e\u0301" * 60,
    "\u202e",
    "\ud800",
    "\udfff",
    "\udc00\ud800",
    "x" * 121,
    "x" * 2001,
    "x" * 40_000,
    GUID,
    GUID.replace("-", "").upper(),
    "{" + GUID + "}",
    "urn:uuid:" + GUID,
    "0" * 32,
    "00000000-0000-0000-0000-000000000000",
    "٠" * 32,
    "(" * 64,
    "../" + "0" * 64,
    "a" * 32 + "/" + "0" * 64,
    "null",
    "__class__",
    *(kind.value for kind in CommandType),
    "a_newer_type",
)
NUMBERS: Final = (
    0,
    -1,
    1,
    7,
    730,
    731,
    2**31,
    2**53 + 1,
    2**63,
    10**39,
    -(10**38),
    0.0,
    -0.0,
    0.1,
    1.0,
    1e15,
    1e22,
    1e308,
    5e-324,
)
RAW_NUMBERS: Final = (
    "1e400",
    "-1e400",
    "1e999999",
    "1e-999999",
    "-0",
    "-0.0",
    "0e0",
    "1E+2",
    "9" * 40,
    "9" * 41,
    "9" * 5000,
    "0." + "1" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "0x1",
    "1_0",
    "٣",
)
FRAGMENTS: Final = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\udfff",
    b"\\u0000",
    b"\\x",
    b"null",
    b"NaN",
    b"1e400",
    b"-",
    b'"a":1,"a":2',
    b"/**/",
    b"\r\n",
    b"[" * 70,
    b'{"a":' * 70,
    b"9" * 45,
)


def valid(rng: random.Random) -> dict[str, Any]:
    """A command that decodes on the lane of its type."""
    kind = rng.choice(list(CommandType))
    household = f"{rng.getrandbits(127) + 1:032x}"
    payload: dict[str, Any] = {"householdId": household}
    match kind:
        case CommandType.AGENT_MESSAGE_POSTED:
            payload |= {"conversationId": GUID, "householdUserId": GUID, "message": _words(rng, 60)}
            _perhaps(rng, payload, "userNote", lambda: _words(rng, 20))
            _perhaps(rng, payload, "policyDisposition", lambda: "approval_required")
        case CommandType.AGENT_APPROVAL_SUBMITTED:
            payload |= {"conversationId": GUID, "householdUserId": GUID, "approvalId": GUID}
            payload["decision"] = rng.choice(("Approve", "Reject"))
            _perhaps(rng, payload, "rationale", lambda: _words(rng, 20))
        case CommandType.AGENT_APPROVAL_DUE:
            payload |= {"conversationId": GUID, "approvalId": GUID}
        case CommandType.INGESTION_COMPLETED:
            payload |= {"batchId": rng.choice((GUID, "b-1")), "source": "bank", "accountId": "chécking"}
            if rng.random() < 0.2:
                payload["transactionsBlob"] = f"{household}/{rng.getrandbits(256):064x}"
            else:
                payload["transactions"] = [_transaction(rng) for _ in range(rng.randint(1, 3))]
        case CommandType.NIGHTLY_ANOMALY_SWEEP:
            payload |= {"sweepDate": rng.choice(("1900-01-01", "2026-11-24", "9998-12-31"))}
            _perhaps(rng, payload, "lookbackDays", lambda: rng.randint(7, 730))
    command: dict[str, Any] = {
        "commandId": str(rng.choice((GUID, f"{rng.getrandbits(127) + 1:032x}"))),
        "correlationId": f"agent:{household}",
        "commandType": kind.value,
        "createdAtUtc": rng.choice(("1970-01-01T00:00:00Z", "2026-11-24T02:57:33.123Z", "9998-12-31T23:59:59.999999Z")),
        "payload": payload,
    }
    _perhaps(rng, command, "clientReferenceId", lambda: _words(rng, 10))
    _perhaps(rng, command, "replayOfCommandId", lambda: GUID)
    _perhaps(rng, command, "schemaVersion", lambda: 1)
    return command


def _transaction(rng: random.Random) -> dict[str, Any]:
    line: dict[str, Any] = {
        "transactionId": f"t{rng.getrandbits(32)}",
        "postedOn": rng.choice(("1900-01-01", "2026-01-31", "9998-12-31")),
        "amount": rng.choice(("-12.50", "0.10", "-0", "999999999999999.99999999")),
        "currency": "USD",
        "description": _words(rng, 20),
    }
    for name in ("merchantName", "categoryHint", "counterpartyAccountId"):
        _perhaps(rng, line, name, lambda: _words(rng, 10))
    return line


def _words(rng: random.Random, most: int) -> str:
    return "w" + "".join(rng.choice(" aeéß😀\\\"'\n/") for _ in range(rng.randint(0, most)))


def _perhaps(rng: random.Random, of: dict[str, Any], name: str, value: Callable[[], Any]) -> None:
    if rng.random() < 0.3:
        of[name] = value()


# ------------------------------------------------------------------------------------------------------------- to hurt


def body(seed: int) -> bytes:
    """The body of that seed."""
    rng = random.Random(seed)
    return rng.choices((_as_it_is, _with_values, _with_bytes, _raw, _built), (2, 8, 6, 2, 2))[0](rng)


def text(rng: random.Random, value: Any) -> bytes:
    """As JSON in one of its spellings; lone surrogates escaped or as the bytes that are no UTF-8."""
    said = json.dumps(
        value, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), (", ", ": "))), allow_nan=True
    )
    return said.encode("utf-8", "surrogatepass")


def _as_it_is(rng: random.Random) -> bytes:
    return text(rng, valid(rng))


def _with_values(rng: random.Random) -> bytes:
    """One to three values replaced, removed, renamed or added; at times a number in a spelling that no dump writes."""
    command = valid(rng)
    for _ in range(rng.randint(1, 3)):
        holders = list(_holders(command))
        holder, key = rng.choice(holders)
        if key not in holder:
            continue
        match rng.randint(0, 9):
            case 0:
                del holder[key]
            case 1:
                holder[rng.choice(TEXTS)] = holder.pop(key)
            case 2:
                holder[rng.choice(TEXTS)] = hostile(rng)
            case 3:
                holder[key] = _deep(rng.choice((5, 59, 60, 61, 62, 63, 64, 65, 66, 200)))
            case _:
                holder[key] = hostile(rng)
    said = text(rng, command)
    if rng.random() < 0.2:
        holder, key = rng.choice(list(_holders(command)))
        spelt = json.dumps(key).encode("utf-8", "surrogatepass") + b":"
        said = said.replace(spelt, spelt + rng.choice(RAW_NUMBERS).encode() + rng.choice((b",", b'," ":')), 1)
    return said


def _holders(value: Any) -> Iterator[tuple[dict[Any, Any], Any]]:
    """Each object of the document with each of its keys."""
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _holders(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _holders(item)


def hostile(rng: random.Random) -> Any:
    match rng.randint(0, 9):
        case 0:
            return rng.choice((None, True, False, [], {}, [[]], [None], {"": None}))
        case 1 | 2:
            return rng.choice(TIMES)
        case 3 | 4:
            return rng.choice(DAYS)
        case 5:
            return rng.choice(AMOUNTS)
        case 6 | 7:
            return rng.choice(NUMBERS)
        case _:
            return rng.choice(TEXTS)


def _deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"k": value} if level % 2 else [value]
    return value


def _with_bytes(rng: random.Random) -> bytes:
    data = bytearray(text(rng, valid(rng)))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randint(0, 5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 20)]
            case 2:
                data[at:at] = data[max(0, at - rng.randint(1, 30)) : at]
            case 3:
                data = data[:at] if rng.random() < 0.3 else data
            case _:
                data[at:at] = rng.choice(FRAGMENTS)
    return bytes(data)


def _raw(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return rng.randbytes(rng.randint(0, 200))
    return b"".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(0, 30)))


def _built(rng: random.Random) -> bytes:
    """A command of a type that may be known, over a payload that nobody checks."""
    kind = rng.choice((*CommandType, "a_newer_type")) if rng.random() < 0.8 else rng.choice(TEXTS)
    payload: dict[str, Any] = {rng.choice(TEXTS): hostile(rng) for _ in range(rng.randint(0, 5))}
    if rng.random() < 0.3:
        payload["householdId"] = rng.choice(TEXTS)
    if rng.random() < 0.1:
        payload["x"] = [0] * rng.choice((100, 5_000))
    return text(
        rng,
        {
            "commandId": GUID,
            "correlationId": "c",
            "commandType": kind,
            "createdAtUtc": rng.choice(TIMES),
            "payload": payload,
        },
    )
