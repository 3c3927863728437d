"""What an exported network takes as input, in words."""

from collections.abc import Sequence


def describe_input(mean: Sequence[float], std: Sequence[float]) -> str:
    """Describe images that are normalised with ``mean`` and ``std`` (C,); recordings of events have neither."""
    if not mean:
        return "frames of events, (N, T, C, H, W), as they are counted"
    means, deviations = (", ".join(f"{value:.4g}" for value in each) for each in (mean, std))
    return f"(N, C, H, W), pixels / 255, minus [{means}], divided by [{deviations}], by channel"
