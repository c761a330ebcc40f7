"""What nginx lets through to each webserver: its file as it is, before a server that notes what arrives."""

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline_v6_dagster_tests.deploy.test_proxy import NGINX, OPENSSL, PASSWORD, configured, nginx
from pipeline_v6_dagster_tests.deployment import free_ports, wait_for

pytestmark = pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="no nginx or openssl on this machine")

QUERY = '{"query": "{ version }"}'


@dataclass
class Webserver:
    """A server in the place of Dagster's: it notes the requests that arrive, and obeys nothing but GET and POST."""

    port: int = 0
    arrived: list[tuple[str, str, bytes]] = field(default_factory=list)

    def start(self) -> ThreadingHTTPServer:
        arrived = self.arrived

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                arrived.append((self.command, self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@dataclass(frozen=True)
class Proxy:
    """nginx, and what is behind it."""

    ops_port: int
    admin_port: int
    certificate: Path
    webserver: Webserver

    def ops(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> int:
        """The status that ops get, with the right password."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        credentials = base64.b64encode(f"ops:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json", **headers}
        return self._ask(HTTPSConnection("127.0.0.1", self.ops_port, context=context), method, path, body, headers)

    def admin(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> int:
        """The status that the end of the tunnel gets."""
        return self._ask(HTTPConnection("127.0.0.1", self.admin_port), method, path, body, headers)

    def _ask(
        self, connection: HTTPConnection, method: str, path: str, body: str | bytes | None, headers: dict[str, str]
    ) -> int:
        self.webserver.arrived.clear()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    webserver = Webserver()
    server = webserver.start()
    ops_port, admin_port = free_ports(2)
    conf = configured(folder, ops_port, webserver.port, admin_port, webserver.port, folder)
    process = subprocess.Popen(nginx(folder, conf))
    try:
        found = Proxy(ops_port, admin_port, folder / "certificate.pem", webserver)

        def is_up() -> bool:
            try:
                return found.admin("GET", "/") == 200
            except OSError:
                return False

        wait_for("nginx was up", is_up, 60)
        yield found
    finally:
        process.terminate()
        process.wait(30)
        server.shutdown()
        server.server_close()


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_admin_is_let_through_at_both_names_of_the_tunnel(proxy: Proxy, host: str) -> None:
    own = {"Host": f"{host}:{proxy.admin_port}", "Origin": f"http://{host}:{proxy.admin_port}"}
    assert proxy.admin("GET", "/", **own) == 200
    assert proxy.admin("POST", "/graphql", QUERY, **own) == 200
    assert proxy.webserver.arrived == [("POST", "/graphql", QUERY.encode())]
    assert proxy.admin("GET", "/graphql", **own, **UPGRADE) == 200
    assert proxy.admin("POST", "/graphql", QUERY, Host=own["Host"]) == 200  # a program, which sends no Origin
    assert proxy.admin("POST", "/report_asset_materialization/shadow_log", "{}", **own) == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:8000", "http://localhost", "http://localhost:{port}.evil"],
)
def test_a_page_of_another_origin_reaches_no_admin_webserver(proxy: Proxy, origin: str) -> None:
    headers = {"Host": f"localhost:{proxy.admin_port}", "Origin": origin.format(port=proxy.admin_port)}
    assert proxy.admin("POST", "/graphql", QUERY, **headers) == 403
    assert proxy.admin("GET", "/graphql", **headers, **UPGRADE) == 403
    assert proxy.admin("POST", "/report_asset_materialization/shadow_log", "{}", **headers) == 403
    assert proxy.webserver.arrived == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_a_foreign_host_reaches_no_admin_webserver(proxy: Proxy, host: str) -> None:
    name = host.format(port=proxy.admin_port)
    for headers in ({"Host": name}, {"Host": name, "Origin": f"http://{name}"}):
        assert proxy.admin("POST", "/graphql", QUERY, **headers) == 421
        assert proxy.admin("GET", "/", **headers) == 421
    assert proxy.webserver.arrived == []


@pytest.mark.parametrize(
    "path", ["/graphql?query=mutation", "/graphql/?query=mutation", "/GraphQL", "/%67raphql?query=m"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_graphql_goes_by_get(proxy: Proxy, method: str, path: str) -> None:
    assert proxy.admin(method, path) in (404, 405)
    assert proxy.ops(method, path) in (404, 405)
    assert proxy.webserver.arrived == []


def test_ops_are_let_through_to_queries_and_websockets(proxy: Proxy) -> None:
    assert proxy.ops("GET", "/") == 200
    assert proxy.ops("POST", "/graphql?op=Any", QUERY) == 200
    large = json.dumps({"query": "{ version }", "variables": {"ä": "\n" * 300_000}}, ensure_ascii=False).encode()
    assert proxy.ops("POST", "/graphql", large) == 200
    assert proxy.webserver.arrived == [("POST", "/graphql", large)]
    assert proxy.ops("GET", "/graphql", **UPGRADE) == 200


@pytest.mark.parametrize("name", ["setNuxSeen", "logTelemetry"])
@pytest.mark.parametrize(
    "body",
    [
        '{{"query": "mutation {{ {name} }}"}}',
        '{{"query": "mutation {{ a: {name} }}", "pad": "{pad}"}}',
        '[{{"query": "{{ version }}"}}, {{"query": "mutation {{ {name} }}"}}]',
        '{{"query": "mutation {{ {escaped} }}"}}',
    ],
)
def test_the_mutations_that_a_read_only_webserver_runs_are_closed(proxy: Proxy, name: str, body: str) -> None:
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    text = body.format(name=name, escaped=escaped, pad="x" * 500_000)
    for content in (text, text.encode("utf-16")):
        assert proxy.ops("POST", "/graphql", content) == 501
        assert proxy.webserver.arrived == []  # As DELETE, which neither this server nor Dagster's obeys.
    assert proxy.ops("POST", "/graphql", text, Content_Type="application/graphql") == 415
    assert proxy.ops("POST", "/graphql", text + " " * (1 << 20)) == 413
    assert proxy.webserver.arrived == []


@pytest.mark.parametrize("path", ["/download_debug/run", "/download_debug", "/report_asset_check/shadow_log"])
def test_what_a_read_only_webserver_should_not_answer_is_closed(proxy: Proxy, path: str) -> None:
    assert proxy.ops("GET", path) == 403
    assert proxy.ops("POST", path, "{}") == 403
    assert proxy.webserver.arrived == []
