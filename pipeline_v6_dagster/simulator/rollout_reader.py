"""How an executor reads what v6 may do. It depends on nothing of this project: copy the file."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

_LONGEST_VALID_S = 86_400.0
_STATES = ("active", "reducing", "halted")


class RolloutReader:
    """Asked before every order. A file that is missing, torn, expired or older than one seen before means off."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._sequence, self.trading_state = 0, "active"

    def read(self) -> tuple[frozenset[str], float]:
        """(symbols in which v6 places orders, its share of their notional); nothing where v6 is off."""
        try:
            found = json.loads(self._path.read_bytes())
            sequence, until = int(found["sequence"]), float(found["valid_until"])
            symbols, share = frozenset(found["symbols"]), float(found["notional_share"])
            if _STATES.index(found["trading_state"]) > _STATES.index(self.trading_state):
                self.trading_state = found["trading_state"]  # Whatever else the file says, it stops what it stops.
            if sequence < self._sequence:
                return frozenset(), 0.0
            # A halt outlives the file that said so: only a newer file lifts it.
            self._sequence, self.trading_state = sequence, found["trading_state"]
            now = self._clock()
            is_on = found["state"] in ("canary", "live") and now <= until <= now + _LONGEST_VALID_S and 0 < share <= 1
            return (symbols, share) if is_on else (frozenset(), 0.0)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return frozenset(), 0.0

    def is_v6(self, intent_id: str, symbol: str) -> bool:
        """Whether v6 places this order; else the executor goes on as without v6. Whole orders, never parts of one."""
        symbols, share = self.read()
        drawn = int.from_bytes(hashlib.sha256(intent_id.encode()).digest()[:8], "big") / 2**64
        return symbol in symbols and drawn < share

    def may_trade(self, *, is_reducing: bool) -> bool:
        """Whether an order may go out at all, whoever places it."""
        self.read()
        return self.trading_state == "active" or (self.trading_state == "reducing" and is_reducing)
