from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])

class Request:
    @property
    def match_info(self) -> Mapping[str, str]: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    async def json(self) -> Any: ...

class StreamResponse:
    @property
    def headers(self) -> dict[str, str]: ...

class Response(StreamResponse):
    def __init__(
        self,
        *,
        text: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None: ...

class FileResponse(StreamResponse):
    def __init__(
        self, path: str | PathLike[str], *, headers: Mapping[str, str] | None = None
    ) -> None: ...

class RouteTableDef:
    def get(self, path: str) -> Callable[[Handler], Handler]: ...
    def post(self, path: str) -> Callable[[Handler], Handler]: ...
    def delete(self, path: str) -> Callable[[Handler], Handler]: ...

def json_response(
    data: Any = ..., *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response: ...
