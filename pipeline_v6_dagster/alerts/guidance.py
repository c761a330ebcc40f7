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
    "no_upsizes": Guidance(
        "live placed no order larger than v6 would have, beyond the tolerance and one lot step",
        "Stop the executor or cut its limits, check the open positions of these symbols against the exchange, and find"
        " out in the executor why the size grew. Do not flip v6 on.",
    ),
    "veto_mismatch": Guidance(
        "shadow and live agree on what may be traded, except for a small share",
        "Look at the decisions in the table by their reasons: a limit that only one side knows is corrected in"
        " risk_limits.json or pairs_universe.json. Do not flip v6 on.",
    ),
    "sizing_p95": Guidance(
        "nearly all orders have the size that v6 would have given them",
        "Look at the orders in the table: compare lot steps, clamps and leverage of these symbols on both sides. Do not"
        " flip v6 on while it is red.",
    ),
    "verdict": Guidance(
        "the evidence supports flipping v6 on",
        "Read the reasons: each names the figure that stands against it. Do not flip v6 on.",
    ),
    "input_quality": Guidance(
        "the executor's logs can be read: nearly every one of the newest lines is usable, and none was lost",
        "Look at the kinds of unusable lines and fix the program that writes them. After a lost position run"
        " pipeline-v6 compare --rebuild once.",
    ),
    "coverage": Guidance(
        "nearly every decision has a live outcome, nearly every live order a decision and a size to compare",
        "Look for a log that is missing, late, or written by a second executor: the table names the decisions and"
        " orders without a counterpart.",
    ),
    "log_integrity": Guidance(
        "our logs are as they were written: no line was changed, removed or moved",
        "Keep a copy of the logs, find out who wrote to them, and restore them from the backup. Trust no verdict over"
        " them.",
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
