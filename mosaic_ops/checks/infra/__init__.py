"""What can be said of ``infra/``, ``azure.yaml`` and the workflows without Azure and without the compiler.

Each part takes the checkout's root and the parsed files, and returns what is wrong, a line each (``file:line: what``):

- ``bicep``       the parsed files; what does not parse, and what the compiler would refuse though the parser does not;
- ``evaluation``  what a deployment would be, across modules, as far as the files alone say it;
- ``types``       types, API versions, properties, values, limits, against ``bicep-types.json``;
- ``wiring``      names followed through and across files: parameters, modules, outputs;
- ``linter``      what the compiler's linter warns of;
- ``security``    keys, public access, transport, zones, private networking;
- ``roles``       each role against the operations that are performed (``operations.json``);
- ``settings``    settings and entities alike in code, reference, sample, templates, emulators;
- ``platform``    what the plan and azd want: kinds, scopes, tags, what points where;
- ``forbidden``   what must not be set on Flex Consumption;
- ``kql``         the queries of alerts, workbook and saved searches against what the app emits (``emitted.json``);
- ``deployment``  ``azure.yaml`` and the workflows;
- ``checkov``     the scanner, in an environment of its own (``scan.py`` is run by it).

docs/adr/0022 says why so.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mosaic_ops.checks.infra import (
    bicep,
    deployment,
    forbidden,
    kql,
    linter,
    platform,
    roles,
    security,
    settings,
    types,
    wiring,
)
from mosaic_ops.checks.infra.bicep import BicepFile

type Look = Callable[[Path, Mapping[str, BicepFile]], list[str]]

PARTS: Final[Mapping[str, Look]] = {
    "infra files": lambda root, files: [
        *bicep.faults(files.values()),
        *wiring.problems(root, files),
        *linter.problems(files),
    ],
    "infra types": lambda root, files: [*types.problems(files), *platform.problems(files)],
    "infra security": lambda root, files: security.problems(files),
    "infra roles": lambda root, files: roles.problems(files),
    "infra settings": lambda root, files: [*settings.problems(root, files), *forbidden.problems(root, files)],
    "infra queries": lambda root, files: kql.problems(root),
    "deployment": deployment.problems,
}
"""What is quick, by the name of the part of ``./mosaic check``."""


def look(name: str, root: Path) -> list[str]:
    """What the part of that name finds in the checkout at `root`."""
    return PARTS[name](root, bicep.load(root))
