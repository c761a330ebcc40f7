"""What no log line, file or setting can make this project do."""

import ast
import json
import os
import stat
from pathlib import Path

import pytest

import pipeline_v6_dagster
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, fill_row, veto_row

PACKAGE = Path(pipeline_v6_dagster.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
LATER = 5000.0

UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib", "code"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "yaml.load"}
# What a log may call itself, an order, a symbol.
HOSTILE_NAMES = [
    "../../../escaped",
    "/tmp/escaped",  # noqa: S108 -- must not be made
    "$(touch escaped)",
    "`touch escaped`",
    "; touch escaped",
    "{{ 7 * 7 }}{% raise %}",
    "%(name)s{0.__class__}%n",
    "<script>alert(1)</script>",
    "a\x00b\x1b[31m\r\n",
    "con.jsonl",
]


def calls(tree: ast.Module) -> list[tuple[int, str, ast.Call]]:
    return [(node.lineno, ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNSAFE_MODULES
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNSAFE_MODULES
    for line, name, call in calls(tree):
        assert name not in UNSAFE_CALLS, f"{path}:{line}"
        assert not any(keyword.arg == "shell" for keyword in call.keywords), f"{path}:{line}"


def test_modules_are_imported_by_name_only_for_commands_definitions_and_the_engines_of_the_settings() -> None:
    importing = {
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        for _, name, _ in calls(ast.parse(path.read_text(encoding="utf-8")))
        if name.endswith(("import_module", "spec_from_file_location", "exec_module", "load_source"))
    }
    assert importing == {"cli/main.py", "defs/loading.py", "stages/shadow/engines.py"}


def test_an_engine_is_loaded_only_where_the_setting_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    home.attempts(attempt_row(0, "1"))
    for folder in (home.settings.home, home.settings.logs_dir, home.settings.config_dir):
        (folder / "desk_plugin.py").write_text("raise SystemExit('loaded')\n")
    monkeypatch.chdir(home.settings.home)
    assert pipeline_v6(home.settings.home, "shadow").exit_code == 0
    monkeypatch.syspath_prepend(str(home.settings.config_dir))
    named = pipeline_v6(home.settings.home, "shadow", PIPELINE_V6_RISK_ENGINE="no_such_desk:Engine")
    assert (named.exit_code, named.stderr.count("\n")) == (65, 1)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_is_written_is_for_its_owner_to_write_and_its_group_to_read(tmp_path: Path, umask: int) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    theirs = set(tmp_path.rglob("*"))
    before = os.umask(umask)
    try:
        for command in ("shadow", "heartbeat", "compare", "report", "verify", "status"):
            pipeline_v6(tmp_path, command)
    finally:
        os.umask(before)
    ours = [path for path in tmp_path.rglob("*") if path not in theirs and path.is_file()]
    assert {"pipeline_v6_shadow.jsonl", "pipeline_v6_compare.jsonl", "pipeline_v6_shadow_head.json"} <= {
        path.name for path in ours
    }
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in ours} == {path.name: "0o640" for path in ours}


@pytest.mark.slow
def test_no_value_of_a_log_reaches_a_path_or_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a" / "b" / "home"
    monkeypatch.chdir(tmp_path)
    homes = []
    for name in ("plain", "hostile"):
        home = Home(root / name)
        for number, text in enumerate(HOSTILE_NAMES):
            value = text if name == "hostile" else f"name{number}"
            changes = {"symbol": value, "strategy_id": value, "tier": value, "strategy": value}
            home.attempts(attempt_row(number * 10, value, **changes), attempt_row(number * 10 + 1, value))
            home.orders(ack_row(number * 10 + 2, value, symbol=value), fill_row(number * 10 + 3, value))
            home.vetoes(veto_row(number * 10 + 4, value, veto_reason=value, symbol=value))
        for command in ("shadow", "heartbeat", "compare", "report", "status", "doctor", "verify"):
            assert pipeline_v6(home.settings.home, command).exit_code in (0, 1, 2, 3)
        homes.append({str(path.relative_to(root / name)) for path in (root / name).rglob("*")})
    assert homes[0] == homes[1]
    assert not list(tmp_path.rglob("*escaped*"))
    assert not Path("/tmp/escaped").exists()  # noqa: S108 -- see above
    written = [json.loads(line) for line in (root / "hostile/logs/pipeline_v6_shadow.jsonl").read_bytes().splitlines()]
    assert {row["symbol"] for row in written} >= set(HOSTILE_NAMES)
