"""What to do about each thing that can go wrong: one sentence or two, the same in the UI and in a message.

The longer story is the entry of the same name in docs/runbook.md; a test makes sure that there is one.
"""

from dataclasses import dataclass

RUN_FAILED = "run_failed"


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
    "warmup": Guidance(
        "there are enough decisions to judge",
        "Wait, and flip no flag: until then the summary is informational only. If the count stands still, look at"
        " executor_alive and at open_decisions.",
    ),
    "verdict": Guidance(
        "the evidence supports flipping v6 on",
        "Read the reasons: each names the figure that stands against it. Do not flip v6 on.",
    ),
    "executor_alive": Guidance(
        "the executor has attempted an order recently",
        "Check whether the executor runs and logs. If it was paused on purpose, nothing is wrong; head and summary stay"
        " fresh and say nothing new.",
    ),
    RUN_FAILED: Guidance(
        "the runs of each job succeed",
        "Read the error: it names the file or the setting and how to fix it. The next interval tries again by itself.",
    ),
}

# Of a run that a person launched: nothing starts it again.
LAUNCHED_RUN_TODO = "Read the error: it names the file or the setting and how to fix it. Then launch the run again."
