"""The parts of the decisions that must agree by themselves, so that no symbol, side or route hides behind the rest."""

from dataclasses import dataclass, field

from pipeline_v6_dagster.verdict.betting import BlockCounts
from pipeline_v6_dagster.verdict.policy import SLICE_DECISIONS_PER_BLOCK

# What comes after these is gathered in one slice: a bound of the state, far above what a desk trades.
MAX_SLICES = 300
OTHERS = "others"


def _slice_blocks() -> BlockCounts:
    return BlockCounts(length=SLICE_DECISIONS_PER_BLOCK)


@dataclass(slots=True, kw_only=True)
class Slice:
    """The decisions of one slice and the mismatches among them. `ordinal` counts slices as they appear, from 1."""

    ordinal: int
    trials: int = 0
    hits: int = 0
    blocks: BlockCounts = field(default_factory=_slice_blocks)


@dataclass(slots=True)
class Slices:
    """All slices by name, in the order in which they appeared."""

    by_name: dict[str, Slice] = field(default_factory=dict)

    def add(self, names: tuple[str, ...], is_hit: bool) -> None:
        """Count a decision in its slices."""
        for name in names:
            part = self.by_name.get(name) or self._appear(name)
            part.trials += 1
            if is_hit:
                part.hits += 1
            part.blocks.add(is_hit)

    def revise(self, names: tuple[str, ...], was_hit: bool, is_hit: bool | None) -> None:
        """Count a decision as what it is known as now; None: as evidence for nothing. Its value keeps its place."""
        for name in names:
            part = self.by_name.get(name) or self._appear(name)
            part.trials = max(0, part.trials - (is_hit is None))
            part.hits = min(max(0, part.hits + (is_hit is True) - was_hit), part.trials)
            if is_hit is not None and is_hit != was_hit:
                part.blocks.revise(is_hit)

    def _appear(self, name: str) -> Slice:
        if len(self.by_name) >= MAX_SLICES:
            name = OTHERS
        part = self.by_name.get(name)
        if part is None:
            part = self.by_name[name] = Slice(ordinal=len(self.by_name) + 1)
        return part
