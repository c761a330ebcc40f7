"""The faults of a live executor: one bad order among thousands, and many. The implementations are `live_faults`."""

from pipeline_v6_dagster.simulator import leg_faults as legs
from pipeline_v6_dagster.simulator import live_faults as live
from pipeline_v6_dagster.simulator.drill_fault import Decided, DrillFault, FaultGroup, Window
from pipeline_v6_dagster.simulator.file_faults import lose_rollout
from pipeline_v6_dagster.simulator.row_injector import RowFault

_VETOES = ("per_trade_cap", "min_notional", "symbol_cap", "portfolio_cap")


def _live(
    name: str,
    criterion: str,
    rows: RowFault,
    description: str,
    share: float = 1.0,
    window: Window = Window.ALL,
    decided: Decided = Decided.ANY,
) -> DrillFault:
    return DrillFault(
        name=name,
        group=FaultGroup.LIVE,
        criterion=criterion,
        rows=rows,
        description=description,
        share=share,
        window=window,
        decided=decided,
    )


def _single(
    name: str,
    criterion: str,
    rows: RowFault,
    description: str,
    window: Window = Window.ALL,
    share: float = 0.02,
    decided: Decided = Decided.ANY,
) -> DrillFault:
    return DrillFault(
        name=name,
        group=FaultGroup.LIVE,
        criterion=criterion,
        rows=rows,
        description=description,
        is_single=True,
        window=window,
        share=share,
        decided=decided,
    )


