import errno

from search.space.limits import seconds_in
from search.trial.failures import failure_kind


def caught(raise_error) -> Exception:
    try:
        raise_error()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def raising(error: Exception):
    def raise_error():
        raise error

    return raise_error


def test_files_do_not_tell_equal_errors_of_the_system_apart():
    first, second = (OSError(errno.ENOSPC, "No space left on device", f"trials/{n}/checkpoint.pt") for n in (1, 2))
    assert failure_kind(caught(raising(first))) == failure_kind(caught(raising(second))) == "OSError ENOSPC"


def test_kind_names_our_function_that_raised_and_not_the_message():
    kinds = {failure_kind(caught(lambda text=text: seconds_in(text))) for text in ("soon", "later")}
    assert kinds == {"ValueError in search.space.limits.seconds_in"}


def test_error_from_elsewhere_is_known_by_its_type():
    assert failure_kind(caught(raising(ZeroDivisionError("division by zero")))) == "ZeroDivisionError"
