"""What the evidence of an epoch vouches for besides configuration and engines: the verdict's settings and tolerances.

Values that equal their default do not count, so that a new setting changes no identity.
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import MismatchKind
from pipeline_v6_dagster.domain.ignoring import IgnoreRule
from pipeline_v6_dagster.verdict.policy import VerdictPolicy

# Settings that a verdict depends on. Intervals, addresses and the like change no evidence.
_FIELDS = (
    "compare_limit",
    "min_sample",
    "match_tolerance_s",
    "upsize_tolerance_ratio",
    "max_mismatch_ratio",
    "verdict_error_rate",
    "min_days",
    "min_orders",
    "min_orders_per_symbol",
    "verdict_symbols",
    "max_slippage_bps",
    "max_order_delay_s",
    "max_route_mismatch_ratio",
    "shadow_source",
)


def describe_settings(settings: Settings, rules: Sequence[IgnoreRule]) -> dict[str, str]:
    """What differs from the defaults, by the name of its environment variable, and what each ignore rule matches."""
    fields = Settings.model_fields
    found = {}
    for name in _FIELDS:
        value = getattr(settings, name)
        if value != fields[name].default:
            found[fields[name].alias or name] = msgspec.json.encode(value).decode()
    # A rule that names only orders without a decision hides none of the decisions that the evidence consists of.
    matches = sorted(_matched(rule) for rule in rules if rule.mismatch_kind != MismatchKind.LIVE_ONLY)
    if matches:
        found["ignore rules"] = "; ".join(matches)
    return found


def settings_identity(described: dict[str, str]) -> str:
    """16 hex digits over what `describe_settings` found."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(described.items()))
    return sha256(text.encode()).hexdigest()[:16]


def verdict_policy(settings: Settings) -> VerdictPolicy:
    """What the settings say of a verdict."""
    p50, p95 = settings.max_slippage_bps
    return VerdictPolicy(
        max_mismatch_ratio=settings.max_mismatch_ratio,
        error_rate=settings.verdict_error_rate,
        min_days=settings.min_days,
        min_orders=settings.min_orders,
        min_orders_per_symbol=settings.min_orders_per_symbol,
        symbols=settings.verdict_symbols,
        max_slippage_p50_bps=p50,
        max_slippage_p95_bps=p95,
        max_order_delay_s=settings.max_order_delay_s,
        max_route_mismatch_ratio=settings.max_route_mismatch_ratio,
        compare_limit=settings.compare_limit,
        min_sample=settings.min_sample,
    )


def _matched(rule: IgnoreRule) -> str:
    fields = (rule.symbol, rule.side, rule.intent_id, rule.mismatch_kind, rule.root_cause)
    return "/".join("*" if field is None else str(field) for field in fields)
