"""The reports that people read."""

from base64 import b64encode
from pathlib import Path

import dagster as dg

from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.stages.outputs.links import report_url
from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster.stages.replay.file import write_replay

_GROUP = "report"

_FLIP_COLUMNS = {
    "stopped": "int",
    "let_through": "int",
    "executed_gross_usd": "float",
    "fees_usd": "float",
    "slippage_usd": "float",
    "profit_usd": "float",
}


@dg.asset(
    deps=["compare_diffs", "compare_summary"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "html"},
    tags={"written_by": "pipeline_v6"},
    description="The verdict and its evidence on one page, for who decides: words, plots, the worst cases.",
)
def parity_report(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Write the page."""
    report = write_report(pipeline.settings, pipeline.clock())
    page = report_url(pipeline.settings)
    picture = b64encode(report.thumbnail).decode()
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(report.path),
            "thumbnail": dg.MetadataValue.md(f"![{report.status}](data:image/png;base64,{picture})"),
            # A browser refuses to open a file of this machine from a page, so there is a link only to a server.
            **({"page": dg.MetadataValue.url(page)} if page else {}),
            "status": report.status.value,
            "verdict": report.verdict,
            "decisions": report.decisions,
            "upsizes": report.upsizes,
            "size_bytes": report.size_bytes,
        }
    )


class ReplayConfig(dg.Config):
    """What a replay is run with.

    `config_dir` is a folder with risk_limits.json and pairs_universe.json; empty is the configuration in use, under
    which nothing changes. `from_time` and `to_time` are ISO-8601 with a zone; empty is no bound.
    """

    config_dir: str = ""
    from_time: str = ""
    to_time: str = ""


@dg.asset(
    deps=["order_attempts", "orders_executed", "risk_vetoes", "compare_diffs"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description=(
        "The history again under the configuration in `config_dir`: decisions that flip, orders that would not have"
        " been placed and what they earned or lost, dollars, the verdict. Reads the live logs, changes none."
    ),
)
def replay_report(config: ReplayConfig, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Replay, and write the answer beside the parity report."""
    config_dir = Path(config.config_dir) if config.config_dir else pipeline.settings.config_dir
    written = write_replay(pipeline.settings, config_dir, pipeline.clock, config.from_time, config.to_time)
    data = written.data
    flips, not_placed, change = data["flips"], data["not_placed"], data["dollars"]["change"]
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(written.path),
            "decisions": data["decisions"],
            "stopped": flips["stopped"],
            "let_through": flips["let_through"],
            "orders_not_placed": not_placed["orders"],
            "earned_usd": not_placed["earned_usd"],
            "lost_usd": not_placed["lost_usd"],
            "verdict_now": f"{data['now']['status']}, {data['now']['verdict']}",
            **{f"{name}_change": value for name, value in change.items()},
            "by_rule": table(_FLIP_COLUMNS | {"rules": "string"}, flips["by_rule"]),
            "by_symbol": table(_FLIP_COLUMNS | {"symbol": "string"}, flips["by_symbol"]),
        }
    )
