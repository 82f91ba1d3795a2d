"""A client that leaves the processors to the server: a socket, and the parser in C that servers use. For loads on this machine."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httptools


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


class BareClient:
    """Asks one server, over as many kept-alive connections as there are requests at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "127.0.0.1", parts.port or 80
        self._host = parts.netloc
        self._idle: list[Connection] = []

    async def post(self, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
        """Send JSON.

        Raises:
            OSError: there is no answer.
        """
        content = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._host}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(content)}", "", ""]
        connection = await self._connection()
        reply = await connection.ask("\r\n".join(lines).encode() + content)
        self._idle.append(connection)
        return reply

    async def _connection(self) -> "Connection":
        while self._idle:
            if not (connection := self._idle.pop()).closed:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._address)
        return connection

    def close(self) -> None:
        """Hang up everywhere."""
        while self._idle:
            self._idle.pop().close()


class Connection(asyncio.Protocol):
    """A kept-alive connection, on which one request at a time waits for its answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = cast(asyncio.WriteTransport, transport)

    async def ask(self, request: bytes) -> Reply:
        """The answer; raises `ConnectionError` when there is none."""
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered
        return Reply(self._parser.get_status_code(), self._headers, bytes(self._body))

    @property
    def closed(self) -> bool:
        """Whether somebody has hung up: the server does, on whoever asks nothing for some seconds."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio."""
        if hasattr(self, "_answered") and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the parser."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Of the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Of the parser."""
        if not self._answered.done():
            self._answered.set_result(None)
