"""What cannot be exported."""


class ExportError(ValueError):
    """A network that a format cannot express, or a library that is not there; the message says what would help."""
