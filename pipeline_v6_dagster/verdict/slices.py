"""The parts of the decisions that must agree by themselves, so that no symbol, side or route hides behind the rest."""

from dataclasses import dataclass, field

from pipeline_v6_dagster.verdict.betting import BlockBet
from pipeline_v6_dagster.verdict.policy import SLICE_DECISIONS_PER_BLOCK

# What comes after these is gathered in one slice: a bound of the state, far above what a desk trades.
MAX_SLICES = 300
OTHERS = "others"


def _slice_bet() -> BlockBet:
    return BlockBet(length=SLICE_DECISIONS_PER_BLOCK, keep=0)


@dataclass(slots=True, kw_only=True)
class Slice:
    """The decisions of one slice and the mismatches among them. `ordinal` counts slices as they appear, from 1."""

    ordinal: int
    trials: int = 0
    hits: int = 0
    bet: BlockBet = field(default_factory=_slice_bet)


@dataclass(slots=True)
class Slices:
    """All slices by name, in the order in which they appeared."""

    by_name: dict[str, Slice] = field(default_factory=dict)

    def change(self, names: tuple[str, ...], number: int, before: bool | None, after: bool | None) -> None:
        """Count a decision, or that it is known as another now. None: it was, or is, evidence for nothing."""
        for name in names:
            part = self.by_name.get(name) or self._appear(name)
            if after is not None:
                part.trials += 1
                part.hits += after
            if before is not None:
                part.trials = max(0, part.trials - 1)
                part.hits = min(max(0, part.hits - before), part.trials)
            if after is None:
                continue
            if before is None:
                part.bet.add(number, after)
            else:
                part.bet.revise(number, before, after)

    def _appear(self, name: str) -> Slice:
        if len(self.by_name) >= MAX_SLICES:
            name = OTHERS
        part = self.by_name.get(name)
        if part is None:
            part = self.by_name[name] = Slice(ordinal=len(self.by_name) + 1)
        return part
