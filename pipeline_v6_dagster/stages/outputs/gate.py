"""The verdict as of the moment of asking: what is stored, with what only the present can tell.

The authority is the compare log. The summary file is compared with it and trusted for nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline_v6_dagster.config.ignore_rules import load_ignore_rules
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import ConfigError, DataError, StorageError
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import Criterion
from pipeline_v6_dagster.logs.compare_log import BlockEnd, Cursor, encode_summary_file, ends_backward, open_compare_log
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.compare.identity import describe_settings, settings_identity, verdict_policy
from pipeline_v6_dagster.stages.compare.summary import gather_facts
from pipeline_v6_dagster.stages.live_limits import find_live_limits
from pipeline_v6_dagster.stages.shadow.engines import load_engines
from pipeline_v6_dagster.verdict.criteria import ASKED_NOW, CRITERIA, evaluate_all
from pipeline_v6_dagster.verdict.decide import Decision, decide
from pipeline_v6_dagster.verdict.epochs import epoch_identity
from pipeline_v6_dagster.verdict.facts import NowFacts
from pipeline_v6_dagster.verdict.reach import Reach, reach
from pipeline_v6_dagster.verdict.sufficiency import covered_symbols

# An executor may veto nothing for days; each of the others has a row for every order or more.
_KEEP_COMING = ("order_attempts", "orders_executed", "order_metrics", "position_state")
_RANKS = {entry.name: rank for rank, entry in enumerate(CRITERIA)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The newest block of the compare log and the verdict on it; `end` is None if there is none.

    `reach` says what a PASS still needs. `problem` says why the compare log could not be read.
    """

    end: BlockEnd | None
    criteria: tuple[Criterion, ...]
    decision: Decision
    reach: Reach
    problem: str | None = None


def find_chain_problems(settings: Settings) -> Sequence[str]:
    """What is wrong with the hash chains of our logs, read from their beginning."""
    return [finding for log in verify_logs(settings).logs for finding in log.findings]


def read_gate(
    settings: Settings, now: float, verify: Callable[[Settings], Sequence[str]] = find_chain_problems
) -> Gate:
    """The verdict as of `now` (epoch s). Broken evidence gives a verdict that says so, never an error.

    `verify` gives the findings of the hash chains.

    Raises:
        StorageError: a log of ours cannot be read at all.
    """
    end, problem = None, None
    try:
        end = next(ends_backward(open_compare_log(settings)), None)
    except DataError as error:
        problem = str(error)
    cursor = Cursor() if end is None else end.cursor
    findings = verify(settings)
    problems = [*([] if problem is None else [problem]), *findings]
    if end is None and problem is None and findings:
        problem = findings[0]  # A damaged end of the only block reads as if there were none.
    facts = replace(gather_facts(settings, cursor, ()), now=gather_now_facts(settings, end, now, problems))
    policy = verdict_policy(settings)
    asked = [each for each in evaluate_all(cursor.evidence, facts, policy) if each.name in ASKED_NOW]
    stored = () if end is None else end.summary.criteria
    criteria = tuple(sorted((*stored, *asked), key=lambda each: _RANKS.get(each.name, len(_RANKS))))
    covered, missing = covered_symbols(cursor.evidence, policy)
    sample_size, is_warmup = (0, True) if end is None else (end.summary.sample_size, end.summary.is_warmup)
    if problem is not None:
        sample_size = 1  # Something was compared once: lost evidence is not the same as none.
    decision = decide(criteria, sample_size, is_warmup, covered, missing)
    return Gate(
        end=end,
        criteria=criteria,
        decision=decision,
        reach=reach(criteria, cursor.evidence, facts, policy),
        problem=problem,
    )


def gather_now_facts(settings: Settings, end: BlockEnd | None, now: float, problems: Sequence[str]) -> NowFacts:
    """What only the present can tell: clocks, chains (`problems`), configuration."""
    counts = {} if end is None else end.cursor.counts
    newest = {name: counts[name].newest_ts for name in _KEEP_COMING if name in counts and counts[name].lines}
    identity, unread, live_limits = _read_configuration(settings, end)
    return NowFacts(
        now=now,
        newest_row_ts=newest,
        chain_problems=tuple(problems),
        is_summary_in_log=None if end is None else _is_summary_in_log(settings, end.summary),
        unread_keys=unread,
        live_limits=live_limits,
        identity=identity,
    )


def _read_configuration(
    settings: Settings, end: BlockEnd | None
) -> tuple[str | None, tuple[str, ...] | None, tuple[str, ...]]:
    """(identity of now, unread keys, limits that live applied otherwise); None where the files cannot be used."""
    try:
        configuration = load_configuration(settings.risk_limits, settings.pairs_universe)
        described = describe_settings(settings, load_ignore_rules(settings.ignore_rules))
        unread = configuration.unread_keys
        live = tuple(found.summary for found in find_live_limits(settings, configuration.limits))
        if settings.shadow_source is ShadowSource.EXTERNAL:
            # Only the executor knows under what it decides now; its newest decision says it.
            return (None if end is None else end.cursor.epoch.identity), unread, live
        version = load_engines(settings, configuration.limits).version
    except (ConfigError, StorageError):
        return None, None, ()
    return epoch_identity(configuration.limits.config_hash, version, settings_identity(described)), unread, live


def _is_summary_in_log(settings: Settings, summary: Summary) -> bool:
    """Whether the summary file says what the log says. A file that is missing contradicts nothing."""
    try:
        return read_regular(settings.compare_summary) == encode_summary_file(summary)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise StorageError(f"{settings.compare_summary}: cannot be read: {error.strerror}") from error
