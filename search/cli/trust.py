"""The command ``trust``: allow the code that a study or a resolved space brings along."""

from pathlib import Path
from typing import Annotated

import typer

from reports.document.commands import command
from search.cli import console
from search.cli.options import Runs, Storage, expand_home
from search.errors import InputError


def trust(
    target: Annotated[
        Path,
        typer.Argument(
            help="Name of a study or benchmark in the runs folder, or a resolved YAML file.",
            metavar="NAME-OR-FILE",
            callback=expand_home,
        ),
    ],
    runs: Runs = Path("runs"),
    storage: Storage = None,
    yes: Annotated[bool, typer.Option("--yes", help="Allow the code without a question.")] = False,
) -> None:
    """Show the code that somebody else's study brings along, and allow it to run.

    A space may name Python code, and a study stores it. Code that you launched yourself on this machine is allowed
    already.

    Example: snnsearch trust their-study
    """
    from search.plugins.plugins import SECTION, read_stored
    from search.plugins.trust import allow, is_allowed
    from search.space import document

    tree = document.parse(_text(target, runs, storage), str(target)).tree
    stored = read_stored(tree.get(SECTION))
    pending = {key: source for key, source in stored.sources.items() if not is_allowed(source)}
    if not pending:
        what = "is allowed already" if stored.sources else "is not in it: it uses no plug-ins"
        console.out.print(f"nothing to do: code {what}", highlight=False, soft_wrap=True)
        return
    for source in pending.values():
        for name, text in source.files.items():
            console.out.print(f"--- {name}, written at {source.origin}", highlight=False, soft_wrap=True)
            console.out.print(text, highlight=False, soft_wrap=True)
    if not yes and not typer.confirm(f"Run this code of {', '.join(pending)} from now on?"):
        raise InputError(f"nothing was allowed. To allow it later: {command('trust', target)}")
    for source in pending.values():
        try:
            allow(source)
        except OSError as error:
            raise InputError(f"cannot remember it in {error.filename}: {error.strerror}") from error
    console.out.print(f"allowed   {', '.join(pending)}", highlight=False, soft_wrap=True)


def _text(target: Path, runs: Path, storage: str | None) -> str:
    """Return the resolved YAML of a file, study or benchmark. Raises InputError and LedgerError."""
    from reports.storage.benchmarks import is_benchmark, read_benchmark
    from reports.storage.studies import find_study

    if target.suffix in (".yaml", ".yml"):
        try:
            return target.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {target}: {error}") from error
    if is_benchmark(runs / target.name):
        return read_benchmark(runs / target.name).header.benchmark_yaml
    return find_study(target.name, runs, storage).header.space_yaml
