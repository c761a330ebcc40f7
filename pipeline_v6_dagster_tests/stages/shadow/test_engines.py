"""Engines of a desk's own: loaded by name, asked, and guarded."""

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION
from pipeline_v6_dagster.stages.shadow.run import ShadowRun, run_shadow
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

MODULE = """
    from types import SimpleNamespace
    from pipeline_v6_dagster.domain.decision import SizeDecision

    class DeniesEth:
        def __init__(self, limits):
            assert limits.symbols

        def check_order(self, intent, state):
            if intent.symbol == "ETHUSDT":
                return SimpleNamespace(allowed=False, reasons=["restricted_symbol"], clamped_qty=0.0)
            return SimpleNamespace(allowed=True, reasons=[])

    def fragile(limits):
        class Fragile:
            def check_order(self, intent, state):
                return 1 / (intent.symbol != "ETHUSDT") and SimpleNamespace(allowed=True, reasons=[])
        return Fragile()

    class Answers:
        def __init__(self, answer):
            self.answer = answer

        def check_order(self, intent, state):
            return self.answer

    unknown_reason = Answers(SimpleNamespace(allowed=False, reasons=["because"]))
    denies_without_reason = Answers(SimpleNamespace(allowed=False, reasons=[]))
    allows_with_reason = Answers(SimpleNamespace(allowed=True, reasons=["kill_switch"]))
    no_boolean = Answers(SimpleNamespace(allowed="yes", reasons=[]))
    nothing = Answers(None)

    class Halves:
        def size_order(self, intent, risk):
            return SizeDecision(intent.quote_notional / 2, intent.qty / 2, ("half",))

    halves = Halves()

    class Doubles:
        def size_order(self, intent, risk):
            return SizeDecision(intent.quote_notional * 2, intent.qty * 2, ())

    doubles = Doubles()

    class NotFinite:
        def size_order(self, intent, risk):
            return SizeDecision(float("nan"), intent.qty, ())

    not_finite = NotFinite()

    class NoRoute:
        def route_order(self, intent, size, record):
            return "taker"

    no_route = NoRoute()
    without_methods = object()
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with a desk's engines."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "desk_engines.py").write_text(dedent(MODULE))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "desk_engines", raising=False)
    return "desk_engines"


def decided(home: Path, **environ: str) -> tuple[ShadowRun, list[dict[str, object]]]:
    settings, _ = simulated_home(home, seconds=900, **environ)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run = run_shadow(settings, limits, fixed(START_TS + 900))
    return run, [json.loads(line) for line in settings.shadow_log.read_text().splitlines()]


def list_reasons(row: dict[str, object]) -> list[str]:
    risk = row["risk_decision"]
    assert isinstance(risk, dict)
    found: list[str] = risk["reasons"]
    return found


def test_a_risk_engine_of_the_older_kind_decides(tmp_path: Path, desk: str) -> None:
    run, rows = decided(tmp_path / "home", PIPELINE_V6_RISK_ENGINE=f"{desk}:DeniesEth")
    eth = [row for row in rows if row["symbol"] == "ETHUSDT"]
    assert 0 < len(eth) < len(rows)
    assert all(list_reasons(row) == (["restricted_symbol"] if row in eth else []) for row in rows)
    assert (run.denied, run.allowed) == (len(eth), len(rows) - len(eth))
    assert {row["engine_version"] for row in rows} == {f"{ENGINE_VERSION}+{desk}:DeniesEth"}


def test_what_an_engine_raises_denies_that_attempt_and_the_run_goes_on(tmp_path: Path, desk: str) -> None:
    run, rows = decided(tmp_path / "home", PIPELINE_V6_RISK_ENGINE=f"{desk}:fragile")
    failed = [row for row in rows if list_reasons(row) == ["engine_error"]]
    assert {row["symbol"] for row in failed} == {"ETHUSDT"}
    assert run.deny_reasons == {"engine_error": len(failed)}
    assert run.allowed > 0
    assert "ZeroDivisionError" in json.dumps(failed[0]["risk_decision"])
    assert "size_decision" not in failed[0]


@pytest.mark.parametrize(
    "engine", ["unknown_reason", "denies_without_reason", "allows_with_reason", "no_boolean", "nothing"]
)
def test_an_answer_that_is_none_denies(tmp_path: Path, desk: str, engine: str) -> None:
    run, rows = decided(tmp_path / "home", PIPELINE_V6_RISK_ENGINE=f"{desk}:{engine}")
    assert run.allowed == 0
    assert all(list_reasons(row) == ["engine_error"] for row in rows)


def test_a_sizer_of_ones_own_may_make_an_order_smaller(tmp_path: Path, desk: str) -> None:
    _, rows = decided(tmp_path / "home", PIPELINE_V6_SIZER=f"{desk}:halves")
    sized = [row for row in rows if "size_decision" in row]
    assert sized
    for row in sized:
        size, intent = row["size_decision"], row["intent"]
        assert isinstance(size, dict)
        assert isinstance(intent, dict)
        assert size["qty"] == intent["qty"] / 2


@pytest.mark.parametrize(
    ("setting", "engine"),
    [
        ("PIPELINE_V6_SIZER", "doubles"),
        ("PIPELINE_V6_SIZER", "not_finite"),
        ("PIPELINE_V6_ROUTER", "no_route"),
    ],
)
def test_a_sizer_that_enlarges_or_a_router_that_does_not_route_denies(
    tmp_path: Path, desk: str, setting: str, engine: str
) -> None:
    run, _ = decided(tmp_path / "home", **{setting: f"{desk}:{engine}"})
    assert run.allowed == 0
    assert run.deny_reasons["engine_error"] > 0


def test_engines_that_cannot_be_loaded_are_all_named_and_nothing_is_written(tmp_path: Path, desk: str) -> None:
    settings, _ = simulated_home(
        tmp_path / "home",
        seconds=60,
        PIPELINE_V6_RISK_ENGINE="no_such_module:Engine",
        PIPELINE_V6_SIZER=f"{desk}:no_such_attribute",
        PIPELINE_V6_ROUTER=f"{desk}:without_methods",
    )
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    with pytest.raises(ConfigError) as refused:
        run_shadow(settings, limits, fixed(START_TS))
    assert [problem.key for problem in refused.value.problems] == [
        "PIPELINE_V6_RISK_ENGINE",
        "PIPELINE_V6_SIZER",
        "PIPELINE_V6_ROUTER",
    ]
    assert not settings.shadow_log.exists()


@pytest.mark.parametrize("named", ["module", "module:", ":attribute", "a b:c", "../module:x", "os.system:('x')"])
def test_a_name_that_is_no_module_and_attribute_is_refused(tmp_path: Path, named: str) -> None:
    with pytest.raises(ConfigError, match="PIPELINE_V6_RISK_ENGINE"):
        simulated_home(tmp_path, seconds=1, PIPELINE_V6_RISK_ENGINE=named)
