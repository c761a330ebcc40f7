"""Which engines decide: the built-in ones, or a desk's own that the settings name as `module:attribute`.

A desk's own code is guarded: what it raises, and an answer that is none, denies the one attempt and is counted, and
the run goes on. docs/engines.md says how to write one.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from importlib import import_module
from math import isfinite
from typing import Any, TypeVar

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.account import RoutingRecord
from pipeline_v6_dagster.domain.decision import RouterDecision, SizeDecision
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.pipeline import EngineFaultError, Engines

Answer = TypeVar("Answer")

_REASONS = {reason.value: reason for reason in DenyReason}
_LONGEST_FAULT = 200


def load_engines(settings: Settings, limits: Limits) -> Engines:
    """The engines that the settings name, the built-in ones where they name none.

    Raises:
        ConfigError: a named engine cannot be imported, made or used; every such one is named.
    """
    engines = Engines.built_in(limits)
    problems: list[Problem] = []
    for variable, named, method, put_in in (
        ("PIPELINE_V6_RISK_ENGINE", settings.risk_engine, "check_order", _with_risk),
        ("PIPELINE_V6_SIZER", settings.sizer, "size_order", _with_sizer),
        ("PIPELINE_V6_ROUTER", settings.router, "route_order", _with_router),
    ):
        if named is None:
            continue
        try:
            engines = put_in(engines, _load(named, method, limits))
            engines = replace(engines, version=f"{engines.version}+{named}")
        except _LoadError as error:
            problems.append(Problem("environment", variable, repr(named), str(error)))
    if problems:
        raise ConfigError(problems)
    return engines


class _LoadError(Exception):
    """Why a named engine cannot be had."""


def _load(named: str, method: str, limits: Limits) -> Any:
    """The attribute: an object with the method, or what makes one when it is called with the limits."""
    module_name, _, attribute = named.partition(":")
    try:
        found: Any = reduce(getattr, attribute.split("."), import_module(module_name))
        engine = found(limits) if isinstance(found, type) or not hasattr(found, method) else found
    except Exception as error:
        raise _LoadError(f"cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(getattr(engine, method, None)):
        raise _LoadError(f"has no method {method}; see docs/engines.md")
    return engine


def _guarded(name: str, ask: Callable[[], Any], read: Callable[[Any], Answer]) -> Answer:
    try:
        return read(ask())
    except EngineFaultError:
        raise
    except Exception as error:
        raise EngineFaultError(f"{name}: {type(error).__name__}: {error}"[:_LONGEST_FAULT]) from error


class _GuardedRisk:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        return _guarded("risk engine", lambda: self._engine.check_order(intent, state), _risk_decision)


class _GuardedSizer:
    def __init__(self, sizer: Any) -> None:
        self._sizer = sizer

    def size_order(self, intent: OrderIntent, risk: RiskDecision) -> SizeDecision:
        size = _guarded("sizer", lambda: self._sizer.size_order(intent, risk), _size_decision)
        if size.qty > (intent.qty or 0.0) or size.gross_usd > (intent.quote_notional or 0.0):
            raise EngineFaultError("sizer: made the order larger than asked for")
        return size


class _GuardedRouter:
    def __init__(self, router: Any) -> None:
        self._router = router

    def route_order(self, intent: OrderIntent, size: SizeDecision, record: RoutingRecord) -> RouterDecision:
        return _guarded("router", lambda: self._router.route_order(intent, size, record), _router_decision)


def _with_risk(engines: Engines, engine: Any) -> Engines:
    return replace(engines, risk=_GuardedRisk(engine))


def _with_sizer(engines: Engines, sizer: Any) -> Engines:
    return replace(engines, sizer=_GuardedSizer(sizer))


def _with_router(engines: Engines, router: Any) -> Engines:
    return replace(engines, router=_GuardedRouter(router))


def _risk_decision(answer: Any) -> RiskDecision:
    """A decision as it is, or one of the older kind with plain attributes: `allowed`, `reasons`, `clamped_qty`."""
    if isinstance(answer, RiskDecision):
        return answer
    allowed = answer.allowed
    if not isinstance(allowed, bool):
        raise EngineFaultError(f"risk engine: allowed is {allowed!r}, not a boolean")
    unknown = [reason for reason in answer.reasons if reason not in _REASONS]
    if unknown:
        raise EngineFaultError(f"risk engine: {unknown[0]!r} is no deny reason")
    reasons = tuple(_REASONS[reason] for reason in answer.reasons)
    if allowed is bool(reasons):
        raise EngineFaultError("risk engine: an order is denied exactly where there is a reason")
    return RiskDecision(allowed, _finite(getattr(answer, "clamped_qty", 0.0)), reasons, (), (), {})


def _size_decision(answer: Any) -> SizeDecision:
    return SizeDecision(_finite(answer.gross_usd), _finite(answer.qty), tuple(map(str, answer.caps_applied)))


def _router_decision(answer: Any) -> RouterDecision:
    if not isinstance(answer, RouterDecision):
        raise EngineFaultError(f"router: answered {type(answer).__name__}, not RouterDecision")
    for value in (answer.expected_px, answer.expected_slippage_bps, answer.offset_bps):
        _signed(value)
    return answer


def _finite(value: Any) -> float:
    if _signed(value) < 0:
        raise EngineFaultError(f"{value!r} is below 0")
    return float(value)


def _signed(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise EngineFaultError(f"{value!r} is no finite number")
    return float(value)
