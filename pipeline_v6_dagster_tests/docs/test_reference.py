"""docs/reference.md is generated from the code: settings, commands, criteria, fields, faults, metrics.

Run as a module, this writes the page: `python -m pipeline_v6_dagster_tests.docs.test_reference`.
"""

import dataclasses
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import Any, get_args, get_origin

import click
from pydantic import AliasChoices, AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster.config.files import (
    BurstLimit,
    CircuitBreaker,
    GlobalLimits,
    KnownRowsKeys,
    LeverageBracketKeys,
    PairsUniverseFile,
    RiskLimitsFile,
    SharedLimits,
    SymbolKeys,
    TierLimits,
    UniverseCaps,
    UniverseEntry,
    UniverseKeys,
)
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.config.units import Count, Counted, Finite, NotNegative, Positive, Ratio, Switch
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, LiveSide, MatchMethod, MismatchKind, RootCause
from pipeline_v6_dagster.domain.live import Leg
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision
from pipeline_v6_dagster.domain.summary import Coverage, Head, SizingStats, Status, Summary, Upsize, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.logs.history_rows import history_table
from pipeline_v6_dagster.simulator import faults
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE, ROW_FAULTS
from pipeline_v6_dagster.simulator.faults import Fault
from pipeline_v6_dagster.sources.input_fields import ATTEMPTS, METRICS, POSITIONS, VETOES, InputLog
from pipeline_v6_dagster.sources.order_fields import ORDERS
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.outputs.metrics import build_samples
from pipeline_v6_dagster.stages.outputs.report import report_path
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.stages.replay.file import replay_path
from pipeline_v6_dagster.stages.rollout.sign_off import sign_off_path
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.run import truth_path
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
INPUT_LOGS = (ATTEMPTS, ORDERS, METRICS, VETOES, POSITIONS)
_NOW = START_TS + 2 * 3600

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
    ("Criterion of the summary", Criterion),
    ("Head", Head),
)
_CONFIGURATION = (
    RiskLimitsFile,
    GlobalLimits,
    SharedLimits,
    SymbolKeys,
    TierLimits,
    BurstLimit,
    CircuitBreaker,
    KnownRowsKeys,
    PairsUniverseFile,
    UniverseEntry,
    UniverseKeys,
    UniverseCaps,
    LeverageBracketKeys,
)
_KEY_KINDS = {
    str(Positive): "number above 0",
    str(NotNegative): "number, at least 0",
    str(Finite): "number",
    str(Ratio): "share: up to 1 a fraction, above 1 a percent",
    str(Count): "whole number, at least 0",
    str(Counted): "whole number, at least 1",
    str(Switch): "true or false",
    str(str): "text",
    str(AwareDatetime): "ISO-8601 text with a zone",
}
_ENUMS: tuple[type[StrEnum], ...] = (
    Status,
    Verdict,
    MismatchKind,
    LiveOutcome,
    MatchMethod,
    RootCause,
    Rejection,
    IgnoredRow,
    CriterionGroup,
    CriterionState,
)


def page() -> str:
    """The whole page."""
    parts = [
        "# Reference\n\nThis page is generated from the code by `pipeline_v6_dagster_tests/docs/test_reference.py`. The"
        " [glossary](glossary.md) explains the terms;\n[deny reasons](reasons.md) lists why v6 denies an order.\n",
        "## Commands\n\n" + "".join(map(_command, cli.list_commands(click.Context(cli)))),
        "## Exit codes\n\n" + _table(("code", "when"), _exit_codes()),
        "## Settings\n\nSettings are environment variables. An empty variable counts as not set.\n\n"
        + _table(("variable", "default", "meaning"), _settings()),
        "## Files\n\n" + _table(("file", "what"), _files()),
        "## Input files\n\nA log holds a JSON object a line. A field that is not listed is ignored, and null is the"
        " same as absent.\nOf several names, the first that is present counts. A name with a dot stands inside of an"
        " object.\n\n" + "".join(map(_input_log, INPUT_LOGS)),
        "## Keys of the configuration\n\nA key that is not listed is unread: `doctor` shows it with the nearest known"
        " one, and `limits_understood` breaks.\n\n" + "".join(map(_keys, _CONFIGURATION)),
        "## Checks and alerts\n\nEach has its entry in the [runbook](runbook.md).\n\n"
        + _table(("name", "holds"), _checks()),
        "## Criteria\n\nThe verdict is `PASS` only if all of them hold ([concepts](concepts.md#criterion)).\n\n"
        + _table(("criterion", "group", "holds when", "what to do if not"), _criteria()),
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
        ("0", "done; `status`: green and `PASS`; `drill`: every fault that could be tested was caught"),
        (
            "1",
            "`status`: red, amber or `FAIL`; `drill`: a fault was missed; `alerts --test`: a message was refused",
        ),
        ("2", "`status`: warmup or inconclusive; `drill`: no fault could be tested"),
        ("3", "`status`: no data, or the data is stale"),
        ("64", "bad usage"),
        ("65", "bad data or configuration; `verify`: a line was changed"),
        ("70", "a fault of this program"),
        ("74", "a path cannot be read or written"),
        ("75", "another process holds the log"),
        ("130", "interrupted"),
    ]


def _settings() -> Iterable[tuple[str, str, str]]:
    return (
        (f"`{field.alias}`", _default(name, field.get_default()), field.description or "")
        for name, field in Settings.model_fields.items()
    )


def _default(name: str, default: object) -> str:
    """A default as a user would set it."""
    paths = {"home": "the current folder", "logs_dir": "`logs` in the home", "config_dir": "`config` in the home"}
    if name in paths:
        return paths[name]
    if default is None or default == ():
        return "not set"
    if isinstance(default, tuple):
        return f"`{','.join(f'{each:g}' for each in default)}`"
    return f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"


