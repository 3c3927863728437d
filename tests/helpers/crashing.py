"""A process that dies at a chosen step, as ``kill -9`` would end it: no cleanup, no ``finally``."""

import os
import sys
from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import event

CHANGES = ("rename", "replace", "mkdir", "unlink", "rmdir")  # functions of os that change the file system
DIED, FAILED = 9, 3


def dies_at(step: int, action: Callable[[], object]) -> bool:
    """Run ``action`` in a child process that dies before its change number ``step`` of files or of a database.

    Returns whether it died: not if the action has fewer changes.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            action()
        except BaseException:
            os._exit(FAILED)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED), f"the action failed before step {step}"
    return code == DIED


def _die_at(step: int) -> None:
    left = step

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(DIED)

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            count()
            return change(*args, **options)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    event.listen(sqlalchemy.Engine, "commit", count)
