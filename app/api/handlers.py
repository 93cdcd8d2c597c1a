"""Errors under the framework's routes: its own, and ours that nobody has caught."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.api.errors import PROBLEMS, Problem, internal_error, refuse, render
from app.errors import RequestError, WrongFieldError

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def _allowed(request: Request) -> str:
    """List the methods of a resource: there is a route for each of them."""
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    )


def install(app: FastAPI) -> None:
    """Answer every error of the app with problem details."""

    async def on_request_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return refuse(error, request.scope["path"])

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        problem = Problem(status, status.phrase.lower().replace(" ", "-"), status.phrase)
        detail = f"{request.method} {request.url.path[:200]}: {status.description or status.phrase}"
        content, media_type = render(problem, detail, path=request.scope["path"])
        headers = error.headers if status != 405 else {"Allow": _allowed(request)}
        return Response(content, status, headers, media_type)

    async def on_wrong_parameter(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = str(first["loc"][-1])
        problem = PROBLEMS[WrongFieldError]
        detail = f"{field}: {first['msg']}"
        content, media_type = render(problem, detail, {"field": field}, path=request.scope["path"])
        return Response(content, problem.status, media_type=media_type)

    async def on_fault(request: Request, error: Exception) -> Response:
        status, content, media_type = internal_error(request.scope["path"])
        return Response(content, status, media_type=media_type)

    app.add_exception_handler(Exception, on_fault)
    app.add_exception_handler(RequestError, on_request_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_wrong_parameter)
