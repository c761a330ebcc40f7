"""The metrics of a fleet: those of every executor, told apart by the label `executor`, and what each of them is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pipeline_v6_dagster.config.fleet import Executor, Fleet
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.stages.outputs.fleet_status import ExecutorStatus
from pipeline_v6_dagster.stages.outputs.metrics import PREFIX, SummaryMetrics
from pipeline_v6_dagster.stages.outputs.status import Report

_EXECUTOR = "executor"


class FleetMetrics(Collector):
    """The metrics of these rows, with all that is measured where the status itself is known."""

    def __init__(self, fleet: Fleet, rows: Sequence[tuple[ExecutorStatus, Report | None]]) -> None:
        self._fleet, self._rows = fleet, rows

    def collect(self) -> Iterable[Metric]:
        """One metric of each name, with the samples of every executor."""
        yield _info([self._fleet.executors[row.name] for row, _ in self._rows])
        merged: dict[str, Metric] = {}
        for row, report in self._rows:
            metrics = _reported(row) if report is None else SummaryMetrics(report).collect()
            for metric in metrics:
                found = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                found.samples += [
                    sample._replace(labels={_EXECUTOR: row.name, **sample.labels}) for sample in metric.samples
                ]
        yield from merged.values()


def _info(executors: Sequence[Executor]) -> Metric:
    """Host and labels of each executor: join other metrics with it. A label that one has not is empty there."""
    names = sorted({label for executor in executors for label in executor.labels})
    metric = GaugeMetricFamily(
        f"{PREFIX}executor_info",
        "The host and the labels of each executor of the fleet; always 1.",
        labels=(_EXECUTOR, "host", *names),
    )
    for executor in executors:
        labels = [executor.labels.get(name, "") for name in names]
        metric.add_metric([executor.name, executor.host or "", *labels], 1)
    return metric


def _reported(row: ExecutorStatus) -> Iterator[Metric]:
    """What is known of an executor on another host: status, verdict, exit code."""
    statuses = {status.value: float(row.status is status) for status in Status}
    yield _states("status", "1 for the traffic light that is on.", statuses)
    verdicts = {verdict.value: float(row.verdict is verdict) for verdict in Verdict}
    yield _states("verdict", "1 for the verdict that stands.", verdicts)
    exit_code = GaugeMetricFamily(f"{PREFIX}exit_code", "What pipeline-v6 status would exit with: 0 green.", labels=())
    exit_code.add_metric([], row.exit_code)
    yield exit_code


def _states(name: str, text: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=(name,))
    for state, value in values.items():
        metric.add_metric([state], value)
    return metric
