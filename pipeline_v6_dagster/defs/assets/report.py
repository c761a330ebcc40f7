"""The reports that people read."""

from base64 import b64encode

import dagster as dg

from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.stages.report import write_report

GROUP = "report"


@dg.asset(
    deps=["compare_diffs", "compare_summary"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "html"},
    tags={"written_by": "pipeline_v6"},
    description="The verdict and its evidence on one page, for who decides: words, plots, the worst cases.",
)
def parity_report(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Write the page."""
    report = write_report(pipeline.settings, pipeline.clock())
    picture = b64encode(report.thumbnail).decode()
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(report.path),
            "thumbnail": dg.MetadataValue.md(f"![{report.status}](data:image/png;base64,{picture})"),
            "page": dg.MetadataValue.url(report.path.as_uri()),
            "status": report.status.value,
            "verdict": report.verdict,
            "decisions": report.decisions,
            "upsizes": report.upsizes,
            "size_bytes": report.size_bytes,
        }
    )
