"""Namespaces of the embedded broker for tests: Service Bus queues and event hubs that nobody else sees.

::

    with Namespaces() as broker, broker.open(queues=["orders"]) as namespace:
        ServiceBusClient.from_connection_string(namespace.connection_string)
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mosaic_local import tls
from mosaic_local.broker.config import EventHubConfig, QueueConfig
from mosaic_local.errors import DeclarationError, PartError
from mosaic_local.process import Part, json_answers
from mosaic_local.state import ROOT
from mosaic_local.testing import BrokerControl

_ANSWER_SECONDS = 30.0
_KEY_NAME = "RootManageSharedAccessKey"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of its own. ``ca_file`` (PEM) is for the administration client, which speaks https only. A context
    manager that closes it."""

    connection_string: str
    administration_connection_string: str
    ca_file: Path
    _owner: Namespaces = field(repr=False)
    _number: int = field(repr=False)

    @property
    def control(self) -> BrokerControl:
        """Its time and its faults."""
        return BrokerControl(self.administration_connection_string, self.ca_file)

    def close(self) -> None:
        """Ends its connections; what it holds is gone. Safe to repeat."""
        self._owner._close(self._number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Namespaces:
    """The process that they live in. A context manager; methods are thread-safe."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mosaic-namespaces-"))
        self._ca_file, self._certificate, self._key = tls.ensure(self._folder / "tls")
        self._numbers = itertools.count(1)
        self._open: set[int] = set()
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._changed = threading.Condition()
        log = self._folder / "broker.log"
        command = [sys.executable, "-m", "mosaic_local.broker.namespaces"]  # reads stdin itself, and ends with it
        self._part = Part("broker", command, log, self._understand, None, ROOT, self._ended)

    def open(
        self,
        queues: Iterable[str | QueueConfig] = (),
        event_hubs: Iterable[str | EventHubConfig] = (),
        sas_key: str | None = None,
    ) -> Namespace:
        """A new one with these entities; more can be made by its administration. Without ``sas_key`` every token is
        taken. Raises DeclarationError for what cannot be declared, PartError where the process is gone."""
        number = next(self._numbers)
        config: dict[str, Any] = {
            "certFile": str(self._certificate),
            "keyFile": str(self._key),
            "testing": True,
            "queues": [each.model_dump() if isinstance(each, QueueConfig) else {"name": each} for each in queues],
            "eventHubs": [
                each.model_dump() if isinstance(each, EventHubConfig) else {"name": each} for each in event_hubs
            ],
        }
        if sas_key is not None:
            config |= {"sasKeyName": _KEY_NAME, "sasKey": sas_key}
        answer = self._ask(number, {"open": number, "config": config})
        if "error" in answer:
            raise DeclarationError(f"no namespace: {answer['error']}")
        self._open.add(number)

        def connection(port: int) -> str:
            sas = f"SharedAccessKeyName={_KEY_NAME};SharedAccessKey={sas_key or 'unchecked'}"
            return f"Endpoint=sb://localhost:{port};{sas};UseDevelopmentEmulator=true;"

        return Namespace(connection(answer["amqpPort"]), connection(answer["adminPort"]), self._ca_file, self, number)

    def stop(self) -> None:
        """Ends all of them. Safe to repeat."""
        self._part.stop(5.0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _close(self, number: int) -> None:
        if number in self._open:
            self._open.discard(number)
            self._ask(number, {"close": number})

    def _ask(self, number: int, line: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._changed:
            self._part.send(json.dumps(line))
            told = self._changed.wait_for(
                lambda: number in self._answers or not self._part.running, timeout=_ANSWER_SECONDS
            )
            answer = self._answers.pop(number, None)
        if answer is None:
            what = "did not answer" if told and self._part.running else "is gone"
            raise PartError("broker", f"{what}{self._part.last_words()}", self._part.log)
        return answer

    def _understand(self, line: str) -> None:
        answer = json_answers(line)
        if answer is not None and "id" in answer:
            with self._changed:
                self._answers[int(answer["id"])] = answer
                self._changed.notify_all()

    def _ended(self, part: Part, code: int) -> None:
        with self._changed:
            self._changed.notify_all()
