"""Every error of the app is in the one tree that domain/errors draws."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import mosaic_core
from mosaic_core.domain import errors
from mosaic_core.domain.errors import MosaicError

DRAWN = re.findall(r"^[│ ]*[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)


def raised() -> dict[str, type[BaseException]]:
    """Exception classes that the app's modules define."""
    found: dict[str, type[BaseException]] = {}
    for module in pkgutil.walk_packages(mosaic_core.__path__, "mosaic_core."):
        for name, it in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(it, BaseException) and it.__module__.startswith("mosaic_core."):
                found[name] = it
    return found


def test_every_error_is_a_mosaic_error_with_a_code_and_ends_in_error() -> None:
    classes = raised()
    assert len(classes) >= 20
    for name, it in classes.items():
        assert issubclass(it, MosaicError), name
        assert name.endswith("Error"), name
        assert re.fullmatch(r"[a-z_]+", it.code), name


def test_the_tree_draws_each_of_them_once_and_no_other() -> None:
    assert sorted(DRAWN) == sorted(set(raised()) - {"MosaicError"})
