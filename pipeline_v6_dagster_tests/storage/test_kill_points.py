"""Killed before every call that changes the disk and half-way through every write: nothing lost, nothing twice."""

import ast
import gzip
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline_v6_dagster.storage
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.compare import run as compare
from pipeline_v6_dagster.stages.shadow import run as shadow
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.storage import disk
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.verification import verify_log
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, error_row, fill_row, veto_row
from pipeline_v6_dagster_tests.storage.dying import CALLS, deaths

STORAGE = Path(pipeline_v6_dagster.storage.__file__).parent
# How the disk may be changed behind the back of the module that tests can stop.
FORBIDDEN = {
    *("write", "fsync", "fdatasync", "truncate", "ftruncate", "rename", "replace", "unlink", "remove", "rmdir"),
    *("mkdir", "makedirs", "chmod", "fchmod", "link", "symlink", "symlink_to", "hardlink_to", "touch"),
    *("write_bytes", "write_text", "mkstemp", "NamedTemporaryFile"),
}


def classify_line(line: bytes) -> LineKind:
    return LineKind.BLOCK_END if line.startswith(b'{"end"') else LineKind.INNER


def block(number: int) -> list[bytes]:
    return [b'{"row": "%d %s"}' % (number, b"x" * 50), b'{"end": %d}' % number]


def blocks(count: int) -> list[bytes]:
    return [line for number in range(count) for line in block(number)]


def open_log(path: Path) -> JsonlLog:
    return JsonlLog(path, classify_line, max_bytes=1)


def read_lines(log: JsonlLog) -> list[bytes]:
    return [unchained(line) for line in log.backward()][::-1]


def copy_home(template: Path, folder: Path) -> Path:
    if template.exists():
        shutil.copytree(template, folder)
    return folder


