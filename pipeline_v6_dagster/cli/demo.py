"""`pipeline-v6 demo`: everything in a sandbox that is gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import click

from pipeline_v6_dagster.alerts.delivery import name_channels
from pipeline_v6_dagster.alerts.message import Delivery, Message, explain_command
from pipeline_v6_dagster.alerts.sender import program_path
from pipeline_v6_dagster.cli.demo_dagster import check_port, check_runs, dagster_dev, socket_folder
from pipeline_v6_dagster.cli.demo_narration import Narrator
from pipeline_v6_dagster.cli.demo_pages import served
from pipeline_v6_dagster.cli.demo_rollout import Chapter, RolloutStory
from pipeline_v6_dagster.cli.number_option import MAX_SECONDS, NumberOption
from pipeline_v6_dagster.cli.surroundings import clock, read_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.summary import Status
from pipeline_v6_dagster.logs.alert_outbox import decode_line
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.faults import Injected
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.outputs.links import RUNBOOK_PAGE, asset_url, check_url, report_url
from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster.stages.outputs.status import ChainReader, read_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed, write_instance

_ALERT_URLS = "PIPELINE_V6_ALERT_URLS"
# As long and as busy as a PASS needs at least.
_HISTORY_S = 21 * 86_400.0
_ATTEMPTS_PER_S = 0.0025
# So much of the history is compared first, to show what a warmup is.
_WARMUP_S = 12 * 3600.0
# The feed that goes on while one looks: faster, and with orders that are larger than asked for.
_LIVE_ATTEMPTS_PER_S = 0.5
_LIVE_UPSIZE_SHARE = 0.05
_INTERVAL_S = 20
_FEED_EVERY_S = 1.0

_UI_WARNING = "It listens on localhost only and has no password: any page in a browser on this machine may use it."


@click.command("demo")
@click.option(
    "--seconds", type=NumberOption(0, MAX_SECONDS), default=600.0, show_default=True, help="How long it lasts."
)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Where the UI listens.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed trades the same orders.")
@click.option("--ui/--no-ui", default=True, show_default=True, help="Whether to start the Dagster UI and daemon.")
@click.option("--rollout", is_flag=True, help="Take v6 live on one symbol, and back when it makes a mistake.")
@click.option("--json", "as_json", is_flag=True, help="Say each line as one JSON object with its time and text.")
@click.option("--alerts", is_flag=True, help=f"Send the alerts of the demo to your own {_ALERT_URLS}.")
def command(as_json: bool, seconds: float, port: int, seed: int, ui: bool, rollout: bool, alerts: bool) -> None:
    """All of it in a sandbox: a simulated executor, every stage, the Dagster UI with its sensors on.

    Three weeks of trading in which live does what v6 would do are decided and compared: first warming up, then PASS.
    With the UI, trading continues, and some orders are larger than asked for: the status turns red and an alert is
    recorded. The output says what happens and where to look. Ctrl-C ends it; nothing is left behind.

    With --rollout live stays good instead: v6 is approved for one symbol, places orders there, and begins to trade on
    the wrong side; compare rolls it back. Without the UI the demo ends there.
    """
    if alerts and not os.environ.get(_ALERT_URLS, "").strip():
        raise click.UsageError(f"--alerts: {_ALERT_URLS} is empty, so there is nowhere to send to; set it")
    if ui:
        check_port(port)
    narrator = Narrator(as_json)
    # A process started in the background by a script has SIGINT ignored, and so would have all it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    with (
        TemporaryDirectory(prefix="pipeline-v6-demo-") as folder,
        socket_folder(folder) as sockets,
        _served_pages(Path(folder)) as pages_url,
    ):
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")},
            **({_ALERT_URLS: os.environ[_ALERT_URLS]} if alerts else {}),
            "PIPELINE_V6_UI_URL": f"http://127.0.0.1:{port}",
            "PIPELINE_V6_RUNBOOK_URL": f"{pages_url}/docs/{RUNBOOK_PAGE.name}",
            "PIPELINE_V6_REPORTS_URL": f"{pages_url}/reports",
            "PIPELINE_V6_HOME": folder,
            "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": str(_INTERVAL_S),
            "PIPELINE_COMPARE_INTERVAL": str(_INTERVAL_S),
            "DAGSTER_HOME": str(Path(folder) / "dagster_home"),
            # What Dagster's processes leave behind when they are interrupted is gone with the sandbox.
            "TMPDIR": sockets,
        }
        settings = load_settings(environ, Path(folder))
        executor = _run_history(settings, seed, narrator)
        if rollout:
            _run_rollout(settings, environ if ui else None, executor, seconds, port, narrator)
        elif ui:
            write_instance(Path(environ["DAGSTER_HOME"]))
            _run_live(settings, environ, executor, seconds, port, narrator)


def _served_pages(home: Path) -> AbstractContextManager[str]:
    """The runbook and the reports as pages, as a proxy serves them."""
    return served({"docs": RUNBOOK_PAGE.parent, "reports": home / "logs" / "reports"})


def _run_history(settings: Settings, seed: int, narrator: Narrator) -> SimulatedExecutor:
    narrator.explain(f"sandbox {settings.home}")
    write_configuration(settings)
    now = clock()
    executor = SimulatedExecutor(seed=seed, start_ts=now - _HISTORY_S, attempts_per_s=_ATTEMPTS_PER_S)
    write_feed(settings, executor.run(now - _HISTORY_S + _WARMUP_S))
    _decide_and_compare(settings, "warming up: too few decisions to judge, so nothing is switched on", narrator)
    count = write_feed(settings, executor.run(now))
    narrator.explain(
        f"{count} more lines logged by a simulated executor, {_HISTORY_S / 86_400:g} days of trading in all"
    )
    _decide_and_compare(settings, "enough decisions, and live did what v6 would have done", narrator)
    write_report(settings, clock())
    narrator.explain(f"the parity report: {report_url(settings)}")
    return executor


def _decide_and_compare(settings: Settings, meaning: str, narrator: Narrator) -> None:
    limits = read_configuration(settings).limits
    shadow = run_shadow(settings, limits, clock)
    narrator.explain(f"{shadow.decided} attempts decided: {shadow.allowed} allowed, {shadow.denied} denied")
    refresh_head(settings, clock())
    summary = run_compare(settings, limits, clock).summary
    narrator.explain(f"status {summary.status}, verdict {summary.verdict}: {'; '.join(summary.verdict_reasons)}")
    narrator.explain(f"  ({meaning})")


def _run_live(
    settings: Settings,
    environ: dict[str, str],
    executor: SimulatedExecutor,
    seconds: float,
    port: int,
    narrator: Narrator,
) -> None:
    start = clock()
    # The same executor, for prices and positions go on from where the history left them.
    executor.trade_faster(_LIVE_ATTEMPTS_PER_S, upsize_share=_LIVE_UPSIZE_SHARE)
    narrator.explain(f"the Dagster UI will be on {settings.ui_url} in half a minute. Ctrl-C ends it.")
    narrator.explain(_UI_WARNING)
    if settings.alert_urls:
        narrator.explain(f"alerts go to {', '.join(name_channels(settings.alert_urls))}")
    news = _News(settings, environ, narrator)
    with closing(news), dagster_dev(environ, port) as server:
        while clock() - start < seconds:
            check_runs(server, settings, port)
            write_feed(settings, executor.run(clock()))
            news.tell(executor.injected)
            time.sleep(_FEED_EVERY_S)


def _run_rollout(
    settings: Settings,
    environ: dict[str, str] | None,
    executor: SimulatedExecutor,
    seconds: float,
    port: int,
    narrator: Narrator,
) -> None:
    """The story of the rollout; without `environ` the stages run here, else in Dagster."""
    story = RolloutStory(settings, executor, narrator.say, runs_stages=environ is None)
    executor.trade_faster(_LIVE_ATTEMPTS_PER_S)
    if environ is not None:
        write_instance(Path(environ["DAGSTER_HOME"]))
        narrator.explain(f"the Dagster UI will be on {settings.ui_url} in half a minute. Ctrl-C ends it.")
        narrator.explain(_UI_WARNING)
    start, shown = clock(), story.chapter
    with nullcontext() if environ is None else dagster_dev(environ, port) as server:
        # With the UI it goes on: what happened is there to be looked at.
        while clock() - start < seconds and (server is not None or story.chapter is not Chapter.OVER):
            if server is not None:
                check_runs(server, settings, port)
            story.step(clock())
            if server is not None and story.chapter is not shown:
                shown = story.chapter
                _say_where_to_look(settings, shown, narrator)
            time.sleep(_FEED_EVERY_S)


def _say_where_to_look(settings: Settings, chapter: Chapter, narrator: Narrator) -> None:
    if chapter is Chapter.CANARY:
        narrator.say(f"what v6 may do: {asset_url(settings, 'rollout_state')}")
    if chapter is Chapter.OVER:
        narrator.say(f"look at the check same_side: {check_url(settings, 'compare_summary', 'same_side')}")
        narrator.say(f"look at what v6 may do now: {asset_url(settings, 'rollout_state')}")


class _News:
    """Says what is new and where to look at it, each thing once."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], narrator: Narrator) -> None:
        self._narrator = narrator
        self._settings = settings
        self._environ = environ
        self._report: subprocess.Popen[bytes] | None = None
        self._url = settings.ui_url
        self._is_up = False
        self._told_status = ""
        self._told_upsizes = 0
        self._told_alerts = 0
        self._chains = ChainReader()

    def tell(self, injected: Sequence[Injected]) -> None:
        """Check everything that may have changed since the last time."""
        if not self._is_up and self._answers():
            self._is_up = True
            self._narrator.say(f"the UI is up; the lineage of all assets: {self._url}/asset-groups")
        for one in injected[self._told_upsizes :]:
            self._narrator.say(f"injected: {one.symbol} {one.intent_id} is placed at twice the size asked for")
        self._told_upsizes = len(injected)
        self._tell_status()
        self._tell_alerts()
        self._tell_report()

    def _tell_status(self) -> None:
        report = read_status(self._settings, clock(), self._chains)
        # How stale it is changes with every second: that it is, is the news.
        stale = " (stale until the next run)" if report.stale else ""
        words = f"status {report.status}, verdict {report.verdict}: {'; '.join(report.reasons)}{stale}"
        if words == self._told_status:
            return
        was_red = self._told_status.startswith(f"status {Status.RED},")
        self._told_status = words
        self._narrator.say(words)
        if report.status is Status.RED and not was_red:
            self._narrator.say(
                f"look at the check no_upsizes: {check_url(self._settings, 'compare_summary', 'no_upsizes')}"
            )
            self._start_report()

    def _start_report(self) -> None:
        """Write the report in a process of its own: drawing takes seconds, for which trading would stand still."""
        command = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "report"]
        self._report = subprocess.Popen(command, env=self._environ, stdout=subprocess.DEVNULL)  # noqa: S603 -- ours

    def _tell_report(self) -> None:
        if self._report is not None and self._report.poll() is not None:
            if self._report.returncode == 0:
                self._narrator.say(f"the parity report shows the orders: {report_url(self._settings)}")
            self._report = None

    def close(self) -> None:
        """Wait for what still writes into the sandbox."""
        if self._report is not None:
            self._report.terminate()
            self._report.wait()

    def _tell_alerts(self) -> None:
        try:
            lines = self._settings.alert_outbox.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return
        whole = [line for line in lines if line.endswith(b"\n")]
        for line in whole[self._told_alerts :]:
            message = decode_line(line)
            if isinstance(message, Message):
                self._narrator.say(f"alert: {message.severity} {message.subject}: {message.text}")
                explain = explain_command(message, program_path())
                if explain is not None:
                    self._narrator.say(f"  look at both sides: {explain}")
            elif isinstance(message, Delivery):
                self._narrator.say(f"alert {message.alert_id} was accepted by {message.channel}")
        self._told_alerts = max(self._told_alerts, len(whole))

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self._url}/server_info", timeout=1):  # noqa: S310 -- our own server on localhost
                return True
        except OSError:
            return False


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
