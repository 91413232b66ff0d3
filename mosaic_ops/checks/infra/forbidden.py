"""What must not be set on Flex Consumption: in templates, samples, scripts, workflows and documents.

The settings are those of ``mosaic_core.config.FORBIDDEN_ON_FLEX``. A document may name one where it says that it is not
to be set; it may not set it, and no command in it may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from mosaic_core.config import FORBIDDEN_ON_FLEX
from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.settings import LOCAL, SAMPLE

SITE_CONFIG: Final[Mapping[str, str]] = {
    "linuxFxVersion": "functionAppConfig.runtime says it",
    "windowsFxVersion": "functionAppConfig.runtime says it",
    "netFrameworkVersion": "no .NET",
    "pythonVersion": "functionAppConfig.runtime says it",
    "ftpsState": "the plan has no FTP",
    "use32BitWorkerProcess": "the plan's own",
    "alwaysOn": "scaleAndConcurrency.alwaysReady says it",
    "preWarmedInstanceCount": "scaleAndConcurrency.alwaysReady says it",
    "minimumElasticInstanceCount": "scaleAndConcurrency.alwaysReady says it",
    "functionAppScaleLimit": "scaleAndConcurrency.maximumInstanceCount says it",
    "functionsRuntimeScaleMonitoringEnabled": "the plan's own",
    "vnetRouteAllEnabled": "the site's own routing properties say it",
    "containerSize": "scaleAndConcurrency.instanceMemoryMB says it",
}
"""Properties of siteConfig (containerSize: of the site) that Flex Consumption refuses or that mean nothing there."""

_TEXTS: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/reference/*.md",
    "infra/**/*.sh",
    "infra/**/*.json",
    "infra/*.md",
    ".ci/*",
    ".github/**/*.yml",
    ".devcontainer/*",
    ".vscode/*",
    "emulators/*",
    "azure.yaml",
    "test.http",
    "*.sample.json",
    "*.env",
)
_PROSE: Final = frozenset({".md"})
_REFUSAL: Final = re.compile(
    r"\b(never|not|no|none|nor|cannot|without|must|forbid\w*|refus\w*|remov\w*|reject\w*|instead|unset"
    r"|leave out|unlike"
    r"|drop\w*|ignor\w*|fails?|stops?|breaks?|only on a|developer|locally)\b",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"(?<![\w.-])("
    + "|".join(re.escape(name) for name in sorted({*FORBIDDEN_ON_FLEX, *SITE_CONFIG}, key=len, reverse=True))
    + r")(?![\w-])"
)


def problems(root: Path, files: Mapping[str, BicepFile]) -> list[str]:
    found = [line for file in files.values() for line in _template(file)]
    seen: set[Path] = set()
    for pattern in _TEXTS:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and path not in seen:
                seen.add(path)
                found += _text(path.relative_to(root).as_posix(), path.read_text("utf-8", "replace"))
    return list(dict.fromkeys(found))


def _template(file: BicepFile) -> Iterator[str]:
    for value in file.values():
        for each in bicep.walk(value):
            if isinstance(each, bicep.Object):
                for item in each.properties:
                    if item.key is not None and (item.key in FORBIDDEN_ON_FLEX or item.key in SITE_CONFIG):
                        yield _line(file.path, item.line, item.key)
            elif isinstance(each, bicep.Text) and each.constant in FORBIDDEN_ON_FLEX:
                yield _line(file.path, each.line, str(each.constant))


def _line(path: str, number: int, name: str) -> str:
    why = FORBIDDEN_ON_FLEX.get(name) or SITE_CONFIG[name]
    return f"{path}:{number}: {name} must not be set on Flex Consumption: {why}"


def _text(path: str, text: str) -> Iterator[str]:
    prose = Path(path).suffix in _PROSE
    fenced = False
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if prose and line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if not prose and line.lstrip().startswith(("#", "//")):
            continue
        for match in _NAMES.finditer(line):
            name = match[1]
            if path == SAMPLE and name in LOCAL:
                continue
            if name == "TZ" and prose and not fenced and "`TZ" not in line:
                continue
            if prose and not fenced:
                # the sentence may begin on the line before
                around = f"{lines[number - 2] if number > 1 else ''} {line}"
                is_set = re.match(r"[\"'`]?\s*(=|:\s*[\"'`\w]|\bto\b)", line[match.end() :])
                if _REFUSAL.search(around) and not is_set:
                    continue
            yield _line(path, number, name)
