"""docs/reference.md is made from the code: what it says of settings, commands, fields, reasons, faults cannot be wrong.

Run as a module, this writes the page anew: `python -m pipeline_v6_dagster_tests.docs.test_reference`.
"""

import dataclasses
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, LiveSide, MatchMethod, MismatchKind, RootCause
from pipeline_v6_dagster.domain.live import Leg
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision
from pipeline_v6_dagster.domain.summary import Coverage, Head, SizingStats, Status, Summary, Upsize, Verdict
from pipeline_v6_dagster.simulator import faults
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE, ROW_FAULTS
from pipeline_v6_dagster.simulator.faults import Fault
from pipeline_v6_dagster.stages.outputs.metrics import samples_of
from pipeline_v6_dagster.stages.outputs.report import report_path
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.stages.replay.file import replay_path
from pipeline_v6_dagster.stages.simulate.run import truth_path
from pipeline_v6_dagster_tests.homes import settings_of

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"

_RECORDS: tuple[tuple[str, type], ...] = (
    ("Intent, in a shadow row", OrderIntent),
    ("Risk decision, in a shadow row", RiskDecision),
    ("Diff", Diff),
    ("Live side of a diff", LiveSide),
    ("Exchange order of a live side", Leg),
    ("Summary", Summary),
    ("Sizing statistics of the summary", SizingStats),
    ("Coverage of the summary", Coverage),
    ("Upsize of the summary", Upsize),
    ("Head", Head),
)
_ENUMS: tuple[type[StrEnum], ...] = (
    Status,
    Verdict,
    MismatchKind,
    LiveOutcome,
    MatchMethod,
    RootCause,
    Rejection,
    IgnoredRow,
)


def page() -> str:
    """The whole page."""
    parts = [
        "# Reference\n\nMade from the code by `pipeline_v6_dagster_tests/docs/test_reference.py`, and held equal to it."
        " What the words mean is in the\n[glossary](glossary.md); the deny reasons of v6 have a"
        " [page of their own](reasons.md).\n",
        "## Commands\n\n" + "".join(map(_command, cli.list_commands(click.Context(cli)))),
        "## Exit codes\n\n" + _table(("code", "when"), _exit_codes()),
        "## Settings\n\n" + _table(("variable", "meaning"), _settings()),
        "## Files\n\n" + _table(("file", "what"), _files()),
        "## Checks and alerts\n\nEach has its entry in the [runbook](runbook.md).\n\n"
        + _table(("name", "holds"), _checks()),
        "## Fields\n\nNull means that it was not measured.\n\n" + "".join(_record(*record) for record in _RECORDS),
        "## Words in fields\n\n" + _table(("kind", "words"), map(_enum, _ENUMS)),
        "## Faults\n\nWhat `pipeline-v6 simulate --fault NAME:SHARE` can do.\n\n"
        + _table(("fault", "share"), _faults())
        + "\nThese as well, all of which `pipeline-v6 drill` injects into a copy of a desk's own logs; `simulate` takes"
        " those that are marked.\n\n"
        + _table(("fault", "group", "what happens", "must break", "`simulate`"), _drill_faults()),
        "## Metrics\n\nWhat `pipeline-v6 metrics` prints once everything was measured; see `deploy/prometheus/`.\n\n"
        + _table(("metric", "labels"), _metrics()),
    ]
    return "\n".join(parts)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _command(name: str) -> str:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    options = [
        (", ".join(f"`{opt}`" for opt in option.opts), _sentence(option.help or ""))
        for option in command.params
        if isinstance(option, click.Option)
    ]
    told = " ".join((command.help or "").split())
    return f"### {name}\n\n{told}\n\n{_table(('option', 'meaning'), options)}\n"


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _exit_codes() -> list[tuple[str, str]]:
    return [
        ("0", "done; of `status`: green"),
        ("1", "`status`: red or amber"),
        ("2", "`status`: warmup or inconclusive"),
        ("3", "`status`: no data, or what there is is stale"),
        ("64", "bad usage"),
        ("65", "bad data or configuration; `verify`: a line was changed"),
        ("70", "a fault of this program"),
        ("74", "a path cannot be read or written"),
        ("75", "another process holds the log"),
        ("130", "interrupted"),
    ]


def _settings() -> Iterable[tuple[str, str]]:
    return ((f"`{field.alias}`", field.description or "") for field in Settings.model_fields.values())