def test_nothing_in_the_package_changes_the_disk_but_through_the_module_that_can_be_stopped() -> None:
    # `feed` appends as an executor does, which promises nothing; a lock file has no content.
    for path in STORAGE.glob("*.py"):
        if path.name in ("disk.py", "feed.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FORBIDDEN:
                where = ast.unparse(node.func)
                assert where.startswith(("disk.", "file.write", "self.remove")), f"{path.name}:{node.lineno}: {where}"


def test_every_call_of_that_module_can_be_stopped() -> None:
    assert {"open_to_append", "open_temporary", "write", "sync", "cut", "rename", "remove"} <= set(CALLS)


@pytest.mark.parametrize("before", [0, 1, 5, 6])
def test_an_append_with_its_rotation_and_archives(tmp_path: Path, before: int) -> None:
    template = tmp_path / "template"
    log = open_log(template / "log.jsonl")
    for number in range(before):
        log.append(block(number))
    places = set()

    def act(number: int) -> Callable[[], object]:
        path = copy_home(template, tmp_path / str(number)) / "log.jsonl"
        return lambda: open_log(path).append(block(before))

    for number, death in deaths(act):
        places.add(death.place)
        path = tmp_path / str(number) / "log.jsonl"
        log = open_log(path)
        cut = log.recover()
        left = read_lines(log)
        assert left in (blocks(before), blocks(before + 1)), death.place
        assert cut == 0 or death.place == "half-way through write"
        for following in range(len(left) // 2, before + 7):
            log.append(block(following))
        assert read_lines(log) == blocks(before + 7), death.place
        assert verify_log(path).findings == [], death.place
    assert {"before open_to_append", "before write", "half-way through write", "before sync"} <= places
    assert ("before rename" in places) == (before > 0)
    assert ("before open_temporary" in places) == ("before remove" in places) == (before > 5)


def test_a_recovery(tmp_path: Path) -> None:
    template = tmp_path / "template"
    open_log(template / "log.jsonl").append(block(0))
    with (template / "log.jsonl").open("ab") as file:
        file.write(b'{"row": "1 torn')

    def act(number: int) -> Callable[[], object]:
        return open_log(copy_home(template, tmp_path / str(number)) / "log.jsonl").recover

    places = set()
    for number, death in deaths(act):
        places.add(death.place)
        log = open_log(tmp_path / str(number) / "log.jsonl")
        log.recover()
        log.append(block(1))
        assert read_lines(log) == blocks(2)
        assert verify_log(log.path).is_whole
    assert places == {"before cut", "before sync", None}


@pytest.mark.parametrize("old", [None, b"old" * 9000])
def test_a_replacement(tmp_path: Path, old: bytes | None) -> None:
    new = b"new" * 10_000

    def act(number: int) -> Callable[[], object]:
        path = tmp_path / str(number) / "state" / "head.json"
        if old is not None:
            path.parent.mkdir(parents=True)
            path.write_bytes(old)
        return lambda: replace_file(path, new)

    seen = set()
    for number, death in deaths(act):
        path = tmp_path / str(number) / "state" / "head.json"
        found = path.read_bytes() if path.exists() else None
        assert found in (old, new), death.place
        seen.add(found)
        replace_file(path, b"newest")
        assert path.read_bytes() == b"newest"
        for left in path.parent.iterdir():
            os.utime(left, (1, 1))
        replace_file(path, b"newest")
        assert [left.name for left in path.parent.iterdir()] == ["head.json"], "what the killed one left is removed"
    assert seen == {old, new}


def test_what_another_process_is_replacing_just_now_is_left_alone(tmp_path: Path) -> None:
    young = tmp_path / ".head.json.young"
    young.write_bytes(b"")
    replace_file(tmp_path / "head.json", b"x")
    assert young.exists()


def test_what_was_left_by_a_clock_that_was_ahead_is_deleted(tmp_path: Path) -> None:
    left = tmp_path / ".head.json.left"
    left.write_bytes(b"")
    os.utime(left, (time.time() + 7200, time.time() + 7200))
    replace_file(tmp_path / "head.json", b"x")
    assert not left.exists()


def test_a_rebuilt_log_that_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    template = tmp_path / "template"
    log, fresh = open_log(template / "log.jsonl"), open_log(template / ".log.jsonl.rebuild")
    for number in range(7):
        log.append(block(100 + number))
        fresh.append(block(number))

    def act(number: int) -> Callable[[], object]:
        folder = copy_home(template, tmp_path / str(number))
        return lambda: open_log(folder / "log.jsonl").replace_with(open_log(folder / ".log.jsonl.rebuild"))

    old = [line for number in range(100, 107) for line in block(number)]
    for number, death in deaths(act):
        folder = tmp_path / str(number)
        log = open_log(folder / "log.jsonl")
        left = read_lines(log)
        assert left in (old[len(old) - len(left) :], blocks(len(left) // 2)), death.place
        again = open_log(folder / ".log.jsonl.rebuild")
        again.remove()
        for following in range(7):
            again.append(block(following))
        log.replace_with(again)
        assert read_lines(log) == blocks(7), death.place
        assert verify_log(log.path).is_whole


# -- whole runs ----------------------------------------------------------------------------------------------------

LATER = 5000.0


def fed(root: Path) -> Home:
    """A home in which ten orders were traded."""
    home = Home(root)
    for number in range(10):
        at, name = number * 10.0, str(number)
        home.attempts(attempt_row(at, name))
        if number % 4 == 3:
            home.vetoes(veto_row(at + 1, name))
        elif number % 4 == 2:
            home.orders(error_row(at + 1, name))
        else:
            home.orders(ack_row(at + 1, name), fill_row(at + 2, name))
    return home


def run_all(home: Home) -> None:
    home.shadow(LATER)
    refresh_head(home.settings, T0 + LATER)
    home.compare(LATER)


def lines_in(path: Path) -> list[bytes]:
    """The lines of one of our logs, over its rotations and archives."""
    return [unchained(line) for line in open_log(path).backward()][::-1]


def diffs_in(path: Path) -> list[bytes]:
    """The diffs among them: where blocks end, and in which file, may differ after a kill."""
    return [line for line in lines_in(path) if b'"cursor":' not in line]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs that rotate often and are written in small blocks."""
    monkeypatch.setattr(JsonlLog.__init__, "__defaults__", (3000,))
    monkeypatch.setattr(shadow, "BLOCK_ROWS", 3)
    monkeypatch.setattr(compare, "BLOCK_DIFFS", 3)


@pytest.mark.usefixtures("small_files")
@pytest.mark.slow
def test_all_stages_on_a_home(tmp_path: Path) -> None:
    template = tmp_path / "template"
    fed(template)
    expected = fed(tmp_path / "expected")
    run_all(expected)
    places = set()

    def act(number: int) -> Callable[[], object]:
        home = Home(copy_home(template, tmp_path / str(number)))
        return lambda: run_all(home)

    for number, death in deaths(act):
        places.add(death.place)
        home = Home(tmp_path / str(number))
        run_all(home)
        rows = list(open_log(home.settings.shadow_log).backward())
        assert rows == list(open_log(expected.settings.shadow_log).backward()), death.place
        assert diffs_in(home.settings.compare_diffs) == diffs_in(expected.settings.compare_diffs), death.place
        assert home.settings.shadow_head.read_bytes() == expected.settings.shadow_head.read_bytes(), death.place
        assert home.summary() == expected.summary(), death.place
        assert verify_logs(home.settings).is_whole, death.place
        shutil.rmtree(tmp_path / str(number))
    assert places >= {f"before {name}" for name in ("open_to_append", "write", "sync", "rename", "open_temporary")}
    assert number > 40


@pytest.mark.slow
def test_a_rebuild_of_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JsonlLog.__init__, "__defaults__", (12_000,))
    monkeypatch.setattr(compare, "BLOCK_DIFFS", 4)
    template = fed(tmp_path / "template")
    run_all(template)
    diffs = template.diff_lines()

    def act(number: int) -> Callable[[], object]:
        home = Home(copy_home(tmp_path / "template", tmp_path / str(number)))
        return lambda: home.compare(LATER, rebuild=True)

    for number, death in deaths(act):
        home = Home(tmp_path / str(number))
        home.compare(LATER, rebuild=True)
        assert home.diff_lines() == diffs, death.place
        assert verify_logs(home.settings).is_whole, death.place
        shutil.rmtree(tmp_path / str(number))


def test_archives_are_whole_files_whenever_they_are_there(tmp_path: Path) -> None:
    template = tmp_path / "template"
    log = open_log(template / "log.jsonl")
    for number in range(6):
        log.append(block(number))

    def act(number: int) -> Callable[[], object]:
        path = copy_home(template, tmp_path / str(number)) / "log.jsonl"
        return lambda: open_log(path).append(block(6))

    for number, _ in deaths(act):
        for packed in (tmp_path / str(number)).glob("log.*.gz"):
            assert [unchained(line) for line in gzip.decompress(packed.read_bytes()).splitlines()] == block(0)


def test_a_write_that_the_disk_takes_in_parts_is_one_block_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = disk.write
    monkeypatch.setattr(disk, "write", lambda file, content: write(file, bytes(content)[:11]))
    log = open_log(tmp_path / "log.jsonl")
    for number in range(7):
        log.append(block(number))
    assert read_lines(log) == blocks(7)
    assert verify_log(log.path).is_whole
