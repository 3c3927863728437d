"""The budget of a run: trials, time and operations."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """What a run may use; None means no bound. ``trials`` and ``macs`` include earlier runs, ``seconds`` does not."""

    trials: int | None
    seconds: float | None
    macs: float | None = None  # dense multiply-accumulates of training

    def less(self, seconds: float, macs: float) -> "Budget":
        """Return what remains after something other than trials has used ``seconds`` and ``macs``."""
        return replace(
            self,
            seconds=None if self.seconds is None else self.seconds - seconds,
            macs=None if self.macs is None else self.macs - macs,
        )
