"""Errors of reading and reporting. Each message is one line that names the input, what exists, and the remedy."""


class LedgerError(Exception):
    """A study or benchmark cannot be read from where it is stored."""


class ReportError(Exception):
    """A report cannot be written."""
