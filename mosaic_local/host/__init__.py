"""The embedded Functions host: runs a function app's triggers through the real Python worker library.

One process, two event loops: the worker's, on the main thread as in the platform's worker, runs the app; the host's,
on a thread of its own, owns sockets, locks and timers, so that an app that blocks cannot stop lock renewal or
settlement. What it does not imitate of the platform it refuses by name at start (:class:`HostConfigurationError`).
"""
