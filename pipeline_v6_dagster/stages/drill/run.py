"""The drill: one known fault after the other in a copy of a desk's own logs, and whether the verdict sees it.

The stages are the real ones, in folders that are gone afterwards; the home is only read.
"""

import random
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, PipelineError
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.simulator.drill_fault import DrillFault, Moment
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import inject
from pipeline_v6_dagster.stages.drill.criteria import CriterionReading, read_criteria
from pipeline_v6_dagster.stages.drill.history import History, read_history
from pipeline_v6_dagster.stages.drill.result import DrillReport, FaultResult, Outcome
from pipeline_v6_dagster.stages.drill.sandbox import Sandbox

DEFAULT_DAYS = 21.0

Criteria = Mapping[str, CriterionReading]
ReadCriteria = Callable[[Settings, float], Criteria]


def run_drill(
    settings: Settings,
    now: float,
    days: float = DEFAULT_DAYS,
    faults: Collection[str] | None = None,
    *,
    read: ReadCriteria = read_criteria,
    seen: Callable[[float], None] = lambda share: None,
) -> DrillReport:
    """Inject each fault into a copy of the newest `days` of the logs and read the verdict as of `now` (epoch s).

    `faults` names those to inject, all without it. `read` gives the criteria of a home. `seen` is called with the
    share that is done. The same logs and time give the same report. Logs without an attempt give one without results.

    Raises:
        ConfigError: the limits cannot be used.
        DataError: there is no fault of that name.
        StorageError: a log cannot be read or copied.
    """
    chosen = _chosen(faults)
    history = read_history(settings, days, now)
    if history is None:
        return DrillReport(now=now, first_ts=None, last_ts=None, attempts=0, baseline={}, results=())
    with TemporaryDirectory(prefix="pipeline-v6-drill-") as folder:
        clean = Sandbox(settings, Path(folder) / "clean")
        clean.copy_configuration(settings)
        clean.append(history.lines)
        clean.run(lambda: now)
        before = read(clean.settings, now)
        drill = _Drill(clean, history, before, now, read)
        results = []
        for number, fault in enumerate(chosen):
            seen((number + 1) / (len(chosen) + 1))
            with TemporaryDirectory(prefix="fault-", dir=folder) as fault_folder:
                results.append(drill.inject(fault, Path(fault_folder)))
    return DrillReport(
        now=now,
        first_ts=history.first_ts,
        last_ts=history.last_ts,
        attempts=len(history.attempt_ts),
        baseline={name: reading.state.value for name, reading in before.items()},
        results=tuple(results),
    )


def _chosen(names: Collection[str] | None) -> list[DrillFault]:
    unknown = sorted(set(names or ()) - set(FAULT_TABLE))
    if unknown:
        raise DataError(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULT_TABLE)}")
    return [fault for name, fault in FAULT_TABLE.items() if names is None or name in names]


