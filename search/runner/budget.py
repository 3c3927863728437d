"""The budget of a run: trials, time and operations."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """What a run may use; None means no bound. ``trials`` and ``macs`` include earlier runs, ``seconds`` does not."""

    trials: int | None
    seconds: float | None
    macs: float | None = None  # dense multiply-accumulates of training
    finals_s: float | None = None  # seconds after the search that are kept for the finals

    def with_finals(self, share: float) -> "Budget":
        """Return the budget of a search that leaves ``share`` of the seconds to the finals."""
        if self.seconds is None:
            return self
        return replace(self, seconds=self.seconds * (1 - share), finals_s=self.seconds * share)

    def less(self, seconds: float, macs: float) -> "Budget":
        """Return what remains after something other than trials has used ``seconds`` and ``macs``."""
        return replace(
            self,
            seconds=None if self.seconds is None else self.seconds - seconds,
            macs=None if self.macs is None else self.macs - macs,
        )
