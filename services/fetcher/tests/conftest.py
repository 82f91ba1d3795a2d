"""Servers on loopback that misbehave exactly as told, and time that passes at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP response; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Naps:
    """A sleep that only writes down for how long, and a clock on which it then is so much later."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def clock(self) -> float:
        return 1_000.0 + sum(self.seconds)


class Server:
    """Answers each request for a path with the next of the path's answers (the last one again and again).

    An answer is bytes, or a coroutine function that writes what it likes. The connection closes after each.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[bytes | Answer]] = {}
        self.requests: list[str] = []
        self.connections = 0
        self.port = 0

    def at(self, path: str, *answers: bytes | Answer) -> str:
        """Set the answers of a path, and return its URL."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.port}{path}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            answers = self.answers[request.split()[1]]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client had enough, which is what most of these tests are about
        finally:
            writer.close()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a free port of 127.0.0.1."""
    it = Server()
    listener = await asyncio.start_server(it.handle, "127.0.0.1", 0)
    it.port = listener.sockets[0].getsockname()[1]
    yield it
    listener.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if getattr(task.get_coro(), "__name__", "") == "handle":
            task.cancel()
            await asyncio.wait([task])
