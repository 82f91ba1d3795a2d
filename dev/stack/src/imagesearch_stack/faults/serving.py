"""HTTP on a thread of its own, down to the socket, which a web framework hides and a fault needs. `proxy` and `world` build on it."""

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from threading import Thread
from typing import Any, Self, TypeVar

from aiohttp import web

T = TypeVar("T")


class Server(ABC):
    """An HTTP server on a free port of the loopback interface, for as long as the block runs; it can be made unreachable."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        """Connections that were asked for, those that were refused included."""
        self._down = False
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)

    @abstractmethod
    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self.open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def go_down(self) -> None:
        """Reset every connection, and from now on every new one at once, which is how they can still be counted."""

        async def reset_all() -> None:
            self._down = True
            for connection in self._http.connections:
                reset(connection.transport)

        self._call(reset_all())

    def come_back(self) -> None:
        """Take connections again."""
        self._down = False

    async def open(self) -> None:
        """Begin to listen."""
        self._http = web.Server(self.handle)
        self._listener = await self._loop.create_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop, with whatever is under way."""
        self._listener.close()
        for connection in self._http.connections:
            reset(connection.transport)
        await self._http.shutdown(0)

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        return _Refusal() if self._down else self._http()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        reset(transport)


def reset(transport: asyncio.BaseTransport | None) -> None:
    """End a connection as a machine does that dies: with a reset, and whatever was still to be sent is lost."""
    if isinstance(transport, asyncio.Transport):
        # Not to linger is what makes the kernel send a reset.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
