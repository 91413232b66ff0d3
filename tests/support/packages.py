"""A small checkout and small wheels, for what builds packages."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema_rs


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str | bytes],
    *,
    tag: str = "py3-none-any",
    more: str = "",
) -> Path:
    """A wheel with these files; ``more`` is added to its METADATA. Returns its path."""
    info = f"{name}-{version}.dist-info"
    contents: dict[str, bytes] = {
        path: content.encode() if isinstance(content, str) else content for path, content in files.items()
    }
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\n".encode()
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = [f"{path},sha256={_record_hash(content)},{len(content)}" for path, content in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in contents.items():
            archive.writestr(inside, content)
    return path


def _record_hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def make_checkout(root: Path, wheels: Mapping[str, Path]) -> Path:
    """What packaging reads of a checkout. ``wheels``: ``name==version`` → the wheel to lock."""
    texts = {
        "function_app.py": "import mosaic_core.domain.lanes\n",
        "host.json": '{"version": "2.0"}\n',
        "pyproject.toml": '[project]\nversion = "0.1.0"\n',
        "mosaic_core/__init__.py": "",
        "mosaic_core/domain/__init__.py": "",
        "mosaic_core/domain/lanes.py": "LANES = ('sweep',)\n\n\ndef lane(): return LANES\n",
        "mosaic_core/domain/words.toml": "a = 1\n",
        "mosaic_ops/memory/stores.py": "FOR_TESTS = True\n",
        "mosaic_core/__pycache__/x.cpython-313.pyc": "old",
        "mosaic_ops/tool.py": "",
        "tests/test_x.py": "",
        "docs/reference/functions.json": json.dumps(["health_live", "health_ready"]),
        "requirements.txt": "# Compiled.\n" + "".join(f"{pin}\n" for pin in wheels),
        "requirements/wheels.txt": "".join(
            f"{pin} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for pin, path in wheels.items()
        ),
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def bill_faults(bill: Any) -> list[str]:
    """Where a bill of materials is not CycloneDX 1.6, by the published schema."""
    names = {"spdx.schema.json": "spdx.SNAPSHOT.schema.json", "jsf-0.82.schema.json": "jsf-0.82.SNAPSHOT.schema.json"}

    def retrieve(uri: str) -> Any:
        name = uri.rpartition("/")[2]
        return _schema(names.get(name, name))

    validator = jsonschema_rs.validator_for(_schema("bom-1.6.SNAPSHOT.schema.json"), retriever=retrieve)
    return [str(error) for error in validator.iter_errors(bill)]


def _schema(name: str) -> Any:
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    return json.loads((folder / name).read_text("utf-8"))
