"""The command line: the only place that prints and exits.

Commands live in modules of their own that are imported when they are called, so that
``bench --help`` answers at once: nothing heavy may be imported here.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence

import click

from bench.cli.lazy import LazyGroup
from bench.cli.printable import printable
from bench.errors import BenchError, ConfigError, DeviceError, StoreError

COMMANDS = {
    "run": ("bench.cli.run:run", "Measure models on one or more devices."),
    "attach": ("bench.cli.attach:attach", "Collect what boards still have of a run."),
    "status": ("bench.cli.status:status", "Show the jobs on the boards, or watch runs at work."),
    "plan": ("bench.cli.plan:plan", "Show what a plan file would measure and how long it takes."),
    "compare": (
        "bench.cli.compare:compare_command",
        "Say whether one run or case is better or worse than another.",
    ),
    "selftest": ("bench.cli.selftest:selftest", "Prove the measuring code on known truths."),
    "report": ("bench.cli.report:report", "Draw the charts and the page of a run again."),
    "plot": ("bench.cli.plot:plot", "Draw a chart of runs for a paper, with its data as CSV."),
    "results": ("bench.cli.results:results", "List, show, follow, export and remove runs."),
    "devices": ("bench.cli.devices:devices", "Add devices, list them, ask them what they are."),
    "doctor": ("bench.cli.doctor:doctor", "Check a device or this machine, and say what helps."),
    "models": ("bench.cli.models:models", "List, describe and export models."),
    "plugins": ("bench.cli.plugins:plugins", "List what other packages add."),
    "train": ("bench.cli.train:train", "Train a model of the table under a scheme."),
}

EXIT_FAILED_CASE = 1
EXIT_USAGE = 2
EXIT_DEVICE = 4
EXIT_INTERRUPTED = 130


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="bench-on-device", prog_name="bench")
def cli() -> None:
    """Measure latency and energy per inference of neural networks on the devices themselves."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (0, 1, 2, 4 or 130: see the README)."""
    _prepare_process()
    try:
        result = cli.main(args=args, prog_name="bench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("bench: interrupted", err=True)
        return EXIT_INTERRUPTED
    except BenchError as error:
        if error.detail:
            click.echo(printable(error.detail.rstrip()), err=True)
        click.echo(printable(f"bench: {error}"), err=True)
        return exit_code(error)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(printable(f"bench: {error.filename}: {error.strerror}"), err=True)
        return EXIT_USAGE
    return result if isinstance(result, int) else 0


def _prepare_process() -> None:
    """Be ended politely, and never fail for a character that the terminal cannot show."""
    if threading.current_thread() is threading.main_thread():
        # A CI job that is cancelled, or a terminal that is closed, keeps what was measured too.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def exit_code(error: BenchError) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, ConfigError | StoreError):
        return EXIT_USAGE
    return EXIT_DEVICE if isinstance(error, DeviceError) else EXIT_FAILED_CASE