class _Drill:
    """The clean sandbox and its criteria, against which each fault is held."""

    def __init__(self, clean: Sandbox, history: History, before: Criteria, now: float, read: ReadCriteria) -> None:
        self._clean, self._history, self._before, self._now, self._read = clean, history, before, now, read
        self._decided = clean.decided_keys()

    def inject(self, fault: DrillFault, folder: Path) -> FaultResult:
        """Inject one fault in a sandbox of its own and compare the criteria with those before."""
        before = self._before.get(fault.criterion)
        refusal = _untestable(fault, before)
        if refusal:
            return _result(fault, Outcome.NOT_TESTED, before, detail=refusal)
        rng = random.Random(f"drill {fault.name}")  # noqa: S311 -- repeatable, not secret
        lines, injected = self._spoil(fault, rng)
        if fault.rows is not None and not injected:
            return _result(fault, Outcome.NOT_TESTED, before, detail="the history has no order that it could spoil")
        sandbox = Sandbox(self._clean.settings, folder)
        try:
            environ_settings = _with_environ(sandbox.settings, fault.environ)
            self._run(fault, sandbox, lines, environ_settings, rng)
            is_changed_later = fault.moment is not Moment.BEFORE
            after = self._read(environ_settings if is_changed_later else sandbox.settings, self._now + fault.clock_s)
        except PipelineError as error:
            # Whoever asks gets no verdict then, but no criterion that names the reason either.
            return _result(fault, Outcome.MISSED, before, injected=injected, detail=f"a stage refused: {error}")
        return self._judged(fault, before, after, injected)

    def _spoil(self, fault: DrillFault, rng: random.Random) -> tuple[tuple[LogLine, ...], int]:
        """The rows with the fault in them, and how many orders it is in; those of the history where it is in no row."""
        if fault.rows is None:
            return self._history.lines, 0
        from_ts, until_ts = self._history.span(fault.window, self._clean.settings.match_tolerance_s)
        lines, injected = inject(
            fault.name,
            fault.rows,
            self._history.lines,
            rng,
            share=fault.share,
            count=1 if fault.is_single else None,
            among=self._decided.get(fault.decided),
            from_ts=from_ts,
            until_ts=until_ts,
        )
        return tuple(lines), len(injected)

    def _run(
        self,
        fault: DrillFault,
        sandbox: Sandbox,
        lines: tuple[LogLine, ...],
        environ_settings: Settings,
        rng: random.Random,
    ) -> None:
        """Do to the sandbox what the fault says, and run the stages when it says."""
        clock_ts = self._now + fault.clock_s
        if fault.restarts:
            self._run_restarts(fault, sandbox, rng)
        elif fault.moment is Moment.HALFWAY:
            sandbox.copy_configuration(self._clean.settings)
            sandbox.append(self._history.part(0, 2))
            sandbox.run(lambda: self._now)
            sandbox.append(self._history.part(1, 2))
            self._change(fault, sandbox, rng)
            sandbox.run(lambda: clock_ts)
        elif fault.moment is Moment.BEFORE:
            sandbox.copy_configuration(self._clean.settings)
            sandbox.append(lines)
            self._change(fault, sandbox, rng)
            # What v6 decides follows from the attempts and the configuration; most faults leave both alone.
            is_decided = fault.rows is not None and sandbox.has_same_attempts(self._clean)
            if is_decided:
                sandbox.copy_decisions(self._clean)
            sandbox.run(lambda: clock_ts, environ_settings, decides=not is_decided)
        else:
            sandbox.link(self._clean, with_outputs=True)
            self._change(fault, sandbox, rng)
            if fault.moment is Moment.AFTER_READING:
                sandbox.run(lambda: clock_ts, environ_settings)

    def _run_restarts(self, fault: DrillFault, sandbox: Sandbox, rng: random.Random) -> None:
        sandbox.copy_configuration(self._clean.settings)
        for number in range(fault.restarts + 1):
            sandbox.append(self._history.part(number, fault.restarts + 1))
            sandbox.run(lambda: self._now)
            if number < fault.restarts:
                self._change(fault, sandbox, rng)

    def _change(self, fault: DrillFault, sandbox: Sandbox, rng: random.Random) -> None:
        if fault.files is not None:
            sandbox.change(fault.files(sandbox.files, rng, self._now))

    def _judged(
        self, fault: DrillFault, before: CriterionReading | None, after: Criteria, injected: int
    ) -> FaultResult:
        found = after.get(fault.criterion)
        is_caught = found is not None and found.state is not CriterionState.HOLDS
        also = tuple(
            name
            for name, reading in after.items()
            if name != fault.criterion and _holds(self._before.get(name)) and not _holds(reading)
        )
        detail = "" if is_caught else f"{fault.criterion} still holds" if found else f"no criterion {fault.criterion}"
        outcome = Outcome.CAUGHT if is_caught else Outcome.MISSED
        return _result(fault, outcome, before, found, injected=injected, also=also, detail=detail)


def _holds(reading: CriterionReading | None) -> bool:
    return reading is not None and reading.state is CriterionState.HOLDS


def _untestable(fault: DrillFault, before: CriterionReading | None) -> str:
    """Why a fault cannot be tested; empty where it can."""
    if before is None:
        return "the verdict of these logs has no such criterion"
    if not before.counts_against:
        return "the criterion decides nothing with these settings"
    if before.state is not CriterionState.HOLDS:
        return f"the criterion does not hold on these logs without the fault: {before.state.value}"
    unknown = fault.environ.keys() - {field.alias for field in Settings.model_fields.values()}
    return f"no such setting: {', '.join(sorted(unknown))}" if unknown else ""


def _with_environ(settings: Settings, environ: Mapping[str, str]) -> Settings:
    if not environ:
        return settings
    try:
        return Settings.model_validate(settings.model_dump(by_alias=True) | dict(environ))
    except ValidationError as error:
        raise DataError(f"the fault's settings {dict(environ)} cannot be used: {error}") from None


def _result(
    fault: DrillFault,
    outcome: Outcome,
    before: CriterionReading | None,
    after: CriterionReading | None = None,
    *,
    injected: int = 0,
    also: tuple[str, ...] = (),
    detail: str = "",
) -> FaultResult:
    return FaultResult(
        name=fault.name,
        group=fault.group,
        criterion=fault.criterion,
        outcome=outcome,
        injected=injected,
        before=None if before is None else before.state.value,
        after=None if after is None else after.state.value,
        also=also,
        detail=detail,
    )
