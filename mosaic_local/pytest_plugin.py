"""A pytest plugin: the embedded broker and the whole stack as fixtures. Installed with the package; in a checkout,
``pytest_plugins = ["mosaic_local.pytest_plugin"]``.

Under pytest-xdist each process has its own of everything, on ports that the operating system chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mosaic_local.broker.config import EventHubConfig, QueueConfig
    from mosaic_local.embedded import EmbeddedStack
    from mosaic_local.namespaces import Namespace, Namespaces

type OpenNamespace = Callable[..., Namespace]
type RunApp = Callable[..., EmbeddedStack]


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Namespaces]:
    """The process that namespaces live in; one a session."""
    from mosaic_local.namespaces import Namespaces

    with Namespaces() as broker:
        yield broker


@pytest.fixture
def open_namespace(embedded_broker: Namespaces) -> Iterator[OpenNamespace]:
    """``open_namespace(queues=["orders"], event_hubs=["readings"])``: a `Namespace`, closed after the test."""
    with ExitStack() as stack:

        def opened(
            queues: Iterable[str | QueueConfig] = (),
            event_hubs: Iterable[str | EventHubConfig] = (),
            sas_key: str | None = None,
        ) -> Namespace:
            return stack.enter_context(embedded_broker.open(queues, event_hubs, sas_key))

        yield opened


@pytest.fixture(scope="module")
def run_app() -> Iterator[RunApp]:
    """``run_app(folder, queues=["orders"], settings={…}, storage=False, testing=True)``: the function app in ``folder``
    on a stack of its own (an `EmbeddedStack`), stopped after the module's tests. ``testing``: its ``control``, a
    `mosaic_local.testing.StackControl`, moves time and makes faults."""
    from mosaic_local.anyapp import AnyApp
    from mosaic_local.embedded import EmbeddedStack, Options

    with ExitStack() as stack:

        def run(
            folder: Path,
            queues: Iterable[str | QueueConfig] = (),
            event_hubs: Iterable[EventHubConfig] = (),
            settings: dict[str, str] | None = None,
            storage: bool = True,
            **options: Any,
        ) -> EmbeddedStack:
            app = AnyApp.read(folder, queues, event_hubs)
            told = Options(
                app=folder,
                app_settings=settings or {},
                with_storage=storage,
                cors=app.cors,
                cors_credentials=app.cors_credentials,
                **options,
            )
            return stack.enter_context(EmbeddedStack(told, app))

        yield run
