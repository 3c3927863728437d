"""What each energy model with its counting preset means: constants and rule, so that a reader can check a figure.

A header stores the rules of its energy models since version 7; `RULES` describes the older ones.
"""

from collections.abc import Iterable, Mapping, Sequence

from reports.document.model import Definitions
from reports.records.study import TrialRecord

RULES = {
    "horowitz45/exact": (
        "Energy = 4.6 pJ x MACs + 0.9 pJ x ACs (32-bit floating point, 45 nm: multiply 3.7 pJ, add 0.9 pJ; Horowitz, "
        "ISSCC 2014). MACs are multiply-accumulates on real numbers: the first layer, once for a still image; the "
        "first layer of a squeeze-excite block; one for each spike and synapse behind a real-valued gate. ACs are "
        "accumulates: one for each spike and each synapse that it reaches, counted from real spikes over all time "
        "steps, and one for each element of a residual sum of currents. Biases, neuron updates and memory cost nothing."
    ),
    "horowitz45/paper2602": (
        "The same 4.6 and 0.9 pJ on the counts of arXiv 2602.09717, to compare with its tables. MACs: the first "
        "convolution with its bias, and every other layer whose input is not binary; twice the number of elements "
        "through every BatchNorm; the number of elements into the final pooling. ACs: firing rate x (dense operations "
        "+ bias) of every layer that reads binary spikes. One time step is counted, whatever T is."
    ),
    "lemaire2022/exact": (
        "The exact counts with memory and addressing (Lemaire et al., ICONIP 2022, arXiv 2210.13107; int32, 45 nm: add "
        "0.1 pJ, multiply 3.1 pJ). Every access to weights, potentials and spikes costs as much as an SRAM of that "
        "size (8 KB 10 pJ, 32 KB 20 pJ, 1 MB 100 pJ for 64 bits, linear in between). A 32-bit word costs half of it, "
        "or all of it if the space says sram: lemaire."
    ),
}
ALTERNATIVES = {"with_neurons": "with neurons", "with_neurons_and_stem_every_step": "with neurons, stem every step"}
"""The energies of a spiking network that reports show beside the total, by their names in the records."""

ALTERNATIVES_RULE = (
    "The alternative 'with neurons' adds what the total leaves out of a spiking network, still without memory: 3.7 pJ "
    "per leak, neuron and time step, and 0.9 pJ per bias addition, comparison with the threshold, reset, addition of a "
    "stored current to its neuron, comparison of max pooling and addition of averaged currents. The alternative 'stem "
    "every step' also runs the first layer at every time step."
)
CAVEATS = {"horowitz45/paper2602": "one time step, whatever T is; BatchNorm and biases counted"}


def alternatives_of(trials: Iterable[TrialRecord], model: str) -> tuple[str, ...]:
    """Return the names in `ALTERNATIVES` that at least one of ``trials`` has for ``model``."""
    measured = [trial.metrics for trial in trials if trial.metrics]
    return tuple(name for name in ALTERNATIVES if any(m.alternative_mj(model, name) is not None for m in measured))


def rules(models: Iterable[str], stored: Mapping[str, str], trials: Sequence[TrialRecord]) -> Definitions:
    """Return the rule of each energy model, and of the alternatives that ``trials`` have."""
    entries = []
    for model in models:
        rule = describe(model, stored)
        is_missing = alternatives_of(trials, model) and "with neurons" not in rule  # stored before version 8
        entries.append((model, f"{rule} {ALTERNATIVES_RULE}" if is_missing else rule))
    return Definitions(tuple(entries), terms_are_code=True)


def caveat(energy_model: str) -> str:
    """Return in parentheses what a comparison must not forget about an energy model; empty if there is nothing."""
    return f" ({CAVEATS[energy_model]})" if energy_model in CAVEATS else ""


def describe(energy_model: str, stored: Mapping[str, str]) -> str:
    """Return the rule of an energy model: as ``stored`` in the header, or from `RULES` before version 7."""
    unknown = "Unknown to this snnsearch; the version that ran the study describes it."
    return stored.get(energy_model) or RULES.get(energy_model, unknown)
