"""What every check says in the same form: count, capped sample, figures that plot, what to do, where to read on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import COUNT, IS_MEASURED, OFFENDERS, REMEMBERED
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.runbook import runbook_link
from pipeline_v6_dagster.defs.tables import MAX_ROWS, table


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


def check(name: str, asset: str, find: Callable[[Pipeline, dg.DagsterInstance], Finding]) -> dg.AssetChecksDefinition:
    """An asset check that says what `find` found. The instance is for what has to know its own last answer."""
    guidance = GUIDANCE[name]

    @dg.asset_check(asset=asset, name=name, description=f"{guidance.holds} If not: {guidance.todo}")
    def asset_check(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.AssetCheckResult:
        finding = find(pipeline, context.instance)
        return dg.AssetCheckResult(
            passed=finding.has_passed and finding.is_measured,
            severity=finding.severity,
            description=finding.text if finding.is_measured else f"not measured: {finding.text}",
            metadata=_metadata(pipeline.settings, name, finding),
        )

    return asset_check


def _metadata(settings: Settings, name: str, finding: Finding) -> dict[str, Any]:
    figures = {key: figure for key, figure in finding.figures.items() if figure is not None}
    sample = finding.sample[:MAX_ROWS]
    return {
        **({COUNT: finding.count} if finding.count is not None else {}),
        **figures,
        **({"sample": table(finding.columns, sample)} if finding.columns else {}),
        **({OFFENDERS: dg.MetadataValue.json(list(finding.offenders[:MAX_ROWS]))} if finding.offenders else {}),
        **({REMEMBERED: dg.MetadataValue.json(dict(finding.remembered))} if finding.remembered else {}),
        IS_MEASURED: finding.is_measured,
        "what_to_do": GUIDANCE[name].todo,
        "runbook": dg.MetadataValue.url(runbook_link(settings, name)),
    }
