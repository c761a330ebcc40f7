"""Bounds of a rate that hold at every look and for mismatches that come in bursts: betting on block means.

The values (1 where the two sides disagree, else 0) are cut into blocks of consecutive ones, in the order in which they
were first known. Whoever doubts that the rate is at least m bets on each block: the wealth is multiplied by
1 + l (m - x), with x the block's mean and l = 0.9 / (1 - m), so that it never falls below a tenth. As long as the
expected mean of each block, given the past, is at least m, the wealth is a supermartingale that starts at 1 and reaches
1 / level with a probability of at most `level`, however often one looks (Ville 1939; Waudby-Smith and Ramdas 2024,
"Estimating means of bounded random variables by betting", section 4). The lower bound is the bet turned round.

A wealth is always computed from integer counts, so no rounding error accumulates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, exp, inf, isfinite, log, log1p, sqrt

# The share of the wealth that is at stake in one block. At 1 a single block without an agreement would end the game.
STAKE = 0.9
# Decisions per block of the overall rate: longer than most bursts (ADR 14 has the table of other lengths).
DECISIONS_PER_BLOCK = 40
# How many of the newest places can be revised exactly. A few kilobytes of state; days of decisions of most desks.
MAX_RECENT_PLACES = 1000
# A bisection ends where a double has nothing more to halve.
_HALVINGS = 60


@dataclass(slots=True, kw_only=True)
class BlockBet:
    """The values of one rate, as counts per block. Its size is bounded, however many values were added.

    `sealed` says how many blocks had how many hits. `recent` holds the places that can still be revised, of whole
    blocks and of the open one: each is twice the step from the decision number before it, plus 1 for a hit. `base` is
    the decision number before the first of them, `last` that of the last. `keep` bounds the places of whole blocks.
    """

    length: int
    keep: int = MAX_RECENT_PLACES
    sealed: dict[int, int] = field(default_factory=dict)
    recent: list[int] = field(default_factory=list)
    base: int = 0
    last: int = 0

    def add(self, number: int, is_hit: bool) -> None:
        """Append the value of the decision with this number."""
        recent = self.recent
        recent.append((number - self.last) * 2 + is_hit)
        self.last = number
        if len(recent) % self.length == 0 and len(recent) > self.keep:
            self._seal()

    def revise(self, number: int, was_hit: bool, is_hit: bool) -> None:
        """Change a value in its block, never its place.

        Where the place is no longer known, the block is taken that makes both bets gain least.
        """
        recent, at = self.recent, self.base
        for place, code in enumerate(recent):
            at += code >> 1
            if at == number:
                recent[place] = (code | 1) - (not is_hit)
                return
        if was_hit != is_hit:
            _move(self.sealed, self.length, is_hit)

    @property
    def trials(self) -> int:
        """How many values there are, those of the open block included."""
        return self.length * sum(self.sealed.values()) + len(self.recent)

    def counts(self) -> dict[int, int]:
        """Of the complete blocks: how many had how many hits."""
        counts = dict(self.sealed)
        recent, length = self.recent, self.length
        for start in range(0, len(recent) - length + 1, length):
            hits = sum(code & 1 for code in recent[start : start + length])
            counts[hits] = counts.get(hits, 0) + 1
        return counts

    def _seal(self) -> None:
        first = self.recent[: self.length]
        del self.recent[: self.length]
        hits = sum(code & 1 for code in first)
        self.sealed[hits] = self.sealed.get(hits, 0) + 1
        self.base += sum(code >> 1 for code in first)


@dataclass(slots=True, kw_only=True)
class BlockCounts:
    """The same without places, in as little space as a slice may have: `sealed` blocks and one open one.

    A revision is counted in the block that makes both bets gain least.
    """

    length: int
    sealed: dict[int, int] = field(default_factory=dict)
    open_trials: int = 0
    open_hits: int = 0

    def add(self, is_hit: bool) -> None:
        """Append a value."""
        self.open_trials += 1
        if is_hit:
            self.open_hits += 1
        if self.open_trials == self.length:
            self.sealed[self.open_hits] = self.sealed.get(self.open_hits, 0) + 1
            self.open_trials = self.open_hits = 0

    def revise(self, is_hit: bool) -> None:
        """Turn one value into a hit, or one hit back."""
        if _move(self.sealed, self.length, is_hit):
            return
        if is_hit and self.open_hits < self.open_trials:
            self.open_hits += 1
        elif not is_hit and self.open_hits:
            self.open_hits -= 1


def _move(sealed: dict[int, int], length: int, is_hit: bool) -> bool:
    """Add a hit to the fullest block that has room, or remove one from the emptiest that has any.

    By concavity both wealths are smallest, at a given number of hits, where these crowd in few blocks.
    """
    if is_hit:
        old = max((hits for hits in sealed if hits < length), default=None)
    else:
        old = min((hits for hits in sealed if hits > 0), default=None)
    if old is None:
        return False
    new = old + 1 if is_hit else old - 1
    sealed[old] -= 1
    if not sealed[old]:
        del sealed[old]
    sealed[new] = sealed.get(new, 0) + 1
    return True


def log_wealth_below(counts: Mapping[int, int], length: int, limit: float) -> float:
    """Log of the wealth of the bet that the rate is below `limit` (in (0, 1))."""
    stake = STAKE / (1 - limit)
    return sum(blocks * log1p(stake * (limit - hits / length)) for hits, blocks in sorted(counts.items()))


def log_wealth_above(counts: Mapping[int, int], length: int, limit: float) -> float:
    """Log of the wealth of the bet that the rate is above `limit` (in (0, 1)).

    It is the bet turned round, 1 + l (x - m). How much to stake depends on how far above the limit the rate is, which
    nobody knows. So a third of the money is on each of three stakes: that of the other bet, best for a slight excess,
    that of the other bet on 1 - x, which proves a gross one within a few blocks, and their geometric mean.
    """
    rest = max(1 - limit, limit)
    wealths = [
        sum(blocks * log1p(STAKE / scale * (hits / length - limit)) for hits, blocks in sorted(counts.items()))
        for scale in (rest, sqrt(limit * rest), limit)
    ]
    most = max(wealths)
    return most + log(sum(exp(wealth - most) for wealth in wealths) / len(wealths))


def is_below(counts: Mapping[int, int], length: int, limit: float, level: float) -> bool:
    """Whether the upper bound at `level` is at most `limit`; False where limit or level is no probability."""
    if not _is_share(limit) or not _is_share(level):
        return False
    return log_wealth_below(counts, length, limit) >= -log(level)


def is_above(counts: Mapping[int, int], length: int, limit: float, level: float) -> bool:
    """Whether the lower bound at `level` is above `limit`; False where limit or level is no probability."""
    if not _is_share(limit) or not _is_share(level):
        return False
    return log_wealth_above(counts, length, limit) >= -log(level)


def upper_bound(counts: Mapping[int, int], length: int, level: float) -> float:
    """The smallest rate that is excluded from below at `level`; 1 where none is. The wealth grows with the rate."""
    return _bisect(lambda rate: log_wealth_below(counts, length, rate) >= -log(level)) if _is_share(level) else 1.0


def lower_bound(counts: Mapping[int, int], length: int, level: float) -> float:
    """The largest rate that is excluded from above at `level`; 0 where none is."""
    if not _is_share(level):
        return 0.0
    return 1 - _bisect(lambda rest: log_wealth_above(counts, length, 1 - rest) >= -log(level))


def clean_blocks_needed(counts: Mapping[int, int], length: int, limit: float, level: float) -> int | None:
    """How many blocks without a hit are missing until `is_below`; None where limit or level is no probability."""
    if not _is_share(limit) or not _is_share(level):
        return None
    missing = -log(level) - log_wealth_below(counts, length, limit)
    return max(0, ceil(missing / log1p(STAKE * limit / (1 - limit))))


def growth_per_block(rate: float, length: int, limit: float) -> float:
    """Expected growth of the log wealth per block against `limit`, at independent mismatches of `rate`."""
    if not _is_share(limit) or not 0 <= rate <= 1:
        return -inf
    stake = STAKE / (1 - limit)
    total, choices = 0.0, 1
    for hits in range(length + 1):
        share = choices * rate**hits * (1 - rate) ** (length - hits)
        total += share * log1p(stake * (limit - hits / length))
        choices = choices * (length - hits) // (hits + 1)
    return total


def _is_share(value: float) -> bool:
    return isfinite(value) and 0 < value < 1


def _bisect(is_excluded: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not 0 < middle < 1:
            break
        if is_excluded(middle):
            high = middle
        else:
            low = middle
    return high
