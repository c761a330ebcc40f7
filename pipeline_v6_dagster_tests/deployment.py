"""The production set-up of deploy/, started for a test: supervisord with code server, daemon and both webservers.

Everything it writes stands in one folder, and all of its processes are gone at the end.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import dagster as dg
import psycopg2
import pytest

from pipeline_v6_dagster.config.settings import Settings, load_settings

REPO = Path(__file__).parents[1]
DEPLOY = REPO / "deploy"
# A loaded machine takes a minute to start four processes that each import Dagster.
START_S = 240.0
STOP_S = 60.0

PG = {"host": "127.0.0.1", "port": "5432", "user": "postgres"}

LOCATION = "pipeline_v6_dagster"
_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that the kernel gives to outgoing connections meanwhile."""
    free: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            break
    return free


def wait_for(what: str, is_so: Callable[[], object], deadline_s: float, every_s: float = 0.5) -> Any:
    """Wait until `is_so()` is true and return it; fail with `what` where it does not come true."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        answer = is_so()
        if answer:
            return answer
        time.sleep(every_s)
    return pytest.fail(f"{what}: not within {deadline_s:g} s")


def is_excused(start: float, end: float, spans: list[tuple[float, float]]) -> bool:
    """Whether the spans leave no ten seconds of the slot free: so long a tick may be away on a loaded machine."""
    free_from = start
    for first, last in sorted(spans):
        if first - free_from >= 10 and first < end:
            return False
        free_from = max(free_from, last)
    return end - free_from < 10


def postgres_missing() -> str | None:
    """Why there is no PostgreSQL to test with; None where there is."""
    try:
        psycopg2.connect(**PG, dbname="postgres", connect_timeout=5).close()
    except psycopg2.OperationalError as error:
        return f"no PostgreSQL at 127.0.0.1:5432 for user postgres without a password: {str(error).splitlines()[0]}"
    return None


@contextmanager
def postgres_database() -> Iterator[str]:
    """A database of one's own, dropped at the end."""
    name = f"pipeline_v6_test_{uuid4().hex[:12]}"
    _execute(f'CREATE DATABASE "{name}"')
    try:
        yield name
    finally:
        _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(statement: str) -> None:
    connection = psycopg2.connect(**PG, dbname="postgres", connect_timeout=20)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


