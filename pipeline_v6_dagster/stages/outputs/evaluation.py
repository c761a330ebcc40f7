"""What a check says, before it becomes a Dagster check result or an alert; and what checks are evaluated from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline_v6_dagster.alerts.message import AcknowledgedBy, AlertOrder, Severity, acknowledgement_text
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import Criterion
from pipeline_v6_dagster.logs.alert_outbox import acknowledged_by
from pipeline_v6_dagster.logs.compare_log import read_summary, read_window
from pipeline_v6_dagster.stages.outputs.acknowledge import list_acknowledgements
from pipeline_v6_dagster.stages.outputs.gate import Gate, find_chain_problems, read_gate

# The rows that a table shows; the logs hold all.
MAX_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the check `name` on `asset` found.

    `severity` is that of a failure. `description` says in a sentence what is so, with figures. `count` is how many rows
    fail, exactly; `sample` holds the worst of them, with `columns` in the order shown; `failing_ids` are their ids,
    where each of them is news by itself, and `orders` what these are; `newest_order_ts` is the time of
    the newest order that was judged. A figure that is None was not measured and is
    left out: a plot cannot show null. Where nothing could be measured at all, `is_measured` is false, and the check has
    not passed. `is_quiet`: a failure that nobody needs a message about. `explained_by` names checks whose failure
    explains this one. `acknowledged`: who has taken care of the failure. `shows_rows`: the sample is worth a look
    also where the check passes. `remembered` is for the next evaluation.
    """

    name: str
    asset: str
    has_passed: bool
    severity: Severity
    description: str
    to_do: str
    count: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    sample: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, float | int | str | None] = field(default_factory=dict)
    failing_ids: Sequence[str] = ()
    orders: Sequence[AlertOrder] = ()
    excess_usd: float | None = None
    newest_order_ts: float | None = None
    is_measured: bool = True
    is_quiet: bool = False
    shows_rows: bool = False
    explained_by: frozenset[str] = frozenset()
    acknowledged: AcknowledgedBy | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """What was not measured does not pass."""
        return self.has_passed and self.is_measured

    @property
    def text(self) -> str:
        """The description; of what was not measured it says so first."""
        return self.description if self.is_measured else f"not measured: {self.description}"

    @property
    def text_with_acknowledgement(self) -> str:
        """The same, and of a failure who has acknowledged it."""
        if self.passes or self.acknowledged is None:
            return self.text
        return f"{self.text}. Acknowledged {acknowledgement_text(self.acknowledged)}"


class CheckContext:
    """What checks of the comparison are evaluated from, each part read once and only where a check asks for it.

    `now` (epoch s) is when freshness is judged. `verify` gives the findings of the hash chains; without it all of our
    logs are read.
    """

    def __init__(
        self, settings: Settings, now: float, verify: Callable[[Settings], Sequence[str]] = find_chain_problems
    ) -> None:
        self.settings = settings
        self._now = now
        self._verify = verify

    @cached_property
    def gate(self) -> Gate:
        """The verdict as of now."""
        return read_gate(self.settings, self._now, self._verify)

    @cached_property
    def criteria(self) -> dict[str, Criterion]:
        """Every criterion as of now, by name."""
        return {each.name: each for each in self.gate.criteria}

    @cached_property
    def acknowledged(self) -> dict[str, AcknowledgedBy]:
        """Who has taken care of which criterion, as of now.

        Raises:
            StorageError: the alert log cannot be read.
        """
        standing = list_acknowledgements(self.settings, self._now, self.gate.end.cursor if self.gate.end else None)
        return {record.criterion: acknowledged_by(record) for record in standing}

    @cached_property
    def summary(self) -> Summary:
        """The newest summary.

        Raises:
            DataError: there is none yet, or it is not understood.
        """
        return read_summary(self.settings)

    @cached_property
    def window(self) -> list[Diff]:
        """The diffs that it counts, newest first."""
        return [diff for diff in read_window(self.settings) if diff.ignored_by is None]
