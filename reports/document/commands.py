"""The commands that messages and reports print for copying: quoted for a shell, with options that find the same run."""

import re
import shlex
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

_READERS = ("status", "report", "show", "evaluate", "export", "retrain")
_MANAGERS = ("copy", "rename", "move", "archive", "unarchive", "delete", "tag", "note", "compare", "trust")
_TRAINERS = ("launch", "resume", "retrain", "bench", "train")
COMMANDS = {  # options that a printed command repeats, and the commands that have them
    "--runs": (*_READERS, *_MANAGERS, *_TRAINERS),
    "--storage": (*_READERS, *_MANAGERS, "launch", "resume"),
    "--data": (*_TRAINERS, "evaluate", "export"),
}
_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@")
_typed: ContextVar[Mapping[str, str]] = ContextVar("options as typed", default=MappingProxyType({}))


def repeat_option(option: str, value: object) -> None:
    """Print later commands with ``option``, one of `COMMANDS`. A password in a URL becomes ``***``."""
    _typed.set({**_typed.get(), option: _PASSWORD.sub(r"\1:***@", str(value))})


def forget_options() -> None:
    """Print later commands without the options of an earlier command line."""
    _typed.set({})


def command(name: str, *words: object) -> str:
    """Return ``snnsearch NAME WORDS`` with the options that this command line was given and that NAME has too."""
    repeated = [word for option, value in _typed.get().items() if name in COMMANDS[option] for word in (option, value)]
    return shlex.join(["snnsearch", name, *map(str, words), *repeated])


def run_file(run: str, file: str) -> Path:
    """Return the path of a file of a run, in the runs folder as this command line names it."""
    return Path(_typed.get().get("--runs", "runs"), run, file)