def _files() -> Iterable[tuple[str, str]]:
    settings = settings_of(Path("/home"))
    files = (
        (settings.order_attempts, "read: what the strategy asked for"),
        (settings.orders_executed, "read: acks, fills, errors"),
        (settings.order_metrics, "read: prices, timing, fees, slippage"),
        (settings.risk_vetoes, "read: what live refused"),
        (settings.position_state, "read: position snapshots"),
        (settings.risk_limits, "read: limits"),
        (settings.pairs_universe, "read: symbols, tiers, leverage, exchange filters"),
        (settings.shadow_log, "written by `shadow`: a decision for every attempt"),
        (settings.shadow_head, "written by `heartbeat`: the newest decisions in numbers"),
        (settings.compare_diffs, "written by `compare`: diffs, and a summary per run"),
        (settings.compare_summary, "written by `compare`: the newest summary"),
        (settings.alert_outbox, "written by `compare` and Dagster: alerts, and which channel accepted them"),
        (report_path(settings), "written by `report`: the verdict and its evidence on one page"),
        (replay_path(settings), "written by the asset `replay_report`: what another configuration would change"),
        (truth_path(settings), "written by `simulate`: every fault that was injected"),
    )
    return ((f"`{path.relative_to('/home')}`", text) for path, text in files)


def _checks() -> Iterable[tuple[str, str]]:
    return (
        (f"[`{name}`](runbook.md#{name})", f"Passes when {guidance.passes_when}.")
        for name, guidance in GUIDANCE.items()
    )


def _record(title: str, record: type) -> str:
    told = " ".join((record.__doc__ or "").split())
    rows = ((f"`{field.name}`", f"`{_type_of(field)}`") for field in dataclasses.fields(record))
    return f"### {title}\n\n{told}\n\n{_table(('field', 'type'), rows)}\n"


def _type_of(field: "dataclasses.Field[Any]") -> str:
    kind = field.type
    text = (
        kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else str(kind)
    )
    return re.sub(r"\b(?:[a-z_][a-z_0-9]*\.)+", "", text).replace("None", "null")


def _enum(words: type[StrEnum]) -> tuple[str, str]:
    return words.__name__, ", ".join(f"`{word.value}`" for word in words)


def _faults() -> list[tuple[str, str]]:
    source = Path(faults.__file__).read_text(encoding="utf-8")
    told = dict(re.findall(r'= "([a-z-]+)"  # (.+)', source))
    return [(f"`{fault.value}`", told[fault.value]) for fault in Fault]


def _drill_faults() -> list[tuple[str, str, str, str, str]]:
    return [
        (
            f"`{fault.name}`",
            fault.group.value,
            fault.description,
            f"`{fault.criterion}`",
            "yes" if fault.name in ROW_FAULTS else "",
        )
        for fault in FAULT_TABLE.values()
    ]


def _metrics() -> list[tuple[str, str]]:
    report = read_status(settings_of(Path("/nowhere")), 0.0)
    summary: dict[str, Any] = {
        "sizing_diff_stats": {"p50": 0.0, "p95": 0.0, "upsize_count": 0, "sample_size": 0},
        "slippage_diff_bps": {"p50": 0.0, "p95": 0.0},
        "size_diff_stats": {"p50": 0.0, "p95": 0.0},
        "coverage": {"matched": 0, "live_only": 0, "unresolved": 0},
        "by_symbol": {"S": {"sample_size": 0, "veto_mismatch_pct": 0.0, "upsize_count": 0, "impact_usd": 0.0}},
        "totals": {"decisions": 0, "live_only": 0, "revisions": 0, "upsizes": 0},
        "input_quality": {"i": {"lines": 0, "unusable": {"torn": 0}, "is_offset_lost": False}},
        "mismatch_kinds": {"match": 0},
        "root_causes": {"unexplained": 0},
        "window": {"last_ts": 0.0},
        **dict.fromkeys(("sample_size", "min_sample_size", "veto_mismatch_pct", "is_warmup", "open_decisions"), 0),
        **dict.fromkeys(("generated_ts", "newest_live_ts", "undecided_since_ts"), 0.0),
    }
    found: dict[str, str] = {}
    for sample in samples_of(dataclasses.replace(report, summary=summary)):
        found.setdefault(sample["name"], ", ".join(f"`{label}`" for label in sample["labels"]) or "-")
    return [(f"`{name}`", labels) for name, labels in found.items()]


def test_the_page_is_the_code() -> None:
    how = "docs/reference.md is not what the code says; run: python -m pipeline_v6_dagster_tests.docs.test_reference"
    assert PAGE.read_text(encoding="utf-8") == page(), how


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
