"""Assets that are written one after the other, and their checks, as one step of a run.

A step has a price (its start and end, what it is told of its inputs) that is paid once here: a run of ours costs
little more than a run of nothing. Each asset and each check can still be asked for alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from pipeline_v6_dagster.defs.checks.finding import Check, Look, evaluate, spec_of
from pipeline_v6_dagster.defs.resources import Pipeline


@dataclass(frozen=True)
class Part:
    """One asset of a step: what it is, and what writes it."""

    spec: dg.AssetSpec
    write: Callable[[Look], dg.MaterializeResult[None]]


def step_of(name: str, parts: Sequence[Part], checks: Sequence[Check]) -> dg.AssetsDefinition:
    """The step that writes `parts` in their order, then evaluates `checks` in theirs.

    What was written is told before the next part begins: a part or a check that fails takes nothing back.
    """

    @dg.multi_asset(
        name=name,
        specs=[part.spec for part in parts],
        check_specs=[spec_of(check) for check in checks],
        can_subset=True,
    )
    def step(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        look = Look(pipeline, context.instance)
        for part in parts:
            if part.spec.key in context.selected_asset_keys:
                yield part.write(look)
        for check in checks:
            if spec_of(check).key in context.selected_asset_check_keys:
                yield evaluate(check, look)

    return step
