"""Copies of the checkout in which defects are planted, one after another, and tests run."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.planted.defect import Defect

ROOT: Final = Path(__file__).resolve().parents[2]
AT_ONCE: Final = 2
_COPIED: Final = ("mosaic_core", "mosaic_local", "mosaic_ops", "bench", "tests")
_LINKED: Final = (".mosaic", "docs", "evals", "requirements")
_ONE_SECONDS: Final = 60
"""Of one test: one that a defect lets wait for ever fails then."""
_RUN_SECONDS: Final = 110
_PLUGINS: Final = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")
"""The others take two seconds to import, at each of some hundred runs."""
_LATER: Final = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What pytest said. ``failed``: tests ran, and one did not pass (rather than: nothing could be run)."""

    code: int
    output: str

    @property
    def failed(self) -> bool:
        return self.code == 1 and re.search(r"^FAILED ", self.output, re.MULTILINE) is not None

    @property
    def left_out(self) -> str:
        """Why tests were left out of a run in which none failed, where something that they need is not installed."""
        found = re.search(r"^SKIPPED .*is not installed.*$", self.output, re.MULTILINE)
        return found[0] if found and self.code in (0, 5) else ""


class Tree:
    """One copy. What git does not track and tests do not need stays out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        for path in ROOT.iterdir():
            if path.is_file() and not path.name.startswith("."):
                shutil.copy2(path, folder)
        for name in _COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in _LINKED:
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)

    @contextmanager
    def with_defect(self, defect: Defect) -> Iterator[None]:
        path = self._folder / defect.file
        before, times = path.read_text(encoding="utf-8"), path.stat()
        path.write_text(defect.planted(before), encoding="utf-8")
        # a time that no version of the file had, whole seconds apart: compiled files are told apart by it
        later = times.st_mtime + 10 * next(_LATER)
        os.utime(path, (later, later))
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")
            os.utime(path, (times.st_atime, times.st_mtime))

    def test(self, node_ids: Sequence[str], *, seconds: float = _RUN_SECONDS, stop: bool = True) -> Outcome:
        plain = ["-q", "-rfs", "--tb=short", "-p", "no:cacheprovider", *_PLUGINS, f"--timeout={_ONE_SECONDS}"]
        argv = [sys.executable, "-m", "pytest", *plain, *(["-x"] if stop else []), *node_ids]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        environ |= {"PYTHONPATH": str(self._folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        try:
            ran = subprocess.run(
                argv,
                cwd=self._folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            return Outcome(-1, f"not done within {seconds:g} s\n{error.output or ''}")
        return Outcome(ran.returncode, ran.stdout)


class Planting:
    """Plants defects, `AT_ONCE` at a time, each in a copy that no other is in."""

    def __init__(self, folder: Path) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "planting")
        self._free: SimpleQueue[Tree] = SimpleQueue()
        for number in range(AT_ONCE):
            self._free.put(Tree(folder / f"tree-{number}"))

    def plant(self, defect: Defect) -> Future[Outcome]:
        return self._pool.submit(self._planted, defect)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _planted(self, defect: Defect) -> Outcome:
        tree = self._free.get()
        try:
            with tree.with_defect(defect):
                return tree.test(defect.caught_by)
        finally:
            self._free.put(tree)