SINGLE_ORDERS = (
    _single("opposite-side", "same_side", RowFault(live.opens, live.trade_other_side()), "Live buys where v6 sells."),
    _single(
        "wrong-symbol", "same_symbol", RowFault(live.opens, live.trade_other_symbol()), "Live trades another symbol."
    ),
    _single(
        "position-side",
        "same_position_side",
        RowFault(live.opens, live.trade_other_position_side()),
        "Live trades the other position of a symbol.",
    ),
    _single("double-size", "no_upsizes", RowFault(live.opens, live.resize(2.0)), "Live doubles an order."),
    _single(
        "old-upsize",
        "no_upsizes",
        RowFault(live.opens, live.resize(2.0)),
        "Live doubled an order at the beginning of the history.",
        Window.OLDEST,
    ),
    _single("slight-upsize", "no_upsizes", RowFault(live.opens, live.resize(1.25)), "Live adds a quarter to an order."),
    _single("overfill", "no_overfills", RowFault(live.opens, live.execute(50.0)), "An order fills fifty times over."),
    _single(
        "resting-duplicate",
        "no_upsizes",
        RowFault(live.opens, live.repeat_order(0.01)),
        "A second order of the same intent rests on the market.",
    ),
    _single(
        "amend-grow", "no_upsizes", RowFault(live.opens, live.grow_order()), "An order grows without an amendment."
    ),
    _single(
        "reused-id", "no_upsizes", RowFault(live.opens, live.ack_again()), "An order id that had ended trades again."
    ),
    _single(
        "split-order", "no_upsizes", RowFault(live.opens, legs.split(2.0, 5)), "Five small orders add up to double."
    ),
    _single(
        "unsized-leg",
        "no_upsizes",
        RowFault(live.opens, legs.rest_unsized(2.0)),
        "Live doubles an order beside another one of the same intent that does not say its size.",
    ),
    _single(
        "renamed-fill",
        "no_overfills",
        RowFault(live.opens, legs.fill_more_by_other_name(5.0)),
        "An order fills five times its quantity, under another name of the field.",
    ),
    _single(
        "larger-again",
        "no_upsizes",
        RowFault(live.opens, legs.send_again_larger(2.0)),
        "An order is cancelled and sent again at twice its size.",
    ),
    _single(
        "flip-doubled",
        "no_upsizes",
        RowFault(legs.flips, live.resize(2.0)),
        "The opening order of a flip is doubled.",
    ),
    _single(
        "signed-upsize",
        "no_upsizes",
        RowFault(live.opens, legs.write_signed(2.0)),
        "Live doubles an order and logs its quantity with a sign.",
    ),
    _single(
        "hedged-intent",
        "same_side",
        RowFault(live.opens, legs.hedge_again()),
        "A second order of the same intent goes the other way.",
    ),
    _single(
        "fill-other-position",
        "same_position_side",
        RowFault(live.opens, legs.fill_other_position()),
        "An order fills another position than it was acked for.",
    ),
    _single(
        "downsize",
        "v6_not_larger",
        RowFault(live.opens, live.resize(0.1)),
        "Live places a tenth of v6's size.",
        decided=Decided.ALLOWED,
    ),
    _single(
        "reduce-mislabel",
        "reduce_only_honest",
        RowFault(live.opens_from_flat, live.label_reducing()),
        "An opening order is labelled reduce-only.",
    ),
    _single(
        "rogue-order", "orders_explained", RowFault(live.opens, live.send_rogue(1.0)), "An order nobody asked for."
    ),
    _single(
        "rogue-giant",
        "orders_explained",
        RowFault(live.opens, live.send_rogue(1000.0)),
        "An order nobody asked for, a thousand times the usual size.",
    ),
    DrillFault(
        name="v6-unasked",
        group=FaultGroup.LIVE,
        criterion="within_rollout",
        description="v6 places an order, and no rollout was begun that lets it.",
        rows=RowFault(live.opens, live.place_by_v6),
        is_single=True,
        share=0.02,
        files=lose_rollout,
    ),
)
MANY_ORDERS = (
    _live(
        "retry-new-id",
        "every_slice_agrees",
        RowFault(live.vetoes, live.trade_vetoed(is_renamed=True)),
        "Live executes what it vetoed, under another id.",
        decided=Decided.DENIED,
    ),
    _live(
        "ignored-veto",
        "every_slice_agrees",
        RowFault(live.vetoes, live.trade_vetoed(is_renamed=False)),
        "Live executes all that v6 denies.",
        decided=Decided.DENIED,
    ),
    _live("silent", "coverage", RowFault(live.answers, live.stay_silent), "Live does nothing about attempts.", 0.3),
    _live(
        "newest-silent",
        "coverage",
        RowFault(live.answers, live.stay_silent),
        "Live does nothing about most of its newest attempts, after a good past.",
        0.7,
        window=Window.NEWEST,
    ),
    _live(
        "live-vetoes",
        "decisions_agree",
        RowFault(live.answers, live.veto(_VETOES)),
        "Live vetoes a third.",
        0.33,
        decided=Decided.ALLOWED,
    ),
    _live(
        "bursts",
        "decisions_agree",
        RowFault(live.answers, live.veto(_VETOES), burst=10),
        "Live vetoes in bursts of ten.",
        0.2,
        decided=Decided.ALLOWED,
    ),
    _live(
        "newest-vetoes",
        "still_agrees",
        RowFault(live.answers, live.veto(_VETOES)),
        "Live vetoes a third of its newest attempts, after a good past.",
        0.33,
        window=Window.NEWEST,
        decided=Decided.ALLOWED,
    ),
    _live(
        "stuck-gate",
        "gates_alive",
        RowFault(live.answers, live.veto(("drawdown_guard",))),
        "Live vetoes everything for one reason.",
        window=Window.NEWEST,
    ),
    _live(
        "one-symbol",
        "every_slice_agrees",
        RowFault(live.answers, live.veto(_VETOES), one_symbol=True),
        "Live vetoes one symbol.",
        0.5,
        decided=Decided.ALLOWED,
    ),
    _live(
        "one-side",
        "every_slice_agrees",
        RowFault(live.answers_selling, live.veto(_VETOES)),
        "Live vetoes sales.",
        0.5,
        decided=Decided.ALLOWED,
    ),
    _live(
        "reduce-only-vetoed",
        "every_slice_agrees",
        RowFault(live.answers_reducing, live.veto(_VETOES)),
        "Live vetoes what reduces.",
        0.5,
        decided=Decided.ALLOWED,
    ),
    _live(
        "late-order",
        "orders_prompt",
        RowFault(live.answers, live.delay(2000.0)),
        "Orders come after the deadline.",
        0.2,
    ),
    _live(
        "slow-orders",
        "orders_prompt",
        RowFault(live.answers, live.delay(180.0)),
        "Orders come three minutes late.",
        0.2,
    ),
    _live("poor-fill", "fills", RowFault(live.answers, live.execute(0.1)), "Orders fill a tenth of their quantity."),
    _live(
        "smaller-sizes",
        "sizes_agree",
        RowFault(live.opens, live.resize(0.9)),
        "Live places nine tenths.",
        0.6,
        decided=Decided.ALLOWED,
    ),
    _live(
        "less-dollars",
        "exposure_added",
        RowFault(live.opens, live.resize(0.955)),
        "v6 would place 4.5 % more dollars.",
        decided=Decided.ALLOWED,
    ),
    _live(
        "wide-slippage",
        "slippage_as_expected",
        RowFault(live.opens, live.slip(40.0)),
        "Fills are 40 bps off.",
        decided=Decided.ALLOWED,
    ),
    _live(
        "other-route",
        "routes_agree",
        RowFault(live.answers, live.route_otherwise),
        "Live crosses where v6 rests.",
        decided=Decided.ALLOWED,
    ),
)
