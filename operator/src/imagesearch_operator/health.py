"""Whether the operator lives and is ready: heartbeats of its parts, and the server that probes ask.

The server has a thread of its own, so that it can tell when the event loop stands still.
"""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Health:
    """Who has to be heard of how often, and when each was heard last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody is expected yet, and nothing is ready."""
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Expect nobody, and be not ready."""
        self._limits: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self.is_ready = False

    def expect(self, part: str, *, within_seconds: float) -> None:
        """Expect to hear of a part this often, from now on."""
        self._limits[part] = within_seconds
        self.beat(part)

    def beat(self, part: str) -> None:
        """The part is at work."""
        self._heard[part] = self._clock()

    def stale(self) -> list[str]:
        """What was not heard of for too long, in words."""
        ages = {part: self._clock() - self._heard[part] for part in list(self._limits)}
        return [
            f"{part}: not heard of for {age:.0f} s (limit {self._limits[part]:.0f} s)"
            for part, age in ages.items()
            if age > self._limits[part]
        ]


def serve(health: Health, port: int) -> ThreadingHTTPServer:
    """Answer probes on `port` (0: any free one) from a thread, until `shutdown()`."""

    class Probes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/healthz":
                    stale = health.stale()
                    self._answer(503 if stale else 200, "\n".join(stale) or "ok")
                case "/readyz":
                    self._answer(*((200, "ok") if health.is_ready else (503, "the cluster has not been listed yet")))
                case _:
                    self._answer(404, "there are /healthz and /readyz")

        def _answer(self, status: int, text: str) -> None:
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds; nobody reads of them."""

    server = ThreadingHTTPServer(("", port), Probes)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
