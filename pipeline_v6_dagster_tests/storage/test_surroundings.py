"""What a disk and an operator can do to a home: each is one line and exit code 74, and healed by the next run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.storage import disk
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.live_builders import ATTEMPTS, T0, Home, ack_row, attempt_row, fill_row

REPO = Path(__file__).parents[2]
NOBODY = 65_534
# Runs one command. `user`: as somebody who owns nothing here, where we may become somebody else. `limit`: no file may
# grow beyond so many bytes, as on a full disk.
RUNNER = """
import os, resource, signal, sys
from pipeline_v6_dagster.cli import compare, heartbeat, main, shadow, verify
command, user, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
main.run([command, "--help"])  # Imports what it needs while it may read it.
if user and os.geteuid() == 0:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main.run([command]))
"""
# A file system of its own with 256 kB, full but for a little; then with room again.
FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
from pipeline_v6_dagster.cli import main
logs = Path(os.environ["PIPELINE_V6_HOME"], "logs")
content = {path: path.read_bytes() for path in logs.rglob("*.jsonl")}
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", logs], stderr=subprocess.DEVNULL).returncode:
    sys.exit(99)
for path, lines in content.items():
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lines)
filler = logs / "filler"
with filler.open("wb") as file:
    try:
        while True:
            os.write(file.fileno(), b"x" * 4096)
    except OSError:
        pass
os.truncate(filler, filler.stat().st_size - 8192)
print("exit", main.run(["shadow"]))
filler.unlink()
print("exit", main.run(["shadow"]))
sys.stdout.flush()
sys.stdout.buffer.write((logs / "pipeline_v6_shadow.jsonl").read_bytes())
"""

FULL_STAGE = """
import os, shlex, subprocess, sys
from pathlib import Path
from pipeline_v6_dagster.cli import main
logs = Path(os.environ["PIPELINE_V6_HOME"], "logs")
content = {path: path.read_bytes() for path in logs.rglob("*.jsonl")}
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", logs], stderr=subprocess.DEVNULL).returncode:
    sys.exit(99)
for path, lines in content.items():
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lines)
*before, stage = sys.argv[1:]
for command in before:
    assert main.run([command]) == 0, command
filler = logs / "filler"
with filler.open("wb") as file:
    try:
        while True:
            os.write(file.fileno(), b"x" * 4096)
    except OSError:
        pass
ours = {path: path.read_bytes() for path in logs.rglob("pipeline_v6*") if path.is_file()}
print("exit", main.run(shlex.split(stage)))
print("kept", all(path.read_bytes()[:len(was)] == was for path, was in ours.items()))
filler.unlink()
print("exit", main.run(shlex.split(stage)))
print("exit", main.run(["verify"]))
"""


