"""How a check is declared, and how what it says is reported: as a Dagster check result and to the alert outbox."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import without_output
from pipeline_v6_dagster.defs.fleet.reporting import hand_over_alerts
from pipeline_v6_dagster.defs.keys import COUNT, FAILING_IDS, IS_MEASURED, REMEMBERED
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.stages.outputs.alerts import record_alerts
from pipeline_v6_dagster.stages.outputs.evaluation import MAX_ROWS, Evaluation
from pipeline_v6_dagster.stages.outputs.links import runbook_entry, runbook_link


def check_spec(name: str, asset: str, description: str | None = None) -> dg.AssetCheckSpec:
    """The check `name` on `asset` as the definitions declare it; described by its guidance if not otherwise."""
    return dg.AssetCheckSpec(name, asset=asset, description=description or GUIDANCE[name].description)


def report_checks(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    checks: Mapping[dg.AssetCheckKey, Callable[[], Evaluation]],
) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    """Evaluate checks in their order, and record the alerts that are due.

    Where a run selects checks, these; where it selects assets alone, as the jobs do, those of its assets, each stored
    as one event instead of three (ADR 15).

    Alerts are recorded once all checks of the run are known, also where one of them raises: which failure explains
    which is seen from all of them. A run that is killed before that loses nothing, because the next evaluation finds
    the same state.
    """
    evaluations: list[Evaluation] = []
    selected, assets = context.selected_asset_check_keys, context.selected_asset_keys
    try:
        for key, evaluate in checks.items():
            if key in selected or (not selected and key.asset_key in assets):
                evaluation = evaluate()
                evaluations.append(evaluation)
                result = check_result(pipeline.settings, evaluation)
                yield result if selected else without_output(context, result)
    finally:
        record_alerts(pipeline.settings, evaluations, pipeline.clock(), host=pipeline.host, run_id=context.run.run_id)
        hand_over_alerts(context, pipeline)


def check_result(settings: Settings, evaluation: Evaluation) -> dg.AssetCheckResult:
    """The evaluation as the UI shows it."""
    return dg.AssetCheckResult(
        asset_key=evaluation.asset,
        check_name=evaluation.name,
        passed=evaluation.passes,
        severity=dg.AssetCheckSeverity(evaluation.severity.value),
        description=evaluation.text_with_acknowledgement,
        metadata=_metadata(settings, evaluation),
    )


def _metadata(settings: Settings, evaluation: Evaluation) -> dict[str, Any]:
    passes = evaluation.passes
    failing_ids = list(evaluation.failing_ids[:MAX_ROWS])
    rows = list(evaluation.sample[:MAX_ROWS]) if evaluation.shows_rows or not passes else []
    # Every evaluation is kept twice, for weeks: what nobody reads of one that passed is left out.
    return {
        **({COUNT: evaluation.count} if evaluation.count is not None else {}),
        **{name: figure for name, figure in evaluation.figures.items() if figure is not None},
        **({"sample": table(evaluation.columns, rows)} if rows else {}),
        **({} if passes else _help(settings, evaluation)),
        **({FAILING_IDS: dg.MetadataValue.json(failing_ids)} if failing_ids else {}),
        **({REMEMBERED: dg.MetadataValue.json(dict(evaluation.remembered))} if evaluation.remembered else {}),
        **({} if evaluation.is_measured else {IS_MEASURED: False}),
    }


def _help(settings: Settings, evaluation: Evaluation) -> dict[str, Any]:
    """What an operator needs where a check fails."""
    entry = runbook_entry(evaluation.name)
    if settings.runbook_url or entry is None:
        runbook: dg.MetadataValue[Any] = dg.MetadataValue.url(runbook_link(settings, evaluation.name))
    else:
        # A browser refuses to open a file of this machine from a page: the entry itself is shown.
        runbook = dg.MetadataValue.md(entry)
    return {"what_to_do": evaluation.to_do, "runbook": runbook}
