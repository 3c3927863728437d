"""The error of a model that cannot be counted."""


class CountError(ValueError):
    """A model, a file or its inputs cannot be counted. The message says why and what to do."""