def _files() -> Iterable[tuple[str, str]]:
    settings = make_settings(Path("/home"))
    files = (
        (settings.order_attempts, "read: what the strategy asked for"),
        (settings.orders_executed, "read: acks, fills, errors"),
        (settings.order_metrics, "read: prices, timing, fees, slippage"),
        (settings.risk_vetoes, "read: what live refused"),
        (settings.position_state, "read: position snapshots"),
        (settings.risk_limits, "read: limits"),
        (settings.pairs_universe, "read: symbols, tiers, leverage, exchange filters"),
        (settings.exchange_info, "read, if it is there: the exchange's own `exchangeInfo`"),
        (settings.shadow_log, "written by `shadow`: a decision for every attempt"),
        (settings.shadow_head, "written by `heartbeat`: the newest decisions in numbers"),
        (settings.compare_diffs, "written by `compare`: diffs, and a summary per run"),
        (settings.compare_summary, "written by `compare`: the newest summary"),
        (settings.alert_outbox, "written by `compare` and Dagster: alerts, and which channel accepted them"),
        (settings.rollout_plan, "read: the stages from shadow to live, and how many people approve each step"),
        (settings.rollout_log, "written by `rollout` and `compare`: every change of what v6 may do"),
        (settings.rollout_state, "written by `rollout`, `heartbeat` and `compare`: what v6 may do, for the executor"),
        (settings.verified_links, "written by `compare` and `metrics`: how far the chains of our logs were verified"),
        (report_path(settings), "written by `report`: the verdict and its evidence on one page"),
        (sign_off_path(settings), "written by `report --sign-off`: the page to sign before v6 moves up"),
        (replay_path(settings), "written by the asset `replay_report`: what another configuration would change"),
        (
            Path(history_table(settings)),
            "written by `history --append`: [a table](history.md)",
        ),
        (truth_path(settings), "written by `simulate`: every fault that was injected"),
    )
    return ((f"`{path.relative_to('/home')}`", text) for path, text in files)


def _input_log(log: InputLog) -> str:
    schema = f"schemas/{log.name}.schema.json"
    rows = (
        (
            ", ".join(f"`{name}`" for name in field.names),
            field.kind.value,
            field.unit,
            field.meaning,
            "**required**: a row without it is not used" if field.is_required else field.without,
        )
        for field in log.fields
    )
    headings = ("field", "holds", "unit", "meaning", "without it")
    return f"### {log.name}.jsonl\n\n{log.title} {log.rows} [JSON Schema]({schema}).\n\n{_table(headings, rows)}\n"


def _keys(model: type[BaseModel]) -> str:
    told = " ".join((model.__doc__ or "").split())
    rows = ((_key_names(name, model.model_fields[name]), _key_kind(kind)) for name, kind in _own_keys(model))
    return f"### {model.__name__}\n\n{told}\n\n{_table(('key', 'holds'), rows)}\n"


def _own_keys(model: type[BaseModel]) -> Iterable[tuple[str, Any]]:
    """The keys with their types, without those of the models that it extends."""
    return ((name, kind) for name, kind in model.__annotations__.items() if name in model.model_fields)


def _key_names(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [field.alias or name]
    return ", ".join(f"`{each}`" for each in names)


def _key_kind(annotation: Any) -> str:
    parts = get_args(annotation)
    kind = parts[0] if NoneType in parts else annotation
    if str(kind) in _KEY_KINDS:
        return _KEY_KINDS[str(kind)]
    if get_origin(kind) in (list, dict):
        inner = _key_kind(get_args(kind)[-1])
        return f"list of {inner}" if get_origin(kind) is list else f"object of {inner} by name"
    if issubclass(kind, StrEnum):
        return ", ".join(f"`{word.value}`" for word in kind)
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def _checks() -> Iterable[tuple[str, str]]:
    passes = {each.name: each.passes_when for each in CRITERIA}
    passes |= {name: f"Passes when {guidance.passes_when}." for name, guidance in GUIDANCE.items()}
    return ((f"[`{name}`](runbook.md#{name})", text) for name, text in passes.items())


def _criteria() -> Iterable[tuple[str, str, str, str]]:
    return (
        (
            f"`{each.name}`",
            each.group.value,
            each.passes_when.removeprefix("Passes when "),
            each.to_do,
        )
        for each in CRITERIA
    )


def _record(title: str, record: type) -> str:
    told = " ".join((record.__doc__ or "").split())
    rows = ((f"`{field.name}`", f"`{_name_type(field)}`") for field in dataclasses.fields(record))
    return f"### {title}\n\n{told}\n\n{_table(('field', 'type'), rows)}\n"


def _name_type(field: "dataclasses.Field[Any]") -> str:
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
    with TemporaryDirectory() as folder:
        settings, _ = simulated_home(Path(folder), upsize_share=0.05)
        with settings.orders_executed.open("a", encoding="utf-8") as log:
            log.write("not json\n")
        limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
        run_shadow(settings, limits, fixed(_NOW))
        refresh_head(settings, _NOW)
        run_compare(settings, limits, fixed(_NOW))
        samples = build_samples(read_status(settings, _NOW))
    found: dict[str, str] = {}
    for sample in samples:
        found.setdefault(sample["name"], ", ".join(f"`{label}`" for label in sample["labels"]) or "-")
    return [(f"`{name}`", labels) for name, labels in found.items()]


def test_the_page_is_the_code() -> None:
    how = "docs/reference.md is not what the code says; run: python -m pipeline_v6_dagster_tests.docs.test_reference"
    assert PAGE.read_text(encoding="utf-8") == page(), how


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
