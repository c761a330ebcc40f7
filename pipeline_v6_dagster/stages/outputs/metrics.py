"""The summary as Prometheus metrics, in the text format, for a textfile collector.

What was not measured is left out: an absent series is no 0. Ratios are ratios, times epoch seconds, money USD.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pipeline_v6_dagster import __version__
from pipeline_v6_dagster.domain.summary import Status, Summary, SymbolSlice, Verdict
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION
from pipeline_v6_dagster.stages.outputs.status import Report

PREFIX = "pipeline_v6_"

_Labels = tuple[str, ...]
_Sample = tuple[_Labels, float | None]


def encode_metrics(report: Report) -> bytes:
    """The text that a textfile collector reads."""
    return encode_collector(SummaryMetrics(report))


def build_samples(report: Report) -> list[dict[str, Any]]:
    """The same as objects: name, labels, value."""
    return collect_samples(SummaryMetrics(report))


def encode_collector(collector: Collector) -> bytes:
    """What a collector collects, as the text that a textfile collector reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


def collect_samples(collector: Collector) -> list[dict[str, Any]]:
    """The same as objects: name, labels, value."""
    return [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for metric in collector.collect()
        for sample in metric.samples
    ]


class SummaryMetrics(Collector):
    """The metrics of one report."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """Every metric that was measured."""
        report = self._report
        yield _gauge(
            "info",
            "Versions and the configuration that the summary was made under; always 1.",
            [((__version__, ENGINE_VERSION, report.summary.config_hash if report.summary is not None else ""), 1)],
            ("version", "engine_version", "config_hash"),
        )
        states = [((status.value,), float(report.status is status)) for status in Status]
        yield _gauge("status", "1 for the traffic light that is on.", states, ("status",))
        verdicts = [((verdict.value,), float(report.verdict is verdict)) for verdict in Verdict]
        yield _gauge("verdict", "1 for the verdict that stands.", verdicts, ("verdict",))
        yield from _criteria(report)
        yield _gauge("exit_code", "What pipeline-v6 status would exit with: 0 green.", [((), report.exit_code)])
        yield _gauge("stale_files", "How many of our files are older than three intervals.", [((), len(report.stale))])
        if report.summary is not None:
            yield from _window(report.summary)
            yield from _slices(report.summary)
            yield from _times(report.summary)
            yield from _totals(report.summary)


def _criteria(report: Report) -> Iterator[Metric]:
    states = [
        ((each.name, each.group.value, state.value), float(each.state is state))
        for each in report.criteria
        for state in CriterionState
    ]
    labels = ("criterion", "group", "state")
    yield _gauge("criterion", "1 for the state in which a criterion of the verdict is.", states, labels)
    values = [((each.name,), each.value) for each in report.criteria]
    yield _gauge("criterion_value", "What a criterion measured, in its own unit.", values, ("criterion",))


def _window(summary: Summary) -> Iterator[Metric]:
    sizing, slippage, size = summary.sizing_diff_stats, summary.slippage_diff_bps, summary.size_diff_stats
    mismatch_pct = summary.veto_mismatch_pct
    coverage = summary.coverage
    yield _gauge("sample_size", "Decisions in the window.", [((), summary.sample_size)])
    yield _gauge("min_sample_size", "Decisions below which it is warmup.", [((), summary.min_sample_size)])
    yield _gauge("is_warmup", "1 while there are too few decisions to judge.", [((), float(summary.is_warmup))])
    yield _gauge(
        "veto_mismatch_ratio",
        "Share of decisions on which shadow and live disagree.",
        [((), None if mismatch_pct is None else mismatch_pct / 100)],
    )
    yield _gauge("upsizes", "Orders in the window placed larger than asked for.", [((), sizing.upsize_count)])
    yield _gauge("sized_orders", "Orders in the window whose size was compared.", [((), sizing.sample_size)])
    quantiles = ("quantile",)
    yield _gauge(
        "sizing_diff_ratio",
        "Absolute difference of requested size, live to shadow.",
        [(("0.5",), sizing.p50), (("0.95",), sizing.p95)],
        quantiles,
    )
    yield _gauge(
        "size_diff_ratio",
        "Absolute difference of executed size, live to shadow.",
        [(("0.5",), _ratio(size.p50)), (("0.95",), _ratio(size.p95))],
        quantiles,
    )
    yield _gauge(
        "slippage_diff_bps",
        "Slippage of live above what shadow expects; positive is cost.",
        [(("0.5",), slippage.p50), (("0.95",), slippage.p95)],
        quantiles,
    )
    yield _gauge("mismatches", "Decisions in the window by kind.", _by_name(summary.mismatch_kinds), ("mismatch_kind",))
    yield _gauge("root_causes", "Differences in the window by cause.", _by_name(summary.root_causes), ("root_cause",))
    states = [
        (("matched",), coverage.matched),
        (("live_only",), coverage.live_only),
        (("unresolved",), coverage.unresolved),
    ]
    yield _gauge(
        "coverage", "Decisions and orders in the window by what they have on the other side.", states, ("state",)
    )


def _slices(summary: Summary) -> Iterator[Metric]:
    figures: tuple[tuple[str, Callable[[SymbolSlice], float | None], str], ...] = (
        ("symbol_decisions", lambda part: part.sample_size, "Decisions in the window by symbol."),
        (
            "symbol_veto_mismatch_ratio",
            lambda part: _ratio(part.veto_mismatch_pct),
            "Share of them on which the sides disagree.",
        ),
        ("symbol_upsizes", lambda part: part.upsize_count, "Orders placed larger than asked for by symbol."),
        ("symbol_impact_usd", lambda part: part.impact_usd, "Gross that live put on beyond shadow by symbol."),
    )
    for name, figure, text in figures:
        found = [((symbol,), figure(part)) for symbol, part in summary.by_symbol.items()]
        yield _gauge(name, text, found, ("symbol",))


def _times(summary: Summary) -> Iterator[Metric]:
    for name, ts, text in (
        ("summary_timestamp_seconds", summary.generated_ts, "When the summary was made."),
        ("newest_decision_timestamp_seconds", summary.window.last_ts, "As-of time of the newest decision."),
        ("newest_live_timestamp_seconds", summary.newest_live_ts, "When live logged its newest order or veto."),
        ("undecided_since_timestamp_seconds", summary.undecided_since_ts, "First attempt that has no decision."),
    ):
        yield _gauge(name, text, [((), ts)])
    yield _gauge("open_decisions", "Decisions that are not settled yet.", [((), summary.open_decisions)])


def _totals(summary: Summary) -> Iterator[Metric]:
    totals = summary.totals
    for name, count, text in (
        ("decisions", totals.decisions, "Decisions settled since the compare log began; a rebuild starts at 0."),
        ("live_only", totals.live_only, "Live orders without a decision since then."),
        ("revisions", totals.revisions, "Diffs that a late order revised since then."),
        ("upsizes", totals.upsizes, "Orders placed larger than asked for since then."),
    ):
        yield _counter(f"{name}_seen", text, [((), count)])
    lines: list[_Sample] = []
    unusable: list[_Sample] = []
    lost: list[_Sample] = []
    for name, counts in summary.input_quality.items():
        lines.append(((name,), counts.lines))
        lost.append(((name,), float(counts.is_offset_lost)))
        unusable += [((name, kind), count) for kind, count in counts.unusable.items()]
    yield _counter("input_lines", "Lines read of each input.", lines, ("input",))
    yield _counter("input_unusable_lines", "Lines that were not used, by kind.", unusable, ("input", "kind"))
    yield _gauge("input_position_lost", "1 where the place in an input was once lost.", lost, ("input",))


def _by_name(counts: Mapping[str, int]) -> list[_Sample]:
    return [((name,), count) for name, count in counts.items()]


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _gauge(name: str, text: str, samples: Iterable[_Sample], labels: _Labels = ()) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, text, labels=labels), samples)


def _counter(name: str, text: str, samples: Iterable[_Sample], labels: _Labels = ()) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, text, labels=labels), samples)


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, samples: Iterable[_Sample]) -> Metric:
    for labels, value in samples:
        if value is not None:
            metric.add_metric(labels, value)
    return metric
