"""``./mosaic pin --advisories``: asks the package index what it knows of each pin, and writes the snapshot that
``./mosaic check`` audits by.

The index is the one of this machine's environment (``PIP_INDEX_URL``, ``UV_DEFAULT_INDEX`` or ``UV_INDEX_URL``, ending
in ``/simple``); its JSON API is asked beside it, a release a request. Where none is named, or one request gets no
answer, nothing is written and the command says so: half a snapshot would pass for a whole one. npm's packages are not
asked for; an advisory of theirs is put in by hand.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from mosaic_ops.checks import advisories

INDEXES: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
_TIMEOUT: Final = 30
_MOST_BYTES: Final = 32 * 1024 * 1024

type Fetch = Callable[[str], Any]
"""A URL's JSON. Raises OSError where there is no answer, ValueError where it is no JSON."""


def take(
    root: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    fetch: Fetch | None = None,
    today: date | None = None,
) -> int:
    """The exit code: 0 written, 1 not."""
    base = _base(environ)
    if base is None:
        named = ", ".join(INDEXES)
        print(f"mosaic pin: advisories NOT taken: no package index is configured ({named})", file=sys.stderr)
        return 1
    pinned = {name: version for (kind, name), version in advisories.pins(root).items() if kind == "PyPI"}
    found: list[Mapping[str, Any]] = []
    for name, version in sorted(pinned.items()):
        url = f"{base}/pypi/{quote(name)}/{quote(version)}/json"
        try:
            answer = (fetch or _fetch)(url)
            found += [_advisory(name, version, entry) for entry in answer["vulnerabilities"] if not entry["withdrawn"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"{type(error).__name__} at {name} {version}"
            print(f"mosaic pin: advisories NOT taken: the index gave no answer ({why})", file=sys.stderr)
            return 1
    # those of npm are put in by hand, and stay
    kept = [it for it in advisories.read(root).advisories if it["affected"][0]["package"]["ecosystem"] != "PyPI"]
    snapshot = {
        "takenOn": (today or datetime.now(UTC).date()).isoformat(),
        "asked": dict(sorted(pinned.items())),
        "advisories": sorted([*kept, *found], key=lambda it: str(it["id"])),
    }
    text = json.dumps(snapshot, indent=2, ensure_ascii=False)
    (root / advisories.FILE).write_text(f"{text}\n", encoding="utf-8")
    print(f"Written: {advisories.FILE}, {len(pinned)} pins asked about, {len(found)} advisories")
    return 0


def _base(environ: Mapping[str, str]) -> str | None:
    """The index's address without ``/simple``."""
    for name in INDEXES:
        url = environ.get(name, "").rstrip("/")
        if urlsplit(url).scheme in ("http", "https"):
            return url.removesuffix("/simple")
    return None


def _advisory(name: str, version: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The index's entry in OSV's shape. It names the release that was asked for, so that one is what is affected."""
    events = [{"introduced": "0"}, *({"fixed": fixed} for fixed in entry["fixed_in"] or ())]
    return {
        "id": str(entry["id"]),
        "aliases": sorted(map(str, entry["aliases"] or ())),
        "summary": " ".join(str(entry["summary"] or entry["details"] or "").split())[:200],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "versions": [version],
                # with several branches fixed, the range between them is not told: the release is what counts
                "ranges": [{"type": "ECOSYSTEM", "events": events}] if len(events) == 2 else [],
            }
        ],
    }


def _fetch(url: str) -> Any:
    with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=_TIMEOUT) as response:  # noqa: S310
        return json.loads(response.read(_MOST_BYTES))