def run(settings: Settings, command: str, *, user: int = 0, limit: int = 0) -> tuple[int, str]:
    """(exit code, what it said on standard error)."""
    if not user and not limit:
        here = pipeline_v6(settings.home, command)
        return here.exit_code, here.stderr
    outcome = subprocess.run(
        [sys.executable, "-c", RUNNER, command, str(user), str(limit)],
        env={**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return outcome.returncode, outcome.stderr


def fed(root: Path) -> Home:
    home = Home(root)
    for number in range(30):
        home.attempts(attempt_row(number, str(number)))
        home.orders(ack_row(number + 0.5, str(number)), fill_row(number + 0.6, str(number)))
    return home


def intents(home: Home) -> list[str]:
    return [line.split(b'"intent_id":"')[1].split(b'"')[0].decode() for line in rows(home)]


def rows(home: Home) -> list[bytes]:
    return home.settings.shadow_log.read_bytes().splitlines()


ALL = [f"ord_{number}" for number in range(30)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that somebody else may read."""
    home = fed(tmp_path / "home")
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(gettempdir()):
            break
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o755)
    return home


def is_refused(outcome: tuple[int, str], *parts: object) -> bool:
    """Exit code 74 and one line that names what stands in the way."""
    code, said = outcome
    assert (code, said.count("\n")) == (74, 1), said
    assert all(str(part) in said for part in parts), said
    return True


def is_healed(home: Home) -> bool:
    """Whether the next run decides every attempt once, and our logs are whole."""
    assert run(home.settings, "shadow") == (0, "")
    assert intents(home) == ALL
    assert verify_logs(home.settings).is_whole
    return True


def test_a_folder_that_may_not_be_written(home: Home) -> None:
    home.settings.logs_dir.chmod(0o555)
    assert is_refused(run(home.settings, "shadow", user=NOBODY), home.settings.logs_dir, "Permission denied")
    assert not home.settings.shadow_log.exists()
    home.settings.logs_dir.chmod(0o755)
    assert is_healed(home)


def test_an_input_that_may_not_be_read(home: Home) -> None:
    home.settings.logs_dir.chmod(0o777)
    home.log(ATTEMPTS).chmod(0o000)
    assert is_refused(run(home.settings, "shadow", user=NOBODY), home.log(ATTEMPTS), "Permission denied")
    home.log(ATTEMPTS).chmod(0o644)
    assert is_healed(home)


def test_a_log_of_ours_that_may_not_be_written(home: Home) -> None:
    home.shadow(10)
    before = rows(home)
    home.settings.logs_dir.chmod(0o777)
    home.settings.shadow_log.chmod(0o444)
    (home.settings.logs_dir / f".{home.settings.shadow_log.name}.lock").chmod(0o666)
    assert is_refused(run(home.settings, "shadow", user=NOBODY), home.settings.shadow_log, "Permission denied")
    assert rows(home) == before
    home.settings.shadow_log.chmod(0o640)
    assert is_healed(home)


@pytest.mark.parametrize("limit", [1, 700, 5000])
def test_a_disk_that_takes_no_more(home: Home, limit: int) -> None:
    assert is_refused(run(home.settings, "shadow", limit=limit), home.settings.shadow_log, "File too large")
    assert home.settings.shadow_log.stat().st_size <= limit
    assert is_healed(home)


@pytest.mark.parametrize(
    ("command", "name"), [("heartbeat", "shadow_head"), ("compare", "alert_outbox"), ("compare", "compare_diffs")]
)
def test_a_disk_that_takes_no_more_of_the_other_outputs(home: Home, command: str, name: str) -> None:
    home.shadow(10)
    output: Path = getattr(home.settings, name)
    if name == "compare_diffs":  # The identity of the epoch is recorded before it; with that done, the log is next.
        assert run(home.settings, command) == (0, "")
        output.unlink()
    assert is_refused(run(home.settings, command, limit=100), output, "File too large")
    assert not output.exists() or output.stat().st_size <= 100
    assert run(home.settings, command) == (0, "")
    assert verify_logs(home.settings).is_whole


def test_a_file_system_without_room(home: Home) -> None:
    outcome = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", FULL_DISK],
        env={**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(home.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode in (1, 99) and not outcome.stdout:
        pytest.skip("this user may not mount a file system of its own")
    assert "No space left on device" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    said = outcome.stdout.splitlines()
    assert [line for line in said if line.startswith("exit")] == ["exit 74", "exit 0"]
    decided = [line for line in said if line.startswith('{"decision_id"')]
    assert [line.split('"intent_id":"')[1].split('"')[0] for line in decided] == ALL


@pytest.mark.parametrize(
    "stages",
    [
        ("shadow",),
        ("shadow", "heartbeat"),
        ("shadow", "heartbeat", "compare"),
        ("shadow", "heartbeat", "compare", "report"),
        ("shadow", "heartbeat", "compare", f"acknowledge no_upsizes --by Ada --why {'x' * 5000}"),
    ],
    ids=lambda stages: stages[-1].split()[0],
)
def test_a_file_system_without_room_in_each_stage(home: Home, stages: tuple[str, ...]) -> None:
    outcome = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", FULL_STAGE, *stages],
        env={**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(home.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode in (1, 99) and not outcome.stdout:
        pytest.skip("this user may not mount a file system of its own")
    told = [line for line in outcome.stdout.splitlines() if line.startswith(("exit", "kept"))]
    assert told == ["exit 74", "kept True", "exit 0", "exit 0"], outcome.stderr
    (error,) = [line for line in outcome.stderr.splitlines() if "No space left" in line]
    assert str(home.settings.logs_dir) in error


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("shadow", "shadow_log"),
        ("shadow", "order_attempts"),
        ("heartbeat", "shadow_log"),
        ("heartbeat", "shadow_head"),
        ("compare", "compare_diffs"),
        ("compare", "compare_summary"),
        ("compare", "orders_executed"),
        ("verify", "shadow_log"),
    ],
)
def test_a_folder_where_a_file_should_be(home: Home, command: str, name: str) -> None:
    path: Path = getattr(home.settings, name)
    away = path.with_name("away")
    if path.exists():
        path.rename(away)
    path.mkdir(parents=True)
    assert is_refused(run(home.settings, command), path)
    path.rmdir()
    if away.exists():
        away.rename(path)
    assert is_healed(home)
    assert run(home.settings, command) == (0, "")


@pytest.mark.parametrize("name", ["shadow_log", "compare_diffs", "shadow_head"])
def test_a_file_where_the_folder_should_be(home: Home, name: str) -> None:
    state = home.settings.shadow_head.parent
    state.write_bytes(b"mine")
    assert is_refused(run(home.settings, "heartbeat"), state)
    assert state.read_bytes() == b"mine"


def test_a_log_that_is_a_link_to_another_folder_is_written_there_and_rotates_here(home: Home, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    home.settings.shadow_log.symlink_to(volume / "shadow.jsonl")
    home.shadow(10)
    assert home.settings.shadow_log.is_symlink()
    assert intents(home) == ALL
    assert verify_logs(home.settings).is_whole


@pytest.mark.parametrize("is_loop", [False, True])
def test_a_link_that_leads_nowhere(home: Home, tmp_path: Path, is_loop: bool) -> None:
    path = home.settings.shadow_log
    path.symlink_to(path if is_loop else tmp_path / "not mounted" / "shadow.jsonl")
    assert is_refused(run(home.settings, "shadow"), path)
    path.unlink()
    assert is_healed(home)


@pytest.mark.parametrize("call", ["open_to_append", "write", "sync"])
def test_a_folder_that_vanishes_in_the_middle_of_a_run(home: Home, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = home.settings.logs_dir / "execution"
    kept = home.settings.home / "kept"
    shutil.copytree(inputs, kept)
    happens = getattr(disk, call)

    def vanishes(*arguments: object) -> object:
        shutil.rmtree(home.settings.logs_dir, ignore_errors=True)
        return happens(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(disk, call, vanishes)
        with pytest.raises(StorageError, match=str(home.settings.logs_dir)):
            home.shadow(10)
    assert not home.settings.shadow_log.exists()
    shutil.copytree(kept, inputs)
    home.settings.shadow_head.unlink(missing_ok=True)
    home.shadow(20)
    assert intents(home) == ALL


def test_a_clock_that_jumps_back(tmp_path: Path) -> None:
    home = fed(tmp_path)
    home.run(5000)
    for number in (30, 31):
        home.attempts(attempt_row(5000 + number, str(number)))
    for at in (5100, 100, -86_400, 5200):
        home.shadow(at)
        refresh_head(home.settings, T0 + at)
        home.compare(at)
    assert intents(home) == [*ALL, "ord_30", "ord_31"]
    home.orders(ack_row(5030.5, "30"), fill_row(5030.6, "30"))
    home.run(20_000)
    settled = [diff["decision_id"] for diff in home.diffs() if diff["decision_id"] and diff["revision_of"] is None]
    assert len(settled) == len(set(settled)) == 32
    assert verify_logs(home.settings).is_whole


# -- two processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["shadow", "compare"])
def test_a_second_writer_leaves_with_75_and_one_line(home: Home, command: str) -> None:
    log = home.settings.shadow_log if command == "shadow" else home.settings.compare_diffs
    environ = {**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(home.settings.home)}
    program = (
        "from pipeline_v6_dagster.storage import lock\n"
        "lock.LOCK_TIMEOUT_S = 0.2\n"
        "from pipeline_v6_dagster.cli.main import run\n"
        f"raise SystemExit(run([{command!r}]))\n"
    )
    with locked(log, 5):
        refused = subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False
        )
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (75, "", 1)
    assert str(log) in refused.stderr
    assert not log.exists()


def test_commands_at_once_wait_for_each_other_and_write_what_one_would(home: Home) -> None:
    home.shadow(10)
    environ = {**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(home.settings.home)}
    arguments = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "compare"]
    several = [subprocess.Popen(arguments, env=environ, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(timeout=120) for process in several] == [0, 0, 0]
    settled = [diff["decision_id"] for diff in home.diffs()]
    assert len(settled) == len(set(settled)) == 30
    assert len(home.block_ends()) == 3
    assert verify_logs(home.settings).is_whole
