"""Assemble the command line. Exit 0: done. 1: the work failed. 2: bad input, explained without a traceback."""

import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.text import Text

from reports.document.commands import forget_options
from search.cli import comparing, console, count, data, labels, manage, networks, scaffold, spaces, status, study, trust
from search.errors import InputError
from search.trial.environment import HANGUPS

NOT_MAPPED = "failed to map segment"  # what the loader says of a library that finds no memory, or may not run
FILE_ERRORS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
)

app = typer.Typer(
    name="snnsearch",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(study.launch)
app.command()(study.resume)
app.command()(status.status)
app.command()(study.report)
app.command()(study.show)
app.command()(comparing.compare)
app.command()(study.validate)
app.command()(scaffold.scaffold)
app.command()(networks.retrain)
app.command()(networks.train)
app.command()(networks.bench)
app.command()(networks.evaluate)
app.command()(networks.export)
app.command()(trust.trust)
app.command()(count.count)
app.command(cls=labels.TagCommand)(labels.tag)
app.command()(labels.note)
app.command()(manage.copy)
app.command()(manage.rename)
app.command()(manage.move)
app.command()(manage.archive)
app.command()(manage.unarchive)
app.command()(manage.delete)
app.add_typer(spaces.app, name="spaces")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command; show an expected error as a message and exit with 2."""
    console.print_in_any_encoding()
    for number in HANGUPS:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _interrupt)
    try:
        app(prog_name="snnsearch")
    except Exception as error:
        text = _explain(error)
        if "--debug" in sys.argv or text is None:
            raise
        console.err.print(Text("snnsearch: ", style="bold red").append(text, style="none"), soft_wrap=True)
        sys.exit(2)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the command as Ctrl-C does, with a word: by default, the signal would end it in silence."""
    console.err.print(f"snnsearch: stopped by {signal.Signals(number).name}")
    raise KeyboardInterrupt


def _explain(error: Exception) -> str | None:
    """Return what a person can do about ``error``; None if only a traceback tells more."""
    if isinstance(error, OSError | ImportError) and NOT_MAPPED in str(error) and "permitted" in str(error):
        return (
            f"a library of this Python cannot be loaded ({error}): its file system is mounted noexec. Install "
            "snnsearch in a virtual environment on another one"
        )
    if isinstance(error, MemoryError) or (isinstance(error, OSError | ImportError) and NOT_MAPPED in str(error)):
        return (
            f"memory ran out ({str(error) or 'MemoryError'}). Results that were stored are kept. Free memory, or raise "
            "the limit (ulimit -v, or the limit of the container or batch job), and run the command again"
        )
    if isinstance(error, OSError):
        return _explain_file(error)
    from reports.errors import LedgerError, ReportError
    from snnkit.data.images import DataError

    return str(error) if isinstance(error, InputError | LedgerError | ReportError | DataError) else None


def _explain_file(error: OSError) -> str | None:
    if error.filename is None or error.errno not in FILE_ERRORS:
        return None
    return (
        f"cannot use {error.filename}: {error.strerror}. Give another folder (--runs DIR, --data DIR), or change its "
        "permissions"
    )


def _check_current_folder() -> None:
    """Raise InputError if the current folder was deleted: relative paths and torch's libraries need it."""
    try:
        os.getcwd()
    except FileNotFoundError:
        text = "the current folder was deleted. Change to another one (cd DIR), and run the command again"
        raise InputError(text) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("snnsearch"))
        raise typer.Exit


@app.callback()
def snnsearch(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for errors in the input.")] = False,
) -> None:
    """Search and prune lightweight spiking neural networks.

    First steps: snnsearch launch smoke, then snnsearch report smoke --open

    The same commands are available as: python -m search
    """
    _check_current_folder()
    forget_options()
