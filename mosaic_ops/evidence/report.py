"""report.html: the bundle for a reader. One file without script, without anything from elsewhere, light and dark, on
paper as well; the timelines are pictures (SVG). Pure: the same records give the same text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from mosaic_ops.evidence.claims import AFTER, AGAIN, FAILED, SETTLED, Record
from mosaic_ops.evidence.timeline import picture, stream

_HERE: Final = Path(__file__).resolve().parent
_STYLE: Final = (_HERE / "report.css").read_text("utf-8")
_POLICY: Final = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
_SEEN: Final = {
    FAILED: "after its first failed attempt",
    SETTLED: "at its end",
    AGAIN: "after the duplicate",
    AFTER: "after the replay",
}


def digest() -> str:
    """Of what draws it: two that are alike draw the same."""
    whole = hashlib.sha256()
    for name in ("report.py", "timeline.py", "report.css"):
        whole.update((_HERE / name).read_bytes())
    return whole.hexdigest()


def render(said: Mapping[str, Any], records: Sequence[Record]) -> str:
    """``said`` is evidence.json."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    title = f"Release evidence, {said['environment']}"
    claims = said["claims"]
    holding = sum(claim["holds"] for claim in claims)
    sections = "".join(_section(item, said, records) for item in said["checklist"])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY.format(style))}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>"
        f"{_stamp(said)}<header><h1>{escape(title)}</h1>"
        f'<p class="verdict {_mood(said["passed"])}">{"✓" if said["passed"] else "✗"} '
        f"{'All' if said['passed'] else 'Not all'} is proven: {holding} of {len(claims)} proofs hold"
        f"{'' if said['passed'] else ', not ' + escape(', '.join(said['notProven']))}.</p></header>\n<main>"
        f"{_head(said)}{_checklist(said)}{sections}{_records(records)}</main>"
        "<footer><p>Each proof is made from the raw records that it names, and from nothing else. "
        "<code>./mosaic ops evidence verify</code> makes all of them again, without a network.</p></footer>"
        "</body></html>\n"
    )


def _stamp(said: Mapping[str, Any]) -> str:
    if not said["stamp"]:
        return ""
    return f'<p class="stamp" role="note">{escape(said["stamp"])}: made on the embedded stack of one machine</p>'


def _head(said: Mapping[str, Any]) -> str:
    skew = said["clockSkewSeconds"]
    pairs = [
        ("environment", said["environment"]),
        ("version", said["version"]),
        ("commit", said["commit"]),
        ("package digest", said["packageDigest"]),
        ("asked by (token's subject)", said["subject"]),
        ("begun", said["startedAtUtc"]),
        ("ended", said["endedAtUtc"]),
        ("clock of the API, less ours", "not told" if skew is None else f"{skew:+.2f} s (to a second)"),
        ("drill household", said["householdId"]),
        ("left behind", "; ".join(map(str, said["leftBehind"])) or "nothing that anybody has to clear away"),
    ]
    settings = said["settings"] or {}
    shown = [f"{name} = {value}" for name, value in settings.items()] or ["all as by default"]
    return (
        '<section aria-labelledby="what"><h2 id="what">What was looked at</h2><dl>'
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in pairs)
        + f"<dt>settings</dt><dd>{escape('; '.join(shown))}</dd></dl></section>\n"
    )


def _checklist(said: Mapping[str, Any]) -> str:
    rows = [
        [_mark(item["holds"]), f'<a href="#{escape(item["drill"])}">{escape(item["says"])}</a>']
        for item in said["checklist"]
    ]
    return (
        '<section aria-labelledby="checklist"><h2 id="checklist">Evidence checklist</h2>'
        f"{_table(('holds', 'evidence'), rows)}</section>\n"
    )


def _section(item: Mapping[str, Any], said: Mapping[str, Any], records: Sequence[Record]) -> str:
    drill = item["drill"]
    claims = [claim for claim in said["claims"] if claim["drill"] == drill]
    proofs = [
        [
            _mark(claim["holds"]),
            f"<code>{escape(claim['proof'])}</code>",
            escape(claim["says"]) + ("" if claim["holds"] else f'<p class="why">{escape(claim["why"])}</p>'),
            _links(claim["rows"]),
        ]
        for claim in claims
    ]
    told = next((r for r in records if r.get("kind") == "drill" and r.get("drill") == drill), None)
    parts = [f'<section aria-labelledby="{drill}"><h2 id="{drill}">{_mark(item["holds"])} {escape(item["says"])}</h2>']
    if told is not None:
        named = [(name, told.get(name)) for name in ("commandId", "correlationId", "queue")]
        parts.append("<dl>" + "".join(f"<dt>{n}</dt><dd>{escape(str(v))}</dd>" for n, v in named) + "</dl>")
        parts.append(
            f'<figure><div class="wide" tabindex="0" role="region" aria-label="timeline, {drill}">'
            f"{picture(drill, records)}</div><figcaption>Times in UTC. The dots are events of the telemetry "
            "stream, by their numbers below.</figcaption></figure>"
        )
        parts.append(_events(drill, records))
        parts.append(_letters(drill, records))
    parts.append(f"<h3>Proofs</h3>{_table(('holds', 'proof', 'says', 'from the records'), proofs)}</section>\n")
    return "".join(parts)


