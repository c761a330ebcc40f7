"""What the criteria need besides the diffs. The stage gathers it; the core only judges it."""

from dataclasses import dataclass, field

from pipeline_v6_dagster.verdict.window import WindowEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """How whole and how usable one input is.

    `recent_malformed_ratio` is of the newest lines, None of no line. `dropped_order_rows` are rows not used that carry
    an executed quantity, or a requested one with an exchange's order id, and that no `known_rows_ok` lists.
    `is_replaced`: the file shrank, was edited or was replaced, and what had been read was found in no rotation; or a
    rotation is damaged.
    `is_missing`: it was read, and neither the file nor a rotation of it is there.
    `unreadable_rotations` are files that look like a rotation of the input and cannot be read.
    """

    name: str
    lines: int = 0
    recent_malformed_ratio: float | None = None
    dropped_order_rows: int = 0
    lost_bytes: int = 0
    is_replaced: bool = False
    is_missing: bool = False
    unreadable_rotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRuleFacts:
    """An ignore rule: its name and when it expires (epoch s)."""

    name: str
    expires_ts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFacts:
    """The epoch as the tracker has it (`verdict.epochs`). Times in epoch s, None before the first decision.

    `level` is the error rate at which this epoch is tested, `k` its number among those that count.
    """

    identity: str | None = None
    since_ts: float | None = None
    newest_ts: float | None = None
    k: int = 1
    level: float = 0.025
    uncounted_restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFacts:
    """What follows from the logs alone, and so may be stored in a summary.

    `twice_acked_ids` are order ids that two executor processes acked; `returns_per_hour` is the largest number of times
    within an hour that a log returned to a process that had written before another one. None: not determined.
    """

    epoch: EpochFacts = field(default_factory=EpochFacts)
    inputs: tuple[InputFacts, ...] = ()
    twice_acked_ids: tuple[str, ...] | None = None
    returns_per_hour: int | None = None
    ignore_rules: tuple[IgnoreRuleFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NowFacts:
    """What depends on when it is asked for. Times in epoch s.

    `newest_row_ts` is per input that must keep coming; an input that exists and has no usable row is None there.
    `chain_problems` are findings of the hash chains; `is_summary_in_log` tells that the summary file is the one in the
    log, None where it was not compared. `unread_keys` are those of the limits and the universe that no
    `unread_keys_ok` lists, None where the files could not be read. `live_limits` are limits that live applied otherwise
    than the configuration says, with both numbers. `identity` is that of the configuration, the engines and the
    settings of now.
    """

    now: float
    newest_row_ts: dict[str, float | None] = field(default_factory=dict)
    chain_problems: tuple[str, ...] = ()
    is_summary_in_log: bool | None = None
    unread_keys: tuple[str, ...] | None = None
    live_limits: tuple[str, ...] = ()
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that an evaluation needs besides the evidence of the epoch.

    Without `now` the criteria that depend on it take no part: that is what a summary stores.
    """

    log: LogFacts = field(default_factory=LogFacts)
    window: WindowEvidence = field(default_factory=WindowEvidence)
    now: NowFacts | None = None
