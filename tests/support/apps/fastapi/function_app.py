"""HTTP streaming by Microsoft's FastAPI extension; used by the host's contract tests."""

from collections.abc import AsyncIterator

import azure.functions as func
from azurefunctions.extensions.http.fastapi import (  # type: ignore[import-untyped]
    JSONResponse,
    Request,
    StreamingResponse,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="parts/{count:int}", methods=["GET"])
async def parts(req: Request) -> StreamingResponse:
    async def made() -> AsyncIterator[bytes]:
        for number in range(int(req.path_params["count"])):
            yield f"data: {number}\n\n".encode()

    return StreamingResponse(made(), media_type="text/event-stream")


@app.route(route="upload", methods=["POST"])
async def upload(req: Request) -> JSONResponse:
    size = 0
    async for part in req.stream():
        size += len(part)
    return JSONResponse({"size": size, "query": dict(req.query_params)})
