"""What to do about what is no criterion of the verdict: one sentence or two, the same in the UI and in a message.

The criteria say it themselves (`verdict/criteria.py`). The longer text is the entry of the same name in
docs/runbook.md; a test makes sure that there is one.
"""

from dataclasses import dataclass

RUN_FAILED = "run_failed"
ROLLOUT_MOVED = "rollout_moved"


@dataclass(frozen=True, slots=True)
class Guidance:
    """`passes_when`: the rest of the sentence "Passes when ...". `todo`: what to do where it fails."""

    passes_when: str
    todo: str

    @property
    def description(self) -> str:
        """Of the check, in the UI."""
        return f"Passes when {self.passes_when}. If not: {self.todo}"


GUIDANCE = {
    "verdict": Guidance(
        "every criterion holds, so that v6 may go live",
        "Read the reasons: each names the criterion that stands against it. Until then, do not take v6 live.",
    ),
    "warmup": Guidance(
        "enough decisions were compared to judge",
        "Wait: until then the summary is informational only. If the count stands still, look at executor_alive and at"
        " open_decisions.",
    ),
    "executor_alive": Guidance(
        "the executor has attempted an order recently",
        "Check whether the executor runs and logs. If it was paused on purpose, nothing is wrong; head and summary stay"
        " fresh and say nothing new.",
    ),
    "drill_catches_faults": Guidance(
        "the newest drill missed no fault",
        "Run pipeline-v6 drill with each fault that was missed. Until it is caught, do not rely on its criterion.",
    ),
    "fleet_within_limits": Guidance(
        "no executor of the fleet is red, amber or FAIL, without data or stale",
        "The table names each executor with its problem. Run pipeline-v6 --executor NAME status for one of them.",
    ),
    "rollout_within_evidence": Guidance(
        "the executor's file allows no more than the history of the rollout and the evidence support, and"
        " config/rollout.json is understood",
        "Run pipeline-v6 compare, which takes away what is not supported. If the file is wrong, pipeline-v6 heartbeat"
        " writes it again; if it stays wrong, delete it: an executor that finds none treats v6 as off. Correct what is"
        " named in config/rollout.json.",
    ),
    ROLLOUT_MOVED: Guidance(
        "nothing changes what v6 may do",
        "Run pipeline-v6 rollout status: it says where the rollout stands, who or what moved it, and what the next step"
        " needs.",
    ),
    RUN_FAILED: Guidance(
        "the runs of each job succeed",
        "Read the error: it names the file or the setting and how to fix it. The next interval tries again by itself.",
    ),
}

# Of a run that nothing starts again soon: a person launched it, or it is a drill or a replay.
LAUNCHED_RUN_TODO = "Read the error: it names the file or the setting and how to fix it. Then launch the run again."
