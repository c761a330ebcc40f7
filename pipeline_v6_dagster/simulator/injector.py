"""What the logs of a simulated executor have wrong: torn, repeated and foreign lines, clocks, rotations. Pure.

The lines go in as the executor logged them and come out as they reach the disk. Only logs that a stage reads are
spoilt, and each bad line stands before a good one of the same log, so that a run which has read that has counted it.
"""

import random
from collections.abc import Iterable, Iterator, MutableSequence
from dataclasses import dataclass, replace
from itertools import cycle

import msgspec

from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.simulator.faults import Fault, Injected, Shares
from pipeline_v6_dagster.simulator.orders import LogLine

ATTEMPTS = "orders_attempted"
SPOILT_LOGS = frozenset({ATTEMPTS, "orders_executed", "risk_vetoes"})
REPEATED_LOGS = frozenset({ATTEMPTS, "orders_executed"})

# Far more than the network delays a row, and less than anybody's tolerance for a clock.
LEAST_SKEW_S, MOST_SKEW_S = 120.0, 600.0

# Bytes that are no row, by the kind under which a reader counts them.
GARBAGE: tuple[tuple[Rejection, bytes], ...] = (
    (Rejection.NOT_JSON, b"Traceback (most recent call last):"),
    (Rejection.NOT_OBJECT, b'["BTCUSDT", "BUY", 1]'),
    (Rejection.NOT_FINITE, b'{"symbol": "BTCUSDT", "side": "BUY", "qty": NaN}'),
    (Rejection.NOT_UTF8, b'{"symbol": "BTC\xff\xfeUSDT"}'),
    (
        Rejection.BAD_FIELD,
        b'{"event_type": ["order_ack"], "symbol": {"is": "no text"}, "qty": "much", "notional": "x"}',
    ),
    (Rejection.BLANK, b"   "),
)


@dataclass(frozen=True, slots=True)
class RawLine:
    """Bytes in the place of a row."""

    log: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Rotation:
    """The log's current file gets a number and a new one begins."""

    log: str


Write = LogLine | RawLine | Rotation


class FaultInjector:
    """Spoils a feed. The same seed spoils the same feed in the same way.

    Args:
        seed: names the spoiling.
        shares: how much of each fault; those of the executor itself are not looked at.
        injected: what was put in is added to it.
    """

    def __init__(self, seed: int, shares: Shares, injected: MutableSequence[Injected]) -> None:
        self._rng = random.Random(f"injector {seed}")  # noqa: S311 -- repeatable, not secret
        self._shares = shares
        self._injected = injected
        self._garbage = cycle(GARBAGE)

    def apply(self, lines: Iterable[LogLine]) -> Iterator[Write]:
        """The lines with what is wrong between them, in the order in which they reach the disk."""
        for line in lines:
            if line.log not in SPOILT_LOGS:
                yield line
                continue
            if self._draws(Fault.ROTATION):
                self._note(Fault.ROTATION, line)
                yield Rotation(line.log)
            if self._draws(Fault.GARBAGE):
                kind, raw = next(self._garbage)
                self._note(Fault.GARBAGE, line, kind.value)
                yield RawLine(line.log, raw)
            if self._draws(Fault.TORN):
                self._note(Fault.TORN, line, Rejection.NOT_JSON.value)
                whole = msgspec.json.encode(line.row)
                yield RawLine(line.log, whole[: self._rng.randrange(1, len(whole))])
            if line.log == ATTEMPTS and self._draws(Fault.CLOCK_SKEW):
                self._note(Fault.CLOCK_SKEW, line)
                line = _skewed(line, self._rng.uniform(LEAST_SKEW_S, MOST_SKEW_S))
            yield line
            if line.log in REPEATED_LOGS and "intent_id" in line.row and self._draws(Fault.DUPLICATE):
                self._note(Fault.DUPLICATE, line)
                yield line

    def _draws(self, fault: Fault) -> bool:
        share = self._shares.get(fault, 0.0)
        return share > 0 and self._rng.random() < share

    def _note(self, fault: Fault, line: LogLine, form: str | None = None) -> None:
        symbol, intent_id = line.row.get("symbol"), line.row.get("intent_id")
        self._injected.append(
            Injected(
                fault=fault,
                ts=line.ts,
                log=line.log,
                symbol=symbol if isinstance(symbol, str) else None,
                intent_id=intent_id if isinstance(intent_id, str) else None,
                form=form,
            )
        )


def _skewed(line: LogLine, skew_s: float) -> LogLine:
    local_ts = line.row["local_ts"]
    assert isinstance(local_ts, float)  # noqa: S101 -- the simulator's own row
    return replace(line, row={**line.row, "local_ts": round(local_ts + skew_s, 6)})
