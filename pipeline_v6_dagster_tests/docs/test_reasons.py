"""The table of deny reasons in docs/reasons.md is made from the rules.

Run as a module, this writes the table again: `python -m pipeline_v6_dagster_tests.docs.test_reasons`.
"""

from pathlib import Path

from pipeline_v6_dagster.domain.risk import DenyReason
from pipeline_v6_dagster.shadow.rules import RULES, Cap, Gate

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"

_START = "<!-- reasons: made from shadow/rules.py, held equal by a test -->\n"
_END = "<!-- end -->"


def reasons_table() -> str:
    """One row per rule, in the order in which a decision lists its reasons."""
    rows = [
        "| reason | kind | denies when | configuration keys | default | unit | reduce-only | if not known | source |\n",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    ]
    rows += [f"| {' | '.join(_cells(rule))} |\n" for rule in RULES]
    rows.append(
        f"| `{DenyReason.ENGINE_ERROR}` | gate | an engine of the desk's own failed | - | - | text | applies | - | - |"
        "\n"
    )
    return "".join(rows)


def _cells(rule: Gate | Cap) -> tuple[str, ...]:
    return (
        f"`{rule.reason}`",
        "gate" if isinstance(rule, Gate) else "cap",
        rule.denies_when,
        ", ".join(f"`{key}`" for key in rule.limit_keys) or "-",
        rule.default,
        rule.unit,
        "applies" if rule.applies_to_reduce_only else "exempt",
        rule.when_unknown,
        rule.source,
    )


def _parts() -> tuple[str, str, str]:
    """The page before its table, the table, the page after it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_START)
    table, after = rest.split(_END)
    return before, table, after


def test_the_table_is_the_rules() -> None:
    how = "docs/reasons.md is not what the rules say; run: python -m pipeline_v6_dagster_tests.docs.test_reasons"
    assert _parts()[1] == reasons_table(), how


def test_every_reason_is_given_by_a_rule_in_the_order_of_the_enum() -> None:
    assert [*dict.fromkeys(rule.reason for rule in RULES), DenyReason.ENGINE_ERROR] == list(DenyReason)


if __name__ == "__main__":
    before, _, after = _parts()
    PAGE.write_text(before + _START + reasons_table() + _END + after, encoding="utf-8")
