"""The bill of materials (CycloneDX 1.6) and the licences of what ships."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mosaic_ops.packaging.archive import TIME
from mosaic_ops.packaging.staging import Source
from mosaic_ops.packaging.wheels import TARGET, Wheel, contents

APP: Final = "mosaic-runtime-worker"
LICENCE: Final = "MIT"
_TEXTS: Final = ("licen", "copying", "notice")
_UNKNOWN: Final = ("", "UNKNOWN")


def licence(wheel: Wheel) -> str:
    """What the package says of its licence: an SPDX expression where it gives one, else its words."""
    for field in ("License-Expression", "License"):
        text = str(wheel.metadata.get(field, "")).strip()
        if text not in _UNKNOWN and "\n" not in text and len(text) <= 100:
            return text
    classifiers = [str(line) for line in wheel.metadata.get_all("Classifier", [])]
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return " AND ".join(named) if named else "not stated"


def bill_of_materials(wheels: Sequence[Wheel], source: Source, digest: str) -> str:
    """JSON. Its serial number is derived from the package's digest; it names no time, no machine, no tool's release."""
    factory = LicenseFactory()
    app = Component(
        name=APP,
        version=source.version,
        type=ComponentType.APPLICATION,
        bom_ref=APP,
        licenses=[factory.make_from_string(LICENCE)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"urn:mosaic-runtime-worker:{digest}"),
        metadata=BomMetaData(component=app, timestamp=TIME),
    )
    components = {wheel.name: _component(wheel, factory) for wheel in wheels}
    bom.components.update(components.values())
    for wheel in wheels:
        needs = [components[name] for name in sorted(_requires(wheel)) if name in components and name != wheel.name]
        bom.register_dependency(components[wheel.name], needs)
    bom.register_dependency(app, list(components.values()))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(wheel: Wheel, factory: LicenseFactory) -> Component:
    purl = PackageURL("pypi", name=wheel.name, version=wheel.version)
    said = licence(wheel)
    return Component(
        name=wheel.name,
        version=wheel.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[factory.make_from_string(said)] if said != "not stated" else [],
        # of the wheel, the file that the index serves
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
    )


def _requires(wheel: Wheel) -> set[str]:
    """Names of what the package needs where the app runs, extras apart."""
    names = set()
    for line in wheel.metadata.get_all("Requires-Dist", []):
        try:
            requirement = Requirement(str(line))
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({**TARGET, "extra": ""}):
            names.add(str(canonicalize_name(requirement.name)))
    return names


def licences(wheels: Iterable[Wheel]) -> str:
    """Every package with what it says of its licence, then the texts that it carries."""
    parts = ["Licences of the packages that are deployed with the app.\n"]
    texts = []
    for wheel in wheels:
        parts.append(f"{wheel.name} {wheel.version}: {licence(wheel)}")
        for path, content in contents(wheel):
            name = PurePosixPath(path)
            if name.parts[0].endswith(".dist-info") and any(part in name.name.lower() for part in _TEXTS):
                title = f"{wheel.name} {wheel.version}: {name.name}"
                text = content.decode("utf-8", "replace").replace("\r\n", "\n").rstrip()
                texts.append(f"\n{'=' * 120}\n{title}\n{'=' * 120}\n\n{text}")
    return "\n".join([*parts, *texts]) + "\n"
