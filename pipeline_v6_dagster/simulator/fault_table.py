"""The faults that a verdict must see through, by name. Pure data.

`pipeline-v6 drill` injects every one of them into a copy of a desk's own logs, `pipeline-v6 simulate` those of rows
into simulated ones; both by the same code.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pipeline_v6_dagster.simulator.drill_fault import DrillFault
from pipeline_v6_dagster.simulator.evidence_fault_table import BAD_EVIDENCE
from pipeline_v6_dagster.simulator.gaming_fault_table import GAMING
from pipeline_v6_dagster.simulator.live_fault_table import MANY_ORDERS, SINGLE_ORDERS

FAULT_TABLE: Mapping[str, DrillFault] = MappingProxyType(
    {fault.name: fault for fault in (*SINGLE_ORDERS, *MANY_ORDERS, *BAD_EVIDENCE, *GAMING)}
)
ROW_FAULTS: tuple[str, ...] = tuple(name for name, fault in FAULT_TABLE.items() if fault.rows is not None)