class Deployment:
    """One running set-up. `folder` is its DAGSTER_HOME."""

    def __init__(self, home: Path, folder: Path, storage: str, environ: dict[str, str]) -> None:
        code, self.web_port, self.admin_port = free_ports(3)
        self.folder = folder
        folder.mkdir(parents=True)
        shutil.copy(
            DEPLOY / ("dagster.yaml" if storage == "postgres" else "dagster-sqlite.yaml"), folder / "dagster.yaml"
        )
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "DAGSTER_"))}
        self.environ = {
            **own,
            "PIPELINE_V6_HOME": str(home),
            "PIPELINE_V6_ROOT": str(REPO),
            "PIPELINE_V6_CODE_PORT": str(code),
            "PIPELINE_V6_WEB_PORT": str(self.web_port),
            "PIPELINE_V6_ADMIN_PORT": str(self.admin_port),
            "DAGSTER_HOME": str(folder),
            "DAGSTER_PG_HOST": PG["host"],
            "DAGSTER_PG_PORT": PG["port"],
            "DAGSTER_PG_USERNAME": PG["user"],
            "DAGSTER_PG_PASSWORD": "none",
            "DAGSTER_PG_DB": "",
            "PGTZ": "UTC",
            "PYTHONPATH": str(REPO),
            # What is left behind by processes that are killed is gone with the folder.
            "TMPDIR": str(folder),
            **environ,
        }
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._has_storage = False

    @property
    def settings(self) -> Settings:
        return load_settings(self.environ, Path("/"))

    def make_storage(self) -> None:
        """As docs/operations.md says: four processes that find none lay it down at once, and SQLite is then broken."""
        if not self._has_storage:
            command = [str(Path(sys.executable).with_name("dagster")), "instance", "migrate"]
            made = subprocess.run(command, env=self.environ, cwd=self.folder, capture_output=True, check=False)
            assert made.returncode == 0, made.stderr.decode(errors="replace")
        self._has_storage = True

    def start(self) -> None:
        self.make_storage()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(DEPLOY / "supervisord.conf")],
            env=self.environ,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # A script's background job, in which tests may run, ignores SIGINT, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def stop(self) -> None:
        """As an administrator does; what does not go is killed."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(STOP_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the supervisor and every process of this set-up at once, as a power failure would."""
        for _ in range(50):
            found = self.processes()
            if not found:
                break
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._supervisor is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._supervisor.wait(0.1)
            time.sleep(0.1)
        self._supervisor = None

    def processes(self, *words: str) -> list[int]:
        """The processes of this set-up whose command line holds all of `words`, the supervisor first."""
        marker = f"DAGSTER_HOME={self.folder}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line and marker in (process / "environ").read_bytes() and all(word in line for word in words):
                    found.append(int(process.name))
        return sorted(found)

    def wait_until_up(self) -> None:
        for port in (self.web_port, self.admin_port):
            try:
                wait_for(f"the webserver on port {port} was up", lambda p=port: self._is_up(p), START_S)
            except pytest.fail.Exception as failure:
                raise AssertionError(f"{failure}; {self.logs()}") from None

    def _is_up(self, port: int) -> bool:
        assert self._supervisor is None or self._supervisor.poll() is None, f"supervisord ended: {self.logs()}"
        try:
            with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5):
                return True
        except (URLError, OSError):
            return False

    def logs(self) -> str:
        """The ends of the logs, for a failure to show."""
        return "; ".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in self.folder.glob("*.log"))

    def ask(self, port: int, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """A GraphQL answer, errors and all."""
        request = Request(
            f"http://127.0.0.1:{port}/graphql",
            data=json.dumps({"query": query, "variables": variables or {}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as response:  # noqa: S310 -- our own server on localhost
            answer: dict[str, Any] = json.load(response)
        return answer

    def start_schedule(self, name: str) -> None:
        """The switch of the UI, which the read-only webserver refuses and the admin one obeys."""
        mutation = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
            __typename ... on PythonError { message } ... on UnauthorizedError { message } } }"""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "scheduleName": name,
        }
        refused = self.ask(self.web_port, mutation, {"selector": selector})
        assert "ScheduleStateResult" not in json.dumps(refused), refused

        def is_obeyed() -> bool:
            obeyed = self.ask(self.admin_port, mutation, {"selector": selector})
            kind = obeyed["data"]["startSchedule"]["__typename"]
            assert kind in {"ScheduleStateResult", "ScheduleNotFoundError"}, obeyed
            return kind == "ScheduleStateResult"

        # A webserver is up before the code server has told it what there is.
        wait_for(f"the admin webserver knows {name}", is_obeyed, START_S)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The storage of the set-up, as its processes see it."""
        names = [name for name in self.environ if name.startswith(("DAGSTER_", "PGTZ"))]
        before = {name: os.environ.get(name) for name in names}
        os.environ.update({name: self.environ[name] for name in names})
        try:
            with dg.DagsterInstance.from_config(str(self.folder)) as instance:
                yield instance
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def with_constants(folder: Path, **values: float) -> dict[str, str]:
    """The environment in which every Python process has other constants, as `alerts.states.ALERT_GROUP_S`=0."""
    lines = []
    for name, value in values.items():
        module, _, constant = name.rpartition(".")
        lines += [f"import {LOCATION}.{module} as module", f"module.{constant} = {value!r}"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{REPO}"}


@contextmanager
def set_up(home: Path, folder: Path, storage: str, **environ: str) -> Iterator[Deployment]:
    """A set-up on "sqlite" or "postgres" with its storage laid down and nothing started, gone at the end."""
    with contextlib.ExitStack() as stack:
        if storage == "postgres":
            environ["DAGSTER_PG_DB"] = stack.enter_context(postgres_database())
        deployment = Deployment(home, folder, storage, environ)
        stack.callback(deployment.stop)
        deployment.make_storage()
        yield deployment


@contextmanager
def deployed(home: Path, folder: Path, storage: str, **environ: str) -> Iterator[Deployment]:
    """The same, running."""
    with set_up(home, folder, storage, **environ) as deployment:
        deployment.start()
        yield deployment
