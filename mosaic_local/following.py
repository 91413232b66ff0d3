"""What a log says from now on, on another stream: a part's log in the terminal of ``./mosaic up``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO, Self, TextIO

_POLL_SECONDS = 0.2


class Following:
    """A context manager. ``begin``: the byte to go on from. A log that was begun anew is followed from its start."""

    def __init__(self, log: Path, begin: int, to: TextIO) -> None:
        self._log, self._at, self._to = log, begin, to
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"following-{log.stem}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """What is there by now is still told."""
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self.turn()
        self.turn()

    def turn(self) -> None:
        """Tells the whole lines that were added."""
        try:
            with self._log.open("rb") as file:
                self._tell(file)
        except OSError:  # between two files, or the stack's folder is gone
            return

    def _tell(self, file: BinaryIO) -> None:
        if file.seek(0, 2) < self._at:
            self._at = 0
        file.seek(self._at)
        added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        if whole:
            self._at += len(whole)
            self._to.write(whole.decode("utf-8", "replace"))
            self._to.flush()


def size(file: Path) -> int:
    """In bytes; 0 where there is no such file."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
