"""What can go wrong while the package is built."""

from __future__ import annotations


class PackagingError(Exception):
    """The package could not be built. ``str()`` says what is wrong and what to do."""


class IndexUnreachableError(PackagingError, ConnectionError):
    """The package index did not answer."""
