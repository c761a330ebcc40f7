"""A webhook on localhost that keeps what it is sent, refuses on demand, and can be taken away and brought back."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hunter2-t0ken"  # noqa: S105 -- what must be found nowhere


class Receiver:
    """`received` holds (time, path, payload) of each message taken. While `status` is not 200 none is.

    `location` is where a redirect leads to. With `drip_s` it answers a byte each so many seconds, without an end.
    """

    def __init__(self) -> None:
        self.received: list[tuple[float, str, dict[str, Any]]] = []
        self.refused = 0
        self.status = 200
        self.location: str | None = None
        self.drip_s = 0.0
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """As Apprise knows it, with a secret in its path and one as its password."""
        return f"json://ops:{SECRET}@127.0.0.1:{self.port}/{SECRET}"

    def up(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name that http.server calls
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.received.append((time.time(), self.path, json.loads(content)))
                else:
                    receiver.refused += 1
                if receiver.drip_s:
                    self._drip()
                    return
                self.send_response(receiver.status)
                if receiver.location is not None:
                    self.send_header("Location", receiver.location)
                self.end_headers()

            def _drip(self) -> None:
                for byte in b"HTTP/1.0 200 OK\r\nX-Slow: " + b"x" * 10_000:
                    try:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    except OSError:  # The sender has given up.
                        return
                    time.sleep(receiver.drip_s)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def titles(self) -> list[str]:
        return [payload["title"] for _, _, payload in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.up()
    try:
        yield receiver
    finally:
        receiver.down()
