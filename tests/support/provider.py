"""A model provider on this machine: speaks the Chat Completions protocol over HTTP and says what a script tells it.

It is as strict as the real one where it matters: every tool call must be answered by exactly one tool message right
after it, tools must be well-formed, and keys are checked. What it cannot show is how a live model behaves.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

KEY = "key-of-the-test-provider"
type Body = dict[str, Any]
type Script = Sequence["Reply | Callable[[Request], Reply]"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body

    @property
    def messages(self) -> list[Body]:
        return list(self.body["messages"])

    @property
    def tools(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    def results(self) -> list[Any]:
        """The tool messages since the last message of the model, as JSON where they are."""
        found: list[Any] = []
        for message in reversed(self.messages):
            if message["role"] != "tool":
                break
            try:
                found.insert(0, json.loads(message["content"]))
            except ValueError:
                found.insert(0, message["content"])
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: a body (text or JSON), or silence until the client gives up. To a request for a stream, a
    completion is sent in pieces; ``pieces`` of them at most, after which the connection ``breaks`` or just ends."""

    body: Body | str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    silent: bool = False
    pieces: int | None = None
    breaks: bool = False


_ids = itertools.count(1)


def completion(message: Body, finish: str = "stop", *, tokens: tuple[int, int] | None = (100, 20)) -> Reply:
    number = next(_ids)
    body: Body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "scripted",
        "choices": [
            {"index": 0, "finish_reason": finish, "logprobs": None, "message": {"role": "assistant", **message}}
        ],
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Reply(body)


def says(text: str, **more: Any) -> Reply:
    return completion({"content": text}, **more)


def calls(*wanted: tuple[str, Any], text: str | None = None, **more: Any) -> Reply:
    """Calls of (name, arguments); arguments that are a text are sent as they are."""
    made = [
        {
            "id": f"call_{next(_ids)}",
            "type": "function",
            "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
        }
        for name, args in wanted
    ]
    return completion({"content": text, "tool_calls": made}, "tool_calls", **more)


def refuses(text: str = "I cannot help with that.") -> Reply:
    return completion({"content": None, "refusal": text})


def fails(status: int, code: str = "server_error", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": "a message that nobody logs", "code": code}}, status, named)


def filters() -> Reply:
    """As Azure refuses a prompt."""
    return Reply(
        {
            "error": {
                "message": "The response was filtered",
                "code": "content_filter",
                "param": "prompt",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"jailbreak": {"filtered": True, "detected": True}},
                },
            }
        },
        400,
    )


def silence() -> Reply:
    return Reply(silent=True)


class Provider:
    """``async with Provider(script) as provider``. Replies come in order; one more request than replies is HTTP 500
    with code ``script_over``. A callable gets the request and gives the reply."""

    def __init__(self, *script: Reply | Callable[[Request], Reply], forever: bool = False) -> None:
        self._script = list(script)
        self._forever = forever
        self._released = asyncio.Event()
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.url = ""

    def replace(self, *script: Reply | Callable[[Request], Reply]) -> None:
        """What comes next, in place of what was left of the script."""
        self._script = list(script)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/openai/deployments/{deployment}/chat/completions", self._azure)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _answer(fails(401, "invalid_api_key"))
        return await self._reply(request)

    async def _azure(self, request: web.Request) -> web.StreamResponse:
        keyed = request.headers.get("api-key") == KEY
        if not keyed and request.headers.get("Authorization") != f"Bearer {KEY}":
            return _answer(fails(401, "PermissionDenied"))
        if "api-version" not in request.query:
            return _answer(fails(404, "Resource not found"))
        return await self._reply(request)

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        asked = Request(request.path, dict(request.query), dict(request.headers), await request.json())
        self.requests.append(asked)
        if fault := _fault(asked.body):
            self.faults.append(fault)
            return _answer(fails(400, "invalid_request_error"))
        if not self._script:
            return _answer(fails(500, "script_over"))
        step = self._script[0] if self._forever and len(self._script) == 1 else self._script.pop(0)
        reply = step if isinstance(step, Reply) else step(asked)
        if reply.silent:
            await self._released.wait()
        if asked.body.get("stream") and isinstance(reply.body, dict) and "choices" in reply.body:
            return await _stream(request, reply)
        return _answer(reply)


def _answer(reply: Reply) -> web.Response:
    text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    return web.Response(text=text, status=reply.status, headers=reply.headers, content_type=reply.content_type)


async def _stream(request: web.Request, reply: Reply) -> web.StreamResponse:
    """The completion as server-sent events: a few characters at a time, calls by name first, usage last."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number, chunk in enumerate(_chunks(reply.body)):
        if number == reply.pieces:
            if reply.breaks and request.transport is not None:
                request.transport.close()
            return response
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


def _chunks(body: Any) -> Iterator[Body]:
    [choice] = body["choices"]
    message = choice["message"]

    def chunk(delta: Body, finish: str | None = None) -> Body:
        head = {"id": body["id"], "object": "chat.completion.chunk", "created": body["created"], "model": body["model"]}
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for name in ("content", "refusal"):
        text = message.get(name) or ""
        for start in range(0, len(text), 7):
            yield chunk({name: text[start : start + 7]})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        yield chunk({"tool_calls": [{**call, "index": index, "function": {"name": function["name"], "arguments": ""}}]})
        for start in range(0, len(function["arguments"]), 7):
            part = {"arguments": function["arguments"][start : start + 7]}
            yield chunk({"tool_calls": [{"index": index, "function": part}]})
    yield chunk({}, choice["finish_reason"])
    if "usage" in body:
        yield {**chunk({}), "choices": [], "usage": body["usage"]}


def _fault(body: Body) -> str:
    """What the real provider would refuse; "" where nothing."""
    for tool in body.get("tools", []):
        function = tool.get("function", {})
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function.get("name", "")):
            return f"tool name {function.get('name')!r}"
        if function.get("parameters", {}).get("type") != "object":
            return f"parameters of {function.get('name')}"
    waiting: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return "a tool message without its call"
            if not isinstance(message.get("content"), str):
                return "a tool message without text"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            return "a call without its tool message"
        if message["role"] == "assistant" and not message.get("content") and not message.get("tool_calls"):
            return "an empty message"
        if not re.fullmatch(r"[^\s<|\\/>]+", message.get("name", "x")):
            return "an author's name"
        waiting = {call["id"] for call in message.get("tool_calls") or []}
    return "a call without its tool message" if waiting else ""
