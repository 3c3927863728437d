"""What can go wrong with a stored study, as one readable line each: what was asked for, what is there, what to do."""


class LedgerError(Exception):
    """A study cannot be read from its storage."""


class ReportError(Exception):
    """A report cannot be written."""
