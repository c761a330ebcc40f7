"""What every check says in the same form: count, capped sample, figures that plot, what to do, where to read on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import COUNT, IS_MEASURED, OFFENDERS, REMEMBERED
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.runbook import runbook_link
from pipeline_v6_dagster.defs.tables import MAX_ROWS, table
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.logs.compare_log import read_summary, read_window


@dataclass(frozen=True)
class Finding:
    """What a check found.

    `text` says what is so, with figures. `count` is how many rows offend, exactly; `sample` the newest of them, at
    most MAX_ROWS, with `columns` in the order shown; `offenders` their ids, where each of them is news by itself.
    A figure that is None was not measured and is left out: a plot cannot show null. Where nothing could be measured
    at all, `is_measured` is false, and the check has not passed. `remembered` is for the next evaluation.
    """

    has_passed: bool
    severity: dg.AssetCheckSeverity
    text: str
    count: int | None
    columns: Mapping[str, str] = field(default_factory=dict)
    sample: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, float | int | None] = field(default_factory=dict)
    offenders: Sequence[str] = ()
    is_measured: bool = True
    remembered: Mapping[str, Any] = field(default_factory=dict)


class Look:
    """What a step has to write from and its checks look at, each part read once and only where one asks for it."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.pipeline = pipeline
        self.settings = pipeline.settings
        self.instance = instance

    @cached_property
    def now(self) -> float:
        """When the first check asked (epoch s)."""
        return self.pipeline.clock()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The newest summary."""
        return read_summary(self.settings)

    @cached_property
    def window(self) -> list[Diff]:
        """The diffs that it covers, newest first."""
        return read_window(self.settings)


@dataclass(frozen=True)
class Check:
    """One check: its name, the asset that it stands on, and how it finds what it says."""

    name: str
    asset: str
    find: Callable[[Look], Finding]


def spec_of(check: Check) -> dg.AssetCheckSpec:
    """The check as the definitions declare it."""
    guidance = GUIDANCE[check.name]
    return dg.AssetCheckSpec(check.name, asset=check.asset, description=f"{guidance.holds} If not: {guidance.todo}")


def evaluate(check: Check, look: Look) -> dg.AssetCheckResult:
    """What the check says now."""
    finding = check.find(look)
    return dg.AssetCheckResult(
        asset_key=check.asset,
        check_name=check.name,
        passed=finding.has_passed and finding.is_measured,
        severity=finding.severity,
        description=finding.text if finding.is_measured else f"not measured: {finding.text}",
        metadata=_metadata(look.settings, check.name, finding),
    )


def _metadata(settings: Settings, name: str, finding: Finding) -> dict[str, Any]:
    figures = {key: figure for key, figure in finding.figures.items() if figure is not None}
    sample = finding.sample[:MAX_ROWS]
    has_passed = finding.has_passed and finding.is_measured
    return {
        **({COUNT: finding.count} if finding.count is not None else {}),
        **figures,
        # Every evaluation is kept twice, for weeks: what nobody reads of one that passed is left out.
        **({"sample": table(finding.columns, sample), "what_to_do": GUIDANCE[name].todo} if not has_passed else {}),
        **({OFFENDERS: dg.MetadataValue.json(list(finding.offenders[:MAX_ROWS]))} if finding.offenders else {}),
        **({REMEMBERED: dg.MetadataValue.json(dict(finding.remembered))} if finding.remembered else {}),
        IS_MEASURED: finding.is_measured,
        "runbook": dg.MetadataValue.url(runbook_link(settings, name)),
    }
