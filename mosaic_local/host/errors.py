"""The host's errors.

HostError
├─ HostConfigurationError   host.json, a setting or a binding that is not imitated or cannot be resolved
└─ AppLoadError             function_app.py could not be indexed
"""


class HostError(Exception):
    """The host cannot start or go on; the message is one line for a person and names the remedy where there is one."""


class HostConfigurationError(HostError):
    """A setting, host.json key or binding is missing, contradictory or not imitated by the embedded host."""


class AppLoadError(HostError):
    """The function app could not be indexed. ``details`` is the worker's stack trace."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
