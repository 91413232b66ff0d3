"""Defects of what is deployed, how it gets there, and what is asked of it then."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_PACKAGING: Final = "tests/unit/test_packaging.py::"
_SMOKE: Final = "tests/unit/test_smoke.py::"
_PUBLISHING: Final = "tests/unit/test_publishing.py::"
_NAMED: Final = (_SMOKE + "test_what_is_not_so_is_named_and_the_rest_still_looked_at",)

DEFECTS: Final = (
    # ------------------------------------------------------------------------------------------------------ the package
    Defect(
        name="anything-in-the-app-ships",
        file="mosaic_ops/packaging/staging.py",
        old='OWN_SUFFIXES: Final = frozenset({".py", ',
        new='OWN_SUFFIXES: Final = frozenset({".pem", ".py", ',
        caught_by=(_PACKAGING + "test_a_file_of_another_kind_is_refused_by_name",),
        what="a key that lies in mosaic_core is deployed",
    ),
    Defect(
        name="compiled-by-counted-references",
        file="mosaic_ops/packaging/bytecode.py",
        old="marshal.dumps(code, MARSHAL_VERSION)",
        new="marshal.dumps(code)",
        caught_by=(_PACKAGING + "test_compiled_modules_do_not_depend_on_what_else_is_in_memory",),
        what="two builds of the same sources differ",
    ),
    Defect(
        name="compiled-with-the-building-machine-s-paths",
        file="mosaic_ops/packaging/bytecode.py",
        old='source.relative_to(folder).as_posix(), "exec"',
        new='str(source), "exec"',
        caught_by=(
            _PACKAGING + "test_no_file_names_the_building_machine",
            _PACKAGING + "test_two_builds_are_one_package",
        ),
        what="the package names folders of who built it",
    ),
    Defect(
        name="modes-of-the-building-machine",
        file="mosaic_ops/packaging/archive.py",
        old="        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)\n",
        new="",
        caught_by=(_PACKAGING + "test_two_builds_are_one_package",),
        what="a package that somebody with another umask built cannot be read",
    ),
    Defect(
        name="the-lock-is-not-asked",
        file="mosaic_ops/packaging/wheels.py",
        old='["download", "--require-hashes", "--dest", str(store), "-r", str(requirements)], [], str(folder)',
        new='["download", "--dest", str(store)], [line.split()[0] for line in lines], str(folder)',
        caught_by=(_PACKAGING + "test_another_file_than_the_locked_one_is_refused",),
        what="an index can put another file under a pinned version; the second look is still there, and says less",
    ),
    Defect(
        name="wheels-of-the-building-machine",
        file="mosaic_ops/packaging/wheels.py",
        old="GLIBC: Final = (2, 28)",
        new="GLIBC: Final = (2, 39)",
        caught_by=(
            _PACKAGING + "test_the_lock_takes_the_wheel_that_runs_there",
            _PACKAGING + "test_no_wheel_for_the_target_is_said",
        ),
        what="a wheel for a newer C library is deployed and does not load",
    ),
    Defect(
        name="entry-points-are-thinned-out",
        file="mosaic_ops/packaging/wheels.py",
        old='            if path.suffix == ".pyc":\n',
        new='            if path.suffix in (".pyc", ".txt"):\n',
        caught_by=(_PACKAGING + "test_what_ships_is_this_list",),
        what="OpenTelemetry finds no context and raises: no function is found",
    ),
    Defect(
        name="the-digest-leaves-dependencies-out",
        file="mosaic_ops/packaging/archive.py",
        old="        if path != _UNDIGESTED:\n",
        new='        if path != _UNDIGESTED and not path.startswith("mosaic_core/"):\n',
        caught_by=(_PACKAGING + "test_another_source_is_another_digest",),
        what="two packages that differ have one digest",
    ),
    Defect(
        name="the-digest-is-believed",
        file="mosaic_core/config/build.py",
        old='packaged.get("digest", "") if packaged.get("code") == code else ""',
        new='packaged.get("digest", "")',
        caught_by=("tests/unit/test_config.py::test_the_package_s_digest_stands_only_where_its_code_does",),
        what="an app that was changed after it was packaged says that it was not",
    ),
    Defect(
        name="a-stale-package-is-published",
        file="mosaic_ops/packaging/command.py",
        old='            manifest["inputs"] == inputs(root, files)\n            and ',
        new="            ",
        caught_by=(_PACKAGING + "test_a_package_is_current_until_anything_is_another",),
        what="azd deploys what was built before the change",
    ),
    # ------------------------------------------------------------------------------------------------- publish and smoke
    Defect(
        name="refused-once-refused-for-good",
        file="mosaic_ops/publishing.py",
        old="return _PASSING.search(self.complaint) is not None and not self.is_signed_out",
        new="return False",
        caught_by=(_PUBLISHING + "test_what_passes_is_tried_again",),
        what="the first deployment into a new app fails",
    ),
    Defect(
        name="another-zip-is-published",
        file="mosaic_ops/publishing.py",
        old='if sha256(zip_file) != manifest["zip"]["sha256"]:',
        new="if not zip_file.exists():",
        caught_by=(_PUBLISHING + "test_a_package_that_is_not_whole_is_not_published",),
        what="what is deployed is not what the manifest names",
    ),
    Defect(
        name="missing-functions-are-fine",
        file="mosaic_ops/smoke/parts.py",
        old='        wrong = [f"missing {name}" for name in sorted(wanted - there)]\n        wrong += [f"unexp',
        new='        wrong = [f"unexp',
        caught_by=_NAMED,
        what="an app without a lane passes",
    ),
    Defect(
        name="whatever-ends-is-fine",
        file="mosaic_ops/smoke/parts.py",
        old='        if run.get("status") != "Completed":\n',
        new='        if run.get("status") == "Cancelled":\n',
        caught_by=_NAMED,
        what="a lane that rejects every command passes",
    ),
    Defect(
        name="a-lane-that-does-not-end-is-fine",
        file="mosaic_ops/smoke/parts.py",
        old='lambda seen: bool(seen.get("isFinal")))',
        new='lambda seen: bool(seen.get("isFinal")))\n        run = {**run, "isFinal": True, "status": "Completed"}',
        caught_by=_NAMED,
        what="a lane that never finishes passes",
    ),
    Defect(
        name="no-signal-is-fine",
        file="mosaic_ops/smoke/parts.py",
        old='        if stored is None:\n            raise NotSoError(f"no signal',
        new='        if stored is None:\n            return "fine"\n        if stored is None:\n            raise NotSoError(f"no signal',
        caught_by=_NAMED,
        what="nobody is asked about a rejected message, and the smoke test passes",
    ),
    Defect(
        name="any-package-is-fine",
        file="mosaic_ops/smoke/parts.py",
        old="if self.expected.digest and digest != self.expected.digest:",
        new="if self.expected.digest and not digest:",
        caught_by=_NAMED,
        what="yesterday's package passes as today's",
    ),
    Defect(
        name="smoke-leaves-its-signal-open",
        file="mosaic_ops/smoke/parts.py",
        old="resolved = await stores.signals.update(done, stored.etag) is not None",
        new="resolved = done is not None",
        caught_by=(_SMOKE + "test_its_own_bad_message_leaves_no_alert_behind",),
        what="each deployment ends in an alert",
    ),
)
