"""Fuzz the readers of files with atheris, the coverage-guided libFuzzer for Python.

    pip install atheris
    python -m benchmarks.reliability.fuzz space --seconds 600

A target is a property of `benchmarks.reliability.claims`. If it does not hold, the fuzzer stops, prints the traceback
and writes the bytes to a file ``crash-...``. The default tests check the same properties without atheris, on inputs
drawn by hypothesis. docs/reliability/fuzz.md has the results of both.
"""

import argparse
import importlib
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPACES = Path(__file__).parents[2] / "spaces"
TARGETS = ("space", "benchmark", "checkpoint")
INSTRUMENTED = ["search", "snnkit", "reports", "yaml", "torch._weights_only_unpickler"]
MAX_INPUT_BYTES = 16_384  # longer inputs find nothing and take time
MAX_TREE_BYTES = 1000  # inputs up to this size are parsed and dumped in milliseconds
SPACED = """
{ } [ ] : - , --- ... # &a *a !! ! % ? << ' | > = {} [] null true false ~ no .nan .inf -.inf 1_000 1_ 0x1f 0o7
1e-3 1e308 1e999 -1 0 2026-11-26 choices low high step log default keep family name max study network data
candidates profiles retrain reference train.epochs network.fire3.keep benchmark networks own published
"""
WORDS = (  # tokens of YAML and of spaces
    *SPACED.split(),
    *(": ", "- ", "\n", "\n  ", '"', "\\x1b", "\\U0010FFFF", "\\uD800", "%YAML 1.1", "\ufeff", "\x00", "9" * 31),
)  # fmt: skip
SMALL = {  # inputs that load many times a second
    "space": "study: {name: a, budget: {trials: 2}, objectives: {accuracy: maximize}}\n"
    "network: {family: squeezenet, fire2: {keep: {choices: [true, false]}}}\n"
    "train: {lr: {low: 1e-4, high: 1e-2, log: true}}\ndata: {name: digits}\n"
    "candidates: {a: {}}\nprofiles: {cuda: {train.batch: 8}}\n",
    "benchmark": "benchmark: {name: a, seeds: [0]}\nnetworks: {A: {family: squeezenet}}\ndata: {digits: {}}\n"
    "overrides: {A: {neuron: {leak: 0.5}}}\npublished: []\n",
}


def seeds(target: str, claims: Any) -> list[bytes]:
    """Return the initial inputs of the fuzzer."""
    if target not in SMALL:
        return list(claims.states())
    shipped = [path.read_bytes() for path in sorted(SPACES.glob("*.yaml"))]
    return [SMALL[target].encode(), *(text for text in shipped if (b"\nbenchmark:" in text) == (target == "benchmark"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(
        "--corpus", type=Path, help="folder of inputs, which the fuzzer adds to; default: a temporary one"
    )
    asked = parser.parse_args()
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit("the fuzzer is not installed: pip install atheris. The same claims without it: pytest -k fuzz")
    with atheris.instrument_imports(include=INSTRUMENTED):
        claims = importlib.import_module("benchmarks.reliability.claims")
        if asked.target == "checkpoint":  # torch takes seconds
            importlib.import_module("snnkit.training.checkpoint")
    with tempfile.TemporaryDirectory() as scratch:
        corpus = asked.corpus or Path(scratch) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for at, seed in enumerate(seeds(asked.target, claims)):
            (corpus / f"seed-{at}").write_bytes(seed)
        dictionary = Path(scratch) / "words"
        dictionary.write_text("\n".join(f'"{_escaped(word)}"' for word in WORDS))
        limits = [
            f"-max_total_time={asked.seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            "-timeout=20",
            "-rss_limit_mb=2000",
        ]
        words = [sys.argv[0], str(corpus), f"-dict={dictionary}", "-print_final_stats=1", *limits]
        own = mutator(lambda data, longest: atheris.Mutate(data, longest))  # atheris.Mutate exists once the fuzzer runs
        atheris.Setup(words, claims.TARGETS[asked.target], **({"custom_mutator": own} if asked.target in SMALL else {}))
        atheris.Fuzz()


def mutator(bytewise: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Return a mutator that changes lines or nodes every second time, which changes of bytes seldom achieve."""
    from benchmarks.reliability.mutations import of_lines, of_tree

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        if seed % 2:
            return bytewise(data, longest)
        change = of_tree if seed % 4 == 0 and len(data) < MAX_TREE_BYTES else of_lines
        text = change(data.decode(errors="replace"), random.Random(seed))
        return text.encode(errors="replace")[:longest]

    return mutate


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
