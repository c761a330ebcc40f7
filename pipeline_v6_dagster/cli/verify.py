"""`pipeline-v6 verify`."""

import click
import msgspec

from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import answer, json_option, read_environment
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.verify import LogReport, VerifyReport, verify_logs


@click.command("verify")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Whether a line of our own logs was changed, removed, inserted or moved, across rotations and archives.

    Exit code 0: they are whole. 65: one is not; each place is named. What was cut off the end is seen where the
    head, the summary or the compare log has seen more. To see a log that was rewritten as a whole, keep the newest
    link that this prints where whoever writes the log cannot reach it.
    """
    with working("verifying"):
        report = verify_logs(read_environment())
    answer(as_json, {"is_whole": report.is_whole, **msgspec.to_builtins(report, enc_hook=str)}, _lines(report))
    context.exit(0 if report.is_whole else DataError.exit_code)


def _lines(report: VerifyReport) -> list[str]:
    lines = []
    for log in report.logs:
        lines.append(f"{log.path}: {_describe(log)}")
        lines += [f"  {finding}" for finding in log.findings]
        if log.finding_count > len(log.findings):
            lines.append(f"  and {log.finding_count - len(log.findings)} more")
        if log.torn_bytes:
            lines.append(f"  {log.torn_bytes} bytes at its end are being written, or will be cut by the next run")
    lines += [f"{path}: written by the executor, which chains nothing" for path in report.not_ours]
    return lines


def _describe(log: LogReport) -> str:
    if log.finding_count:
        return f"NOT whole, {log.finding_count} places in {log.lines} lines"
    if log.newest is None:
        return "nothing there yet"
    older = f" (older ones were deleted with their archives: it begins with line {log.first_line})"
    return f"whole, {log.lines} lines{older if (log.first_line or 1) > 1 else ''}, newest {log.newest}"
