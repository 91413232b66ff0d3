"""The language-worker messages that the worker library reads and builds, as plain classes.

The library takes its message classes by injection (``request.properties["protos"]``) and touches them by attribute
only, so plain classes serve: they refuse an unknown field loudly, need no compile step, and follow no protobuf
version. Names and fields are those of the platform's ``FunctionRpc.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

_DATA_KINDS = frozenset(
    {
        "string",
        "json",
        "bytes",
        "stream",
        "http",
        "int",
        "double",
        "collection_bytes",
        "collection_string",
        "collection_double",
        "collection_sint64",
        "model_binding_data",
        "collection_model_binding_data",
    }
)


class TypedData:
    """A value with its kind: at most one of the kinds above, as in the protocol's oneof."""

    __slots__ = ("_kind", "_value")

    def __init__(self, **data: Any) -> None:
        if len(data) > 1 or not data.keys() <= _DATA_KINDS:
            raise TypeError(f"TypedData takes one of {sorted(_DATA_KINDS)}, not {sorted(data)}")
        self._kind: str | None = next(iter(data), None)
        self._value: Any = next(iter(data.values()), None)

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name
        return self._kind

    def __getattr__(self, name: str) -> Any:
        if name == self._kind:
            return self._value
        if name in _DATA_KINDS:
            return None
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"TypedData({self._kind})"


@dataclass(slots=True)
class NullableString:
    value: str


@dataclass(slots=True)
class NullableBool:
    value: bool


@dataclass(slots=True)
class NullableDouble:
    value: float


@dataclass(slots=True)
class NullableTimestamp:
    value: Timestamp


@dataclass(slots=True)
class Timestamp:
    """Seconds since the epoch."""

    seconds: int


_SameSite = IntEnum("_SameSite", {"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


@dataclass(slots=True)
class RpcHttpCookie:
    SameSite = _SameSite

    name: str
    value: str
    domain: NullableString | None = None
    path: NullableString | None = None
    expires: NullableTimestamp | None = None
    secure: NullableBool | None = None
    http_only: NullableBool | None = None
    same_site: IntEnum = field(default_factory=lambda: _SameSite(0))
    max_age: NullableDouble | None = None


@dataclass(slots=True)
class RpcHttp:
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: TypedData = field(default_factory=TypedData)
    status_code: str = ""
    cookies: list[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False


@dataclass(slots=True)
class ParameterBinding:
    name: str
    data: TypedData

    def WhichOneof(self, group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


@dataclass(slots=True)
class RpcTraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class RpcException:
    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclass(slots=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException = field(default_factory=RpcException)


class _Status(Enum):
    Failure = 0
    Success = 1
    Cancelled = 2


@dataclass(slots=True)
class StatusResult:
    Failure = _Status.Failure
    Success = _Status.Success
    Cancelled = _Status.Cancelled

    status: _Status = _Status.Failure
    exception: RpcException = field(default_factory=RpcException)


class BindingInfo:
    """``direction`` is 0 in, 1 out, 2 inout, as azure.functions numbers it."""

    in_, out, inout, undefined = 0, 1, 2, 0

    def __init__(self, type: str = "", data_type: Any = None, direction: int = 0) -> None:
        self.type, self.data_type, self.direction = type, data_type, direction


@dataclass(slots=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(slots=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    directory: str = ""
    script_file: str = ""
    entry_point: str = ""
    language: str = ""
    managed_dependency_enabled: bool = False
    is_proxy: bool = False
    bindings: dict[str, BindingInfo] = field(default_factory=dict)
    raw_bindings: list[str] = field(default_factory=list)
    retry_options: RpcRetryOptions | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WorkerInitRequest:
    host_version: str
    function_app_directory: str
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WorkerMetadata:
    runtime_name: str = ""
    runtime_version: str = ""
    worker_version: str = ""
    worker_bitness: str = ""
    custom_properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WorkerInitResponse:
    result: StatusResult
    capabilities: dict[str, str] = field(default_factory=dict)
    worker_metadata: WorkerMetadata = field(default_factory=WorkerMetadata)


@dataclass(slots=True)
class FunctionMetadataResponse:
    result: StatusResult
    use_default_metadata_indexing: bool = False
    function_metadata_results: list[RpcFunctionMetadata] | None = None


@dataclass(slots=True)
class FunctionLoadRequest:
    function_id: str
    metadata: RpcFunctionMetadata


@dataclass(slots=True)
class FunctionLoadResponse:
    function_id: str
    result: StatusResult


@dataclass(slots=True)
class InvocationRequest:
    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: dict[str, TypedData] = field(default_factory=dict)
    trace_context: RpcTraceContext = field(default_factory=RpcTraceContext)
    retry_context: RetryContext = field(default_factory=RetryContext)


@dataclass(slots=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        return self.result.status is _Status.Success


PROTOS = SimpleNamespace(
    **{
        kind.__name__: kind
        for kind in (
            TypedData,
            NullableString,
            NullableBool,
            NullableDouble,
            NullableTimestamp,
            Timestamp,
            RpcHttpCookie,
            RpcHttp,
            ParameterBinding,
            RpcTraceContext,
            RpcException,
            RetryContext,
            StatusResult,
            BindingInfo,
            RpcRetryOptions,
            RpcFunctionMetadata,
            WorkerInitRequest,
            WorkerMetadata,
            WorkerInitResponse,
            FunctionMetadataResponse,
            FunctionLoadRequest,
            FunctionLoadResponse,
            InvocationRequest,
            InvocationResponse,
        )
    }
)
"""What the worker library gets as its message module."""
