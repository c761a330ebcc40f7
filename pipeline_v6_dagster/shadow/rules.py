"""The table of pre-trade rules, one entry each, in the order in which a decision lists them.

A rule is a gate (no size passes) or a cap (a smaller order passes). An entry stands beside the function that measures
it: on the intent and its symbol in `intent_rules`, on price in `price_rules`, on exposure in `exposure_rules`, on what
is held in `position_rules`, on what happened before in `history_rules`. What the engine does with them is
`shadow.risk`; where the limits come from is `config.limits`.
"""

from pipeline_v6_dagster.domain.risk import DenyReason
from pipeline_v6_dagster.shadow.exposure_rules import EXPOSURE_RULES
from pipeline_v6_dagster.shadow.history_rules import HISTORY_RULES
from pipeline_v6_dagster.shadow.intent_rules import INTENT_RULES
from pipeline_v6_dagster.shadow.position_rules import POSITION_RULES
from pipeline_v6_dagster.shadow.price_rules import PRICE_RULES
from pipeline_v6_dagster.shadow.readings import Cap, Gate

_ORDER = {reason: number for number, reason in enumerate(DenyReason)}

RULES: tuple[Gate | Cap, ...] = tuple(
    sorted(
        (*INTENT_RULES, *PRICE_RULES, *EXPOSURE_RULES, *POSITION_RULES, *HISTORY_RULES),
        key=lambda rule: _ORDER[rule.reason],
    )
)

__all__ = ["RULES", "Cap", "Gate"]
