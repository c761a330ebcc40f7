"""The set-up of deploy/fleet/, started for a test: code server, daemon and workers on a real RabbitMQ and PostgreSQL.

Everything it writes stands in one folder, and all of its processes are gone at the end.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg
import yaml
from kombu import Connection

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster_tests.deployment import DEPLOY, PG, REPO, free_ports, postgres_database, postgres_missing

FLEET = DEPLOY / "fleet"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
_BIN = Path(sys.executable).parent


def rabbitmq_missing() -> str | None:
    """Why there is no RabbitMQ to test with; None where there is."""
    try:
        with Connection(BROKER, connect_timeout=5) as connection:
            connection.ensure_connection(max_retries=1)
    except OSError as error:
        return f"no RabbitMQ at 127.0.0.1:5672 for guest: {error}"
    return None


def fleet_services_missing() -> str | None:
    """Why a fleet cannot be run here; None where it can."""
    return postgres_missing() or rabbitmq_missing()


class FleetDeployment:
    """A fleet on this machine. All its executors have a host, and the hosts have names that no other test uses."""

    def __init__(self, base: Settings, folder: Path, database: str, environ: dict[str, str]) -> None:
        self.folder = folder
        self._own_name = f"t{uuid4().hex[:8]}"
        self._queues: set[str] = set()
        folder.mkdir(parents=True)
        instance = yaml.safe_load((FLEET / "dagster.yaml").read_text(encoding="utf-8"))
        instance["run_launcher"]["config"]["default_queue"] = self.queue(None)
        (folder / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        self._code_port = free_ports(1)[0]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "DAGSTER_"))}
        self.environ = {
            **own,
            "PIPELINE_V6_HOME": str(base.home),
            "PIPELINE_V6_FLEET": str(base.fleet_file),
            "PIPELINE_V6_BROKER_URL": BROKER,
            "PIPELINE_V6_CODE_PORT": str(self._code_port),
            "DAGSTER_HOME": str(folder),
            "DAGSTER_PG_HOST": PG["host"],
            "DAGSTER_PG_PORT": PG["port"],
            "DAGSTER_PG_USERNAME": PG["user"],
            "DAGSTER_PG_PASSWORD": "none",
            "DAGSTER_PG_DB": database,
            "PGTZ": "UTC",
            "PYTHONPATH": os.pathsep.join([str(REPO), str(FLEET)]),
            "TMPDIR": str(folder),
            **environ,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def settings(self) -> Settings:
        return load_settings(self.environ, Path("/"))

    def queue(self, host: str | None) -> str:
        """The queue of a host; of the runs of the whole fleet without one."""
        return f"pipeline_v6.{host or self._own_name}"

    def make_storage(self) -> None:
        made = subprocess.run(
            [_BIN / "dagster", "instance", "migrate"],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr.decode(errors="replace")

    def start_control(self) -> None:
        """The code server and the daemon."""
        self.start(
            "code",
            *(_BIN / "dagster", "api", "grpc", "-m", "pipeline_v6_dagster.definitions"),
            *("-h", "127.0.0.1", "-p", str(self._code_port), "--location-name", "pipeline_v6_dagster"),
        )
        self.start_daemon()

    def start_daemon(self) -> None:
        self.start("daemon", _BIN / "dagster-daemon", "run", "-w", DEPLOY / "workspace.yaml")

    def start_worker(self, name: str, hosts: Sequence[str | None], processes: int = 1) -> None:
        """A worker of the queues of these hosts, with the command of its unit."""
        queues = ",".join(map(self.queue, hosts))
        self._queues |= set(map(self.queue, hosts))
        self.start(
            name,
            *(_BIN / "celery", "-A", "dagster_celery.app", "worker", "-Q", queues, "--concurrency", str(processes)),
            *("-n", f"{name}@{self._own_name}", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        )

    def start(self, name: str, *command: str | Path) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                list(map(str, command)),
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A script's background job, in which tests may run, ignores SIGINT, and so would all that it starts.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def kill(self, name: str) -> None:
        """SIGKILL for a process and all that it started."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        """End all processes, and remove the queues."""
        self.stop_processes()
        with Connection(BROKER) as connection:
            for queue in self._queues:
                connection.default_channel.queue_delete(queue)

    def stop_processes(self) -> None:
        """As an administrator does; what does not go is killed."""
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + 20
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for name in list(self.processes):
            self.kill(name)

    def logs(self) -> str:
        """The ends of the logs, for a failure to show."""
        return "; ".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in self.folder.glob("*.log"))

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The storage of the set-up, as its processes see it."""
        names = [name for name in self.environ if name.startswith(("DAGSTER_", "PGTZ", "PIPELINE_V6_"))]
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


@contextmanager
def fleet_set_up(base: Settings, folder: Path, **environ: str) -> Iterator[FleetDeployment]:
    """A fleet with its storage laid down and nothing started; its processes and queues are gone at the end."""
    with postgres_database() as database:
        deployment = FleetDeployment(base, folder, database, environ)
        try:
            deployment.make_storage()
            yield deployment
        finally:
            deployment.stop()
