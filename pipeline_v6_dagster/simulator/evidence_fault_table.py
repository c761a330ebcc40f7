"""The faults of the evidence: logs, files and clocks. The implementations are `log_faults` and `file_faults`."""

from pipeline_v6_dagster.simulator import file_faults as files
from pipeline_v6_dagster.simulator import leg_faults as legs
from pipeline_v6_dagster.simulator import live_faults as live
from pipeline_v6_dagster.simulator import log_faults as logs
from pipeline_v6_dagster.simulator.drill_fault import DrillFault, FaultGroup, Moment, Window
from pipeline_v6_dagster.simulator.file_faults import FilesFault
from pipeline_v6_dagster.simulator.row_injector import RowFault, Spoil, Starts

_DAY_S = 86_400.0


def _rows(
    name: str,
    criterion: str,
    description: str,
    starts: Starts,
    spoil: Spoil,
    *,
    share: float = 1.0,
    is_single: bool = False,
    window: Window = Window.ALL,
    one_symbol: bool = False,
) -> DrillFault:
    return DrillFault(
        name=name,
        group=FaultGroup.EVIDENCE,
        criterion=criterion,
        description=description,
        rows=RowFault(starts, spoil, one_symbol=one_symbol),
        share=share,
        is_single=is_single,
        window=window,
    )


def _files(
    name: str, criterion: str, description: str, files: FilesFault | None, moment: Moment, clock_s: float = 0.0
) -> DrillFault:
    return DrillFault(
        name=name,
        group=FaultGroup.EVIDENCE,
        criterion=criterion,
        description=description,
        files=files,
        moment=moment,
        clock_s=clock_s,
    )


BAD_EVIDENCE = (
    _rows(
        "unread-event",
        "inputs_usable",
        "A fill is logged under an event type that nobody reads.",
        live.opens,
        logs.write_unread_event,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "unknown-side",
        "inputs_usable",
        "An order is on a side that nobody knows.",
        live.opens,
        legs.write_unknown_side,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "unusable-fill",
        "inputs_usable",
        "A fill is logged without the id of its order.",
        live.opens,
        logs.write_fill_of_no_order,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "absurd-fill",
        "no_overfills",
        "A fill has a quantity beyond anything that exists.",
        live.opens,
        logs.write_absurd_fill,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "absurd-price",
        "inputs_usable",
        "A fill has twice the price of the market.",
        live.opens,
        logs.write_absurd_price,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "absurd-fee",
        "inputs_usable",
        "A fill has a fee of half of its notional.",
        live.opens,
        logs.write_absurd_fee,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "dry-run",
        "inputs_usable",
        "An order that was filled is labelled as a dry run.",
        live.opens,
        logs.write_dry_run,
        share=0.02,
        is_single=True,
    ),
    _rows(
        "second-executor",
        "one_executor",
        "A second executor acks the same order ids.",
        live.answers,
        logs.ack_by_two,
        share=0.05,
    ),
    _rows(
        "alternating-executors",
        "one_executor",
        "Two executors write into the same logs, in turn.",
        live.asks,
        logs.write_by_another,
        window=Window.TO_THE_END,
    ),
    _rows(
        "no-ids",
        "coverage",
        "Orders and vetoes carry no ids, only time can pair them.",
        live.asks,
        logs.drop_ids,
        window=Window.TO_THE_END,
    ),
    _rows(
        "nav-missing",
        "gates_alive",
        "Attempts carry no NAV.",
        live.asks,
        logs.write_nav(None),
        window=Window.TO_THE_END,
    ),
    _rows(
        "nav-constant",
        "gates_alive",
        "NAV never changes.",
        live.asks,
        logs.write_nav(1_000_000.0),
        window=Window.TO_THE_END,
    ),
    _rows(
        "future-attempt",
        "inputs_fresh",
        "An attempt is dated a year ahead.",
        live.asks,
        logs.shift(365 * _DAY_S),
        share=0.001,
        is_single=True,
    ),
    _rows(
        "rows-ahead",
        "inputs_fresh",
        "The newest rows are a day ahead of the clock.",
        live.asks,
        logs.shift(_DAY_S),
        window=Window.NEWEST,
    ),
    _rows(
        "few-days",
        "long_enough",
        "There are only three days of decisions.",
        live.asks,
        logs.vanish,
        window=Window.ALL_BUT_3_DAYS,
    ),
    _rows(
        "few-decisions",
        "orders_enough",
        "There are few decisions.",
        live.asks,
        logs.vanish,
        window=Window.TO_THE_END,
        share=0.975,
    ),
    _rows(
        "few-of-a-symbol",
        "symbols_covered",
        "A symbol has a handful of orders.",
        live.asks,
        logs.vanish,
        window=Window.TO_THE_END,
        share=0.995,
        one_symbol=True,
    ),
    _files(
        "malformed-lines",
        "inputs_usable",
        "Lines of the order log are no rows (5 %).",
        files.spoil_lines(0.05, is_json=False),
        Moment.BEFORE,
    ),
    _files(
        "not-finite",
        "inputs_usable",
        "Rows of the order log carry NaN (5 %).",
        files.spoil_lines(0.05, is_json=True),
        Moment.BEFORE,
    ),
    _files(
        "truncated-input",
        "inputs_whole",
        "The order log lost its newer half after it was read.",
        files.truncate_input,
        Moment.AFTER_READING,
    ),
    _files(
        "truncated-attempts",
        "inputs_whole",
        "The log of attempts lost its newer half after it was read.",
        files.truncate_attempts,
        Moment.AFTER_READING,
    ),
    _files(
        "edited-input",
        "inputs_whole",
        "A row of the order log was edited in place after it was read.",
        files.edit_input,
        Moment.AFTER_READING,
    ),
    _files(
        "damaged-rotation",
        "inputs_whole",
        "The end of a compressed rotation of the order log is cut off.",
        files.damage_rotation,
        Moment.BEFORE,
    ),
    _files(
        "replaced-input",
        "inputs_whole",
        "The order log was replaced after it was read.",
        files.replace_input,
        Moment.AFTER_READING,
    ),
    _files("removed-input", "inputs_whole", "The order log is gone.", files.remove_input, Moment.AFTER_READING),
    _files("lost-vetoes", "coverage", "The veto log holds the newest tenth.", files.lose_vetoes, Moment.BEFORE),
    _files("lost-unread", "inputs_whole", "Rows were lost before they were read.", files.lose_unread, Moment.HALFWAY),
    _files(
        "unreadable-rotation",
        "inputs_whole",
        "A rotation of the order log cannot be read.",
        files.add_unreadable_rotation,
        Moment.BEFORE,
    ),
    _files(
        "stale-inputs", "inputs_fresh", "Nothing was logged for three days.", None, Moment.AFTER_COMPARE, 3 * _DAY_S
    ),
    _files(
        "stale-positions", "inputs_fresh", "Position snapshots ended days ago.", files.stop_positions, Moment.BEFORE
    ),
    _files("clock-ahead", "inputs_fresh", "The clock is ten years ahead.", None, Moment.AFTER_READING, 3652 * _DAY_S),
    _files(
        "unread-key",
        "limits_understood",
        "The limits hold a key that nobody knows.",
        files.add_unread_key,
        Moment.BEFORE,
    ),
)
