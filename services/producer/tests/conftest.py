"""A web server for manifests, which does what a test tells it to."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Web:
    """Path -> body, or a function that answers; bodies have an ETag. `statuses` are those of all answers with a body or 304."""

    base: str = ""
    pages: dict[str, bytes | Answer] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        page = self.pages.get(request.path)
        if page is None:
            request.send_error(404)
        elif callable(page):
            page(request)
        else:
            self.send(request, page)

    def send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer as a good server does."""
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        known = request.headers["If-None-Match"] == etag
        self.statuses.append(304 if known else 200)
        request.send_response(self.statuses[-1])
        request.send_header("ETag", etag)
        if not known:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(b"" if known else body)


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server of this test's own on the loopback interface."""
    pages = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.answer(self)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        pages.base = f"http://127.0.0.1:{server.server_port}"
        yield pages
        server.shutdown()
        thread.join()
