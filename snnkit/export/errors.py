"""The error for a network that cannot be exported."""


class ExportError(ValueError):
    """A format cannot express the network, or its library is not installed. The message says what would help."""
