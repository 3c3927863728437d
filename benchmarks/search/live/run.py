"""Compare searches on real training: the same space, the same time, the same machine.

    python -m benchmarks.search.live.run --out runs-live --time 6m --seeds 3    one study per method and seed
    python -m benchmarks.search.live.finals runs-live --train 0/1                 train their fronts again
    python -m benchmarks.search.live.finals runs-live                             the table

``plain`` draws at random and ``optuna`` uses Optuna's TPE. Both begin with the baseline network and train every
candidate from scratch to the end. ``ours`` uses the default sampler, also begins with the corners of the space, and
stops trials early. Studies that exist are not run again, so an interrupted comparison can be continued.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SPACE = Path(__file__).parent / "space.yaml"
METHODS: Mapping[str, Mapping[str, str]] = {
    "plain": {"study.sampler": "random"},
    "optuna": {"study.sampler": "tpe"},
    "ours": {"study.sampler": "auto", "study.stopping": "{}"},
}
# `plain` and `optuna` begin without the corners, as Optuna would
WITHOUT_CORNERS = "import search.study.create as c; c.initial_design; c.initial_design = lambda space: []; "


def study(method: str, seed: int) -> str:
    return f"{method}-{seed}"


def command(method: str, seed: int, out: Path, time: str) -> list[str]:
    sets = {**METHODS[method], "study.seed": str(seed)}
    launch = ["launch", str(SPACE), "--runs", str(out), "--name", study(method, seed), "--time", time]
    launch += [word for path, value in sets.items() for word in ("--set", f"{path}={value}")]
    run = f"from search.cli import main; import sys; sys.argv[1:] = {launch!r}; main()"
    return [sys.executable, "-c", run if method == "ours" else WITHOUT_CORNERS + run]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--time", default="6m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    options = parser.parse_args()
    for seed in range(options.seeds):
        for method in options.methods:
            if not (options.out / study(method, seed)).exists():
                subprocess.run(command(method, seed, options.out, options.time), check=True)


if __name__ == "__main__":
    main()
