"""What a proxy serves in production, for the demo: the reports and the runbook as pages on localhost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@contextmanager
def served(folders: dict[str, Path]) -> Iterator[str]:
    """Serve the files of each folder under its name, on a free port of localhost; yields the address."""

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".md": "text/plain; charset=utf-8"}

        def translate_path(self, path: str) -> str:
            _, _, rest = path.partition("/")
            name, _, below = rest.partition("/")
            self.directory = str(folders.get(name, Path("/nonexistent")))
            return super().translate_path(f"/{below}")

        def list_directory(self, path: Any) -> None:
            self.send_error(HTTPStatus.NOT_FOUND)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the demo prints what is new."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
