"""nginx in front of both webservers: its file as it is, with this machine's paths and ports, really started."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest

from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import DEPLOY, LOCATION, REPO, Deployment, deployed, free_ports, wait_for
from pipeline_v6_dagster_tests.homes import simulated_home

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPENSSL = shutil.which("openssl")
PASSWORD = "correct horse"  # noqa: S105 -- of a user who is there for a minute

pytestmark = pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="no nginx or openssl on this machine")

RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"""


def openssl(*arguments: str) -> str:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], check=True, capture_output=True, text=True).stdout


def configured(folder: Path, port: int, web_port: int, admin_proxy_port: int, admin_port: int, home: Path) -> Path:
    """`deploy/nginx.conf` within a main file, with the paths and ports of the test in the place of the machine's."""
    key, certificate, users = folder / "key.pem", folder / "certificate.pem", folder / "users"
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ops.example.com")
    openssl("req", *options, "-keyout", str(key), "-out", str(certificate))
    users.write_text(f"ops:{openssl('passwd', '-apr1', PASSWORD)}")
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for theirs, ours in {
        "/etc/ssl/certs/ops.example.com.pem": str(certificate),
        "/etc/ssl/private/ops.example.com.key": str(key),
        "/etc/nginx/pipeline_v6.htpasswd": str(users),
        "/opt/pipeline_v6": str(REPO),
        "/srv/executor": str(home),
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "http://127.0.0.1:3000;": f"http://127.0.0.1:{web_port};",
        "listen 127.0.0.1:3002": f"listen 127.0.0.1:{admin_proxy_port}",
        "http://127.0.0.1:3001;": f"http://127.0.0.1:{admin_port};",
    }.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    kept = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Started by root, its workers would be somebody who cannot read the folder of the test.
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{user}pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\ndaemon off;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{kept}{text}\n}}\n"
    )
    return main


def nginx(folder: Path, conf: Path, *arguments: str) -> list[str]:
    assert NGINX is not None
    return [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(conf), *arguments]


class Proxy:
    """What ops reach: asked over TLS, by name and password unless it is said otherwise."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(certificate))
        # The certificate is for the name that production has; the test comes by the address.
        self._context.check_hostname = False

    def ask(
        self, method: str, path: str, body: object = None, password: str | None = PASSWORD, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPSConnection("127.0.0.1", self._port, timeout=60, context=self._context)
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"ops:{password}".encode()).decode()
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        try:
            # After an upgrade the connection stays open, and there is no end to read up to.
            return response, b"" if response.status == 101 else response.read()
        finally:
            connection.close()

    def is_up(self) -> bool:
        try:
            return self.ask("GET", "/server_info")[0].status == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def proxied(folder: Path, deployment: Deployment, home: Path, port: int | None = None) -> Iterator[Proxy]:
    """nginx on `port`, or on a free one."""
    free, admin_port = free_ports(2)
    port = port or free
    folder.mkdir()
    conf = configured(folder, port, deployment.web_port, admin_port, deployment.admin_port, home)
    process = subprocess.Popen(nginx(folder, conf))
    try:
        proxy = Proxy(port, folder / "certificate.pem")
        wait_for("nginx was up", proxy.is_up, 60)
        yield proxy
    finally:
        process.terminate()
        process.wait(30)


def test_nginx_understands_its_file(tmp_path: Path) -> None:
    command = nginx(tmp_path, configured(tmp_path, *free_ports(4), tmp_path / "home"), "-t")
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


@pytest.mark.slow
def test_ops_reach_the_read_only_webserver_with_a_password_and_change_nothing(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path / "home", seconds=600)
    with deployed(settings.home, tmp_path / "dagster", "sqlite") as deployment:
        deployment.wait_until_up()
        for command in ("shadow", "compare"):
            assert pipeline_v6(settings.home, command).exit_code == 0
        with proxied(tmp_path / "nginx", deployment, settings.home) as proxy:
            for password in (None, "wrong"):
                assert proxy.ask("GET", "/server_info", password=password)[0].status == 401
            assert b"<!DOCTYPE html>" in proxy.ask("GET", "/")[1]
            runbook, text = proxy.ask("GET", "/docs/runbook.html")
            assert (runbook.status, text) == (200, (REPO / "docs" / "runbook.html").read_bytes())
            assert runbook.getheader("Content-Type") == "text/html; charset=utf-8"
            linked, _ = proxy.ask("GET", "/docs/operations.md")
            assert (linked.status, linked.getheader("Content-Type")) == (200, "text/plain; charset=utf-8")
            report, page = proxy.ask("GET", f"/reports/{write_report(settings, time.time()).path.name}")
            assert (report.status, report.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
            assert page.startswith(b"<!doctype html>")
            assert proxy.ask("GET", "/reports/")[0].status == 403
            # What lies outside of the folders is asked of the UI, which answers with its own page.
            for outside in ("/reports/../execution/orders_executed.jsonl", "/docs../deploy/pipeline_v6.env"):
                answered, content = proxy.ask("GET", outside)
                assert answered.status in (400, 404) or content.startswith(b"<!DOCTYPE html>"), outside

            def said(query: str) -> str:
                answer = proxy.ask("POST", "/graphql", {"query": query, "variables": {"name": LOCATION}})[1]
                return json.dumps(json.loads(answer))

            assert LOCATION in said("{ workspaceOrError { ... on Workspace { locationEntries { name } } } }")
            # The same words that the admin webserver obeys.
            obeyed = deployment.ask(deployment.admin_port, RELOAD, {"name": LOCATION})
            assert obeyed["data"]["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry"
            assert "WorkspaceLocationEntry" not in said(RELOAD)
            assert "UnauthorizedError" in said(RELOAD)
            reported = proxy.ask("POST", "/report_asset_materialization/shadow_log", {})
            assert reported[0].status == 403
            upgrade = {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
                "Sec-WebSocket-Protocol": "graphql-ws",
            }
            assert proxy.ask("GET", "/graphql", **upgrade)[0].status == 101
