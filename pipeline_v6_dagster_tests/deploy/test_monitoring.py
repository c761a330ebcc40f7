"""The Grafana dashboard and the Prometheus rules: their syntax, and that what they ask for is there."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from pipeline_v6_dagster.stages.outputs.metrics import build_samples
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.docs.test_links import anchors
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

REPO = Path(__file__).parents[2]
DASHBOARD = json.loads((REPO / "deploy" / "grafana" / "pipeline_v6_dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((REPO / "deploy" / "prometheus" / "pipeline_v6_rules.yml").read_text(encoding="utf-8"))

_NAME = re.compile(r"\bpipeline_v6_\w+")
_LABEL = re.compile(r"(\w+)\s*(?:=~?|!=|!~)\s*\"")


def expressions() -> Iterator[str]:
    """Every query of both files."""
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Label names by metric, as a home with everything in it gives them."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    with settings.orders_executed.open("ab") as log:
        log.write(b"no row\n")
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    found: dict[str, set[str]] = {}
    for sample in build_samples(read_status(settings, START_TS + 3600)):
        found.setdefault(sample["name"], set()).update(sample["labels"])
    return found


@pytest.mark.parametrize("expression", [*expressions()])
def test_every_query_is_promql_over_metrics_and_labels_that_are_there(
    expression: str, metrics: dict[str, set[str]]
) -> None:
    promql_parser.parse(expression)
    names = set(_NAME.findall(expression))
    assert names
    assert names <= set(metrics)
    assert set(_LABEL.findall(expression)) <= set().union(*(metrics[name] for name in names))


def test_a_query_with_a_mistake_is_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        promql_parser.parse("pipeline_v6_upsizes > and 0")


def test_every_legend_names_a_label_that_is_there(metrics: dict[str, set[str]]) -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            labels = set().union(*(metrics[name] for name in _NAME.findall(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below


def test_the_dashboard_takes_the_data_source_of_whoever_imports_it() -> None:
    assert [variable["type"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}


def test_every_alert_says_what_to_do_and_leads_to_its_entry_in_the_runbook() -> None:
    runbook = anchors((REPO / "docs" / "runbook.md").read_text(encoding="utf-8"))
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert path == "docs/runbook.md"
        assert anchor in runbook, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_every_command_that_the_rules_name_is_there() -> None:
    import click

    from pipeline_v6_dagster.cli.main import cli

    text = (REPO / "deploy" / "prometheus" / "pipeline_v6_rules.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"pipeline-v6 ([a-z]+)", text))
    assert named <= set(cli.list_commands(click.Context(cli)))
