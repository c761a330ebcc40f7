"""The files of deploy/fleet/: accepted by what reads them, and true to each other."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from celery import Celery
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.make_app import make_app
from dagster_k8s import K8sRunLauncher

from pipeline_v6_dagster.config.fleet import DEFAULT_QUEUE, load_fleet
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.defs.fleet.run_coordinator import ExecutorRunCoordinator
from pipeline_v6_dagster_tests.deployment import DEPLOY, PG, postgres_database, postgres_missing
from pipeline_v6_dagster_tests.homes import make_settings

FLEET = DEPLOY / "fleet"
KUBERNETES = FLEET / "kubernetes"
UNITS = sorted(FLEET.glob("*.service"))
MANIFESTS = ("access.yaml", "storage.yaml", "control.yaml")
# The oldest and the newest that are still looked after.
KUBERNETES_VERSIONS = ("1.30.0", "1.33.0")
PG_KEYS = {"HOST": "host", "PORT": "port", "USERNAME": "user"}


def environment() -> dict[str, str]:
    """The variables of the environment file."""
    lines = (FLEET / "pipeline_v6.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def manifests() -> list[dict[str, Any]]:
    found = [yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8")) for name in MANIFESTS]
    return [document for documents in found for document in documents]


def launcher_problems(config_type: object, config: dict[str, Any]) -> list[str]:
    """What the schema of a launcher says of its configuration."""
    checked = process_config(resolve_to_config_type(config_type), config)
    return [error.message for error in checked.errors or ()]


def test_the_environment_file_holds_settings_that_are_accepted() -> None:
    settings = load_settings(environment(), Path("/"))
    assert settings.fleet_file == Path("/etc/pipeline_v6/fleet.toml")


@pytest.mark.parametrize("name", ["fleet.toml", "compose-fleet.toml"])
def test_the_fleet_files_are_accepted(tmp_path: Path, name: str) -> None:
    fleet = load_fleet(make_settings(tmp_path, PIPELINE_V6_FLEET=str(FLEET / name)))
    assert len(fleet.executors) >= 3


def test_the_instance_launches_runs_with_celery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = postgres_missing()
    if missing is not None:
        pytest.skip(missing)
    with postgres_database() as database:
        given = {f"DAGSTER_PG_{name}": PG[key] for name, key in PG_KEYS.items()} | {"DAGSTER_PG_DB": database}
        for name, value in {**environment(), **given}.items():
            monkeypatch.setenv(name, value)
        shutil.copy(FLEET / "dagster.yaml", tmp_path / "dagster.yaml")
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            launcher = instance.run_launcher
            assert isinstance(launcher, CeleryRunLauncher)
            assert launcher.broker == environment()["PIPELINE_V6_BROKER_URL"]
            assert launcher.default_queue == DEFAULT_QUEUE
            assert launcher.celery.conf.broker_transport_options["confirm_publish"] is True
            assert isinstance(instance.run_coordinator, ExecutorRunCoordinator)
            queue = instance.get_concurrency_config().run_queue_config
            assert queue is not None
            assert (queue.max_concurrent_runs, queue.tag_concurrency_limits[0]["key"]) == (-1, "dagster-celery/queue")
            # Otherwise the run of a worker that was killed is ignored when it is given out again.
            assert not instance.run_monitoring_enabled
            assert instance.run_retries_enabled
            assert not instance.telemetry_enabled


def test_on_kubernetes_only_what_launches_limits_and_monitors_runs_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    # Reads the file as an instance does, and refuses an unknown key.
    config, _ = dagster_instance_config(str(KUBERNETES))
    assert (config["run_launcher"]["module"], config["run_launcher"]["class"]) == ("dagster_k8s", "K8sRunLauncher")
    assert launcher_problems(K8sRunLauncher.config_type(), config["run_launcher"]["config"]) == []
    assert launcher_problems(K8sRunLauncher.config_type(), {"no_such_key": 1}) != []
    celery, kubernetes = read_yaml(FLEET / "dagster.yaml"), read_yaml(KUBERNETES / "dagster.yaml")
    for content in (celery, kubernetes):
        del content["run_launcher"], content["concurrency"], content["run_monitoring"]
    assert celery == kubernetes


def test_both_hold_what_one_executor_holds_besides() -> None:
    alone, fleet = read_yaml(DEPLOY / "dagster.yaml"), read_yaml(FLEET / "dagster.yaml")
    for name in ("storage", "run_retries", "retention", "telemetry", "nux"):
        assert fleet[name] == alone[name], name


def test_a_worker_survives_being_killed_by_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(FLEET))
    app: Celery = make_app()
    conf = app.conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (True, True, 1)
    assert conf.broker_url == environment()["PIPELINE_V6_BROKER_URL"]
    assert conf.task_default_queue == DEFAULT_QUEUE
    unknown = set(runpy.run_path(str(FLEET / "dagster_celery_config.py"))) - set(conf) - {"os"}
    assert {name for name in unknown if not name.startswith("__")} == set(), "Celery has no such setting"


def test_a_drill_may_be_acknowledged_after_six_hours() -> None:
    text = (FLEET / "rabbitmq.conf").read_text(encoding="utf-8")
    (milliseconds,) = re.findall(r"^consumer_timeout = (\d+)$", text, re.MULTILINE)
    assert int(milliseconds) > 6 * 3600 * 1000


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_accepts_the_manifests(name: str, version: str) -> None:
    for document in yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8")):
        kubernetes_validate.validate(document, version, strict=True)


def test_what_the_kubernetes_files_name_is_there() -> None:
    found = {(document["kind"], document["metadata"]["name"]) for document in manifests()}
    launcher = read_yaml(KUBERNETES / "dagster.yaml")["run_launcher"]["config"]
    assert ("ServiceAccount", launcher["service_account_name"]) in found
    assert ("Namespace", launcher["job_namespace"]) in found
    assert {("ConfigMap", name) for name in launcher["env_config_maps"]} <= found
    assert {("Secret", name) for name in (*launcher["env_secrets"], launcher["postgres_password_secret"])} <= found
    claim = launcher["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in found
    images = {
        container["image"]
        for document in manifests()
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    }
    assert images == {launcher["job_image"]}


def test_the_trial_starts_what_its_files_need() -> None:
    compose = read_yaml(FLEET / "docker-compose.yml")
    services = compose["services"]
    for name, service in services.items():
        for needed in service.get("depends_on", {}):
            assert needed in services, (name, needed)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            known = (FLEET / source).is_file() if source.startswith("./") else source in compose["volumes"]
            assert known, (name, source)
    given = services["daemon"]["environment"]
    assert set(re.findall(r"env: (\w+)", (FLEET / "dagster.yaml").read_text(encoding="utf-8"))) <= set(given)
    (code,) = read_yaml(FLEET / "compose-workspace.yaml")["load_from"]
    assert code["grpc_server"]["host"] in services
    queues = {queue for service in services.values() for queue in _queues(service.get("command", ()))}
    fleet = load_fleet(make_settings(FLEET, PIPELINE_V6_FLEET="compose-fleet.toml"))
    assert queues == {executor.queue for executor in fleet.executors.values()} | {DEFAULT_QUEUE}


def _queues(command: list[str]) -> list[str]:
    return command[command.index("-Q") + 1].split(",") if "-Q" in command else []


@pytest.mark.parametrize("name", ["dagster.yaml", "dagster_celery_config.py", *(unit.name for unit in UNITS)])
def test_every_variable_that_a_file_names_is_in_the_environment_file(name: str) -> None:
    text = (FLEET / name).read_text(encoding="utf-8")
    named = set(re.findall(r"env: (\w+)", text)) | set(re.findall(r'environ\["(\w+)"\]', text))
    named |= set(re.findall(r"\$\{(\w+)\}", text))
    assert named <= set(environment())


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "celery").symlink_to("/bin/true")
    for unit in UNITS:
        # The program is looked for, and /opt/pipeline_v6 is not on this machine.
        text = unit.read_text(encoding="utf-8").replace("/opt/pipeline_v6/.venv/bin/", f"{tmp_path}/bin/")
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    verified = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "pipeline-v6" in line] == []


def test_the_worker_of_the_tests_has_the_command_of_the_unit() -> None:
    unit = (FLEET / "pipeline-v6-worker.service").read_text(encoding="utf-8")
    harness = (Path(__file__).parents[1] / "fleet_deployment.py").read_text(encoding="utf-8")
    for option in ("dagster_celery.app", "--concurrency", "--without-gossip", "--without-mingle"):
        assert option in unit
        assert option in harness
