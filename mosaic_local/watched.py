"""``python -m mosaic_local.watched MODULE [arguments]``: runs a module that ends when its stdin does.

Whoever starts it holds the other end of the pipe; when that process is gone, however it went, this one follows.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

_GRACE_SECONDS = 5.0


def _follow() -> None:
    # Not through sys.stdin: the module may use that, and a reader blocked on it would hold its lock at exit.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(3)


def main() -> None:
    threading.Thread(target=_follow, name="supervisor-watch", daemon=True).start()
    module = sys.argv[1]
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
