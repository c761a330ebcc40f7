"""The comparison against a second, plain implementation: every pair, outcome and difference agrees."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.logs.compare_log import open_compare_log
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster_tests.homes import START_TS, fixed
from pipeline_v6_dagster_tests.reference.plain import align, plain_compare

SECONDS = 20_000.0
EXACT = ("live_outcome", "match_method", "mismatch_kind", "veto_mismatch", "is_upsize", "is_overfill", "is_downsize")
FIGURES = ("size_pct_diff", "sizing_diff_pct", "slippage_diff_bps", "impact_usd")
ALL = ("order_attempts", "orders_executed", "risk_vetoes")
LIVE_FIGURES = ("requested_qty", "executed_qty", "avg_price")


def compared(home: Path, executor: SimulatedExecutor, struck: tuple[str, ...]) -> tuple[Settings, dict[str, float]]:
    """A home that was compared in several runs, the last of which settled everything. `struck` logs lost their ids."""
    settings = load_settings({"PIPELINE_V6_HOME": str(home)}, home)
    write_configuration(settings)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    for part in range(1, 5):
        until = START_TS + SECONDS * part / 4
        write_feed(settings, executor.run(until))
        strike_out_ids([getattr(settings, name) for name in struck])
        run_shadow(settings, limits, fixed(until))
        run_compare(settings, limits, fixed(until))
    run_compare(settings, limits, fixed(START_TS + SECONDS + 3 * settings.match_tolerance_s))
    lots = {symbol: rules.lot_step for symbol, rules in limits.symbols.items() if rules.lot_step is not None}
    return settings, lots


def strike_out_ids(logs: list[Path]) -> None:
    """Take the ids of half of the intents out of these logs, as an executor in the middle of an upgrade would."""
    for path in filter(Path.exists, logs):
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        for row in rows:
            inner = row.get("veto_detail", {}).get("intent", {})
            for ids in (row, inner):
                if str(ids.get("intent_id", "")) > "ord_8":
                    ids.pop("intent_id")
                    ids.pop("attempt_id", None)
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def newest_diffs(settings: Settings) -> tuple[dict[str, dict[str, Any]], int]:
    """(the newest diff of each decision, the number of orders that no decision explains)."""
    rows = [json.loads(line) for line in open_compare_log(settings).backward()]
    diffs: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.get("decision_id") is not None:
            diffs.setdefault(row["decision_id"], row)
    return diffs, sum(row.get("mismatch_kind") == "live_only" for row in rows)


@pytest.mark.parametrize(
    ("seed", "attempts_per_s", "faults", "struck"),
    [
        (1, 0.05, {"upsize_share": 0.1, "error_share": 0.1, "veto_share": 0.1}, ()),
        (2, 0.02, {"upsize_share": 0.1, "error_share": 0.2, "veto_share": 0.2, "idless_share": 1.0}, ()),
        (3, 0.004, {"upsize_share": 0.1, "error_share": 0.1, "veto_share": 0.2}, ALL),
        (4, 0.004, {"upsize_share": 0.1, "error_share": 0.1, "veto_share": 0.2}, ALL[:1]),
        (5, 0.004, {"upsize_share": 0.1, "error_share": 0.1, "veto_share": 0.2}, ALL[1:]),
    ],
)
def test_every_pair_outcome_and_difference_agrees(
    tmp_path: Path, seed: int, attempts_per_s: float, faults: dict[str, float], struck: tuple[str, ...]
) -> None:
    executor = SimulatedExecutor(seed, START_TS, attempts_per_s, **faults)
    settings, lots = compared(tmp_path, executor, struck)
    diffs, live_only = newest_diffs(settings)
    expected, strangers = plain_compare(
        list(open_shadow_log(settings).backward())[::-1],
        settings.orders_executed.read_bytes().splitlines(),
        settings.risk_vetoes.read_bytes().splitlines(),
        lot_steps=lots,
    )
    assert diffs.keys() == expected.keys()
    assert len(diffs) > 50
    for decision_id, plain in expected.items():
        found = diffs[decision_id]
        live = found["live"] or {}
        if found["reduce_label"] == "exceeded":  # The second implementation knows no positions.
            continue
        assert {name: found[name] for name in EXACT} == {name: plain[name] for name in EXACT}, decision_id
        assert sorted(leg["order_id"] for leg in live.get("legs", ())) == plain["order_ids"]
        figures = {name: found[name] for name in FIGURES} | {name: live.get(name) for name in LIVE_FIGURES}
        measured = {name: figure for name, figure in figures.items() if figure is not None}
        assert measured.keys() == {name for name in figures if plain[name] is not None}, decision_id
        assert measured == pytest.approx({name: plain[name] for name in measured}, rel=1e-9, abs=1e-9)
    assert live_only == len(strangers)
    methods = {found["match_method"] for found in diffs.values()}
    assert {"intent_id", "time"} <= methods


@pytest.mark.parametrize(
    ("decisions", "orders", "pairs"),
    [([0.0, 9.0], [9.5, 18.0], [(1, 1), (0, 0)]), ([0.0, 9.0], [9.5], [(1, 0)]), ([0.0], [11.0], [])],
)
def test_the_plain_alignment_finds_what_is_best(
    decisions: list[float], orders: list[float], pairs: list[tuple[int, int]]
) -> None:
    assert align(decisions, orders, lambda i, j: -2 <= orders[j] - decisions[i] <= 10) == pairs
