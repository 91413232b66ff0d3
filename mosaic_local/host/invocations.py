"""Invocations: counted, timed, logged, bounded by functionTimeout."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from mosaic_local.host.functions import Function
from mosaic_local.host.messages import InvocationResponse, RpcTraceContext, TypedData
from mosaic_local.host.worker import Worker

_results = logging.getLogger("Host.Results")


@dataclass(slots=True)
class Counts:
    """What a function has done since the host's start."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def in_flight(self) -> int:
        return self.started - self.succeeded - self.failed


def new_id() -> str:
    """A name, not a secret: from the OS it would cost a system call and a turn of the interpreter lock."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class Invoker:
    """Runs functions on the worker. ``on_timeout`` is called once with the function and invocation that outlived the
    limit."""

    def __init__(
        self,
        worker: Worker,
        timeout_seconds: float | None,
        log_results: bool,
        on_timeout: Callable[[str, str], None],
    ) -> None:
        self._worker, self._timeout, self._log_results, self._on_timeout = (
            worker,
            timeout_seconds,
            log_results,
            on_timeout,
        )
        self.counts: dict[str, Counts] = {}

    @property
    def in_flight(self) -> int:
        return sum(counts.in_flight for counts in self.counts.values())

    async def run(
        self,
        function: Function,
        data: TypedData,
        trigger_metadata: dict[str, TypedData] | None = None,
        trace: RpcTraceContext | None = None,
        invocation_id: str = "",
    ) -> InvocationResponse:
        """Runs one function to its end; its failure is in the response. ``invocation_id``: of `new_id`, where somebody
        has to know it before."""
        counts = self.counts.setdefault(function.name, Counts())
        counts.started += 1
        invocation_id = invocation_id or new_id()
        began = time.perf_counter()
        limit = None
        if self._timeout is not None:
            loop = asyncio.get_running_loop()
            limit = loop.call_later(self._timeout, self._on_timeout, function.name, invocation_id)
        succeeded = False
        try:
            response = await self._worker.invoke(
                invocation_id, function.function_id, function.trigger.parameter, data, trigger_metadata, trace
            )
            succeeded = response.succeeded
        finally:
            if limit is not None:
                limit.cancel()
            if succeeded:
                counts.succeeded += 1
            else:
                counts.failed += 1
        fields = {
            "functionName": function.name,
            "invocationId": invocation_id,
            "durationMs": round((time.perf_counter() - began) * 1000, 1),
        }
        if not succeeded:
            failure = response.result.exception
            _results.error(
                "Executed 'Functions.%s' (Failed, Id=%s): %s",
                function.name,
                invocation_id,
                failure.message,
                extra={**fields, "stackTrace": failure.stack_trace},
            )
        elif self._log_results:
            _results.info("Executed 'Functions.%s' (Succeeded, Id=%s)", function.name, invocation_id, extra=fields)
        return response