def _events(drill: str, records: Sequence[Record]) -> str:
    rows = [
        [
            str(number),
            escape(at),
            escape(str(event.get("type", "")).rpartition(".")[2]),
            escape(str(event.get("source", ""))),
            escape(str((event.get("data") or {}).get("attempt", ""))),
            escape(str((event.get("data") or {}).get("outcomeCode", ""))),
        ]
        for number, (at, event) in enumerate(stream(drill, records), start=1)
    ]
    return f"<h3>Events</h3>{_table(('no.', 'at', 'event', 'of', 'attempt', 'outcome'), rows)}" if rows else ""


def _letters(drill: str, records: Sequence[Record]) -> str:
    """The runbook's capture list."""
    found = [
        r for r in records if r.get("kind") == "message" and r.get("drill") == drill and r.get("place") == "deadLetter"
    ]
    out = []
    for letter in found:
        pairs = [
            (name, letter.get(key))
            for name, key in (
                ("queue lane", "queue"),
                ("message id", "messageId"),
                ("correlation id", "correlationId"),
                ("reason", "deadLetterReason"),
                ("code, run, attempt, rationale", "deadLetterErrorDescription"),
            )
        ]
        listed = "".join(f"<dt>{escape(n)}</dt><dd>{escape(str(v))}</dd>" for n, v in pairs)
        out.append(f"<h3>Dead letter</h3><dl>{listed}</dl>")
    return "".join(out)


def _records(records: Sequence[Record]) -> str:
    rows = [
        [
            f'<span id="{escape(str(r["id"]))}">{escape(str(r["id"]))}</span>',
            escape(str(r.get("drill") or "")),
            escape(_what(r)),
        ]
        for r in records
        if r.get("kind") != "made"
    ]
    return (
        '<section aria-labelledby="records"><h2 id="records">Raw records</h2>'
        "<p>As they were read; in full in the bundle's folder <code>raw/</code>.</p>"
        f"{_table(('record', 'drill', 'what'), rows)}</section>\n"
    )


def _what(record: Record) -> str:
    """In a line."""
    match record.get("kind"):
        case "row":
            row = record.get("row") or {}
            names = ("Status", "StageName", "SignalCode", "IsFinal", "IsResolved", "Attempt", "OutcomeCode")
            said = ", ".join(f"{name} {row[name]}" for name in names if name in row)
            return f"{record.get('table')}, {_SEEN.get(str(record.get('seen')), '')}: {said or 'there'}"
        case "event":
            event = record.get("event") or {}
            return f"event {str(event.get('type', '')).rpartition('.')[2]} of {event.get('source')}"
        case "span":
            span = record.get("span") or {}
            return f"span {span.get('name')} of {span.get('service.name')}, {span.get('durationMs')} ms"
        case "message":
            return f"message {record.get('messageId')}: {record.get('deadLetterReason') or 'sent'}"
        case "peek":
            return f"dead letters of message {record.get('messageId')}: {record.get('found')}"
        case "answer":
            return f"{record.get('method')} {record.get('path')}: {record.get('status')}"
        case "build":
            return f"version {record.get('version')}, commit {record.get('commit')}"
        case "scan":
            return f"{record.get('table')} was looked at, {_SEEN.get(str(record.get('seen')), '')}"
        case _:
            return str(record.get("commandId") or record.get("kind"))


def _links(ids: Iterable[str]) -> str:
    return " ".join(f'<a href="#{escape(one)}">{escape(one)}</a>' for one in ids) or "none"


def _mark(holds: object) -> str:
    return '<span class="good">✓ holds</span>' if holds else '<span class="bad">✗ not proven</span>'


def _mood(holds: object) -> str:
    return "good" if holds else "bad"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    # a table that is wider than the page is scrolled by itself, with the keyboard as well
    label = escape(", ".join(headings))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
