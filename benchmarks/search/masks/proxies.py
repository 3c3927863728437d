"""Zero-cost proxies on the table of masks: do scores of an untrained network predict its accuracy?

    python -m benchmarks.search.masks.proxies benchmarks/search/masks/table.csv --scores scores.csv --seeds 3

A proxy scores a network before its first step, on a batch of training images if it needs one. Its value is the rank
correlation with the accuracy after training. It is compared with size and depth, which a plan gives without any
network, and once more among masks of about the same size. ``--scores`` stores the scores, so that none is computed
twice. Only masks that were trained are scored.
"""

import argparse
import csv
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.search.masks.replay import Table, table_of
from benchmarks.search.masks.train import DATA, ENCODING, NEURON, plan, read
from snnkit.architecture.plan import Conv, Neurons, Plan
from snnkit.data import Splits, load_dataset, split_dataset
from snnkit.nn.layers import ConvLayer
from snnkit.nn.network import Fired, Network
from snnkit.training.augment import normalise

BATCH = 64
PROBE_IMAGES = 512  # for the proxy that fits a classifier
RIDGE = 0.01  # ridge penalty, as a share of the features' mean square


@dataclass(frozen=True)
class Subject:
    """The input of a proxy: an untrained network by its plan and seed, and training images (PROBE_IMAGES, C, H, W)."""

    plan: Plan
    seed: int
    images: Tensor
    labels: Tensor

    def spiking(self) -> Network:
        return Network(self.plan, NEURON, ENCODING, seed=self.seed)

    def twin(self) -> Network:
        return Network(self.plan, None, ENCODING, seed=self.seed)


# -- proxies --------------------------------------------------------------------------------------------------------


def sahd(subject: Subject) -> float:
    """Score how differently spikes code images, corrected for the rate (SNASNet, Kim et al. 2022, arXiv:2201.10355)."""
    return log_determinant(torch.stack([spike_kernel(step) for layer in spikes(subject) for step in layer]).mean(dim=0))


def spike_kernel(codes: Tensor) -> Tensor:
    """Return N minus the Hamming distances of binary codes, (B, N) to (B, B).

    Distances are scaled so that two independent codes are N / 2 apart at any firing rate.
    """
    width = codes.shape[1]
    rate = codes.mean(dim=1, keepdim=True)
    expected = rate @ (1 - rate).T + (1 - rate) @ rate.T  # share of places where independent codes differ
    return width - 0.5 * distances(codes) / (expected + 1e-3)


def distances(codes: Tensor) -> Tensor:
    """Return the Hamming distances of binary codes, (B, N) to (B, B)."""
    return codes @ (1 - codes).T + (1 - codes) @ codes.T


def naswot(subject: Subject) -> float:
    """Score how differently images switch the twin's ReLUs (Mellor et al. 2021, arXiv:2006.04647)."""
    codes: list[Tensor] = []
    network = subject.twin()
    for module in network.modules():
        if isinstance(module, ConvLayer) and isinstance(module.activation, nn.ReLU):
            module.register_forward_hook(lambda _, read, out: codes.append((out > 0).flatten(0, 1).flatten(1).float()))
    with torch.no_grad():
        network(subject.images[:BATCH])
    return log_determinant(torch.stack([code.shape[1] - distances(code) for code in codes]).sum(dim=0))


def synflow(subject: Subject) -> float:
    """Return the logarithm of the synaptic flow (Tanaka et al. 2020, arXiv:2006.05467).

    It is the flow through the twin as a linear network of absolute weights, without BatchNorm or biases. ReLUs change
    nothing, because all values are positive.
    """
    network = subject.twin().double().eval()
    with torch.no_grad():
        for layer in map(network.layer, subject.plan.convs):
            layer.conv.weight.abs_()
            layer.norm = None
            if layer.conv.bias is not None:
                layer.conv.bias.zero_()
    network(torch.ones(1, *subject.plan.in_shape, dtype=torch.float64)).sum().backward()
    return float(torch.stack([(weight * grad).sum() for weight, grad in gradients(network)]).sum().log())


def grad_norm(subject: Subject) -> float:
    """Sum the gradients' norms over the spiking network's layers (Abdelfattah et al. 2021, arXiv:2101.08134)."""
    return float(torch.stack([grad.norm() for _, grad in gradients(_after_a_loss(subject))]).sum())


def snip(subject: Subject) -> float:
    """Sum |weight x gradient| over the spiking network (Lee et al. 2019, arXiv:1810.02340)."""
    return float(torch.stack([(weight * grad).abs().sum() for weight, grad in gradients(_after_a_loss(subject))]).sum())


def firing_rate(subject: Subject) -> float:
    """Return the spikes per neuron and time step."""
    layers = spikes(subject)
    return float(sum(layer.sum() for layer in layers)) / sum(layer.numel() for layer in layers)


def entropy(subject: Subject) -> float:
    """Return the entropy of a neuron's firing over images and steps, in bits; mean over all neurons."""
    rates = torch.cat([layer.mean(dim=(0, 1)) for layer in spikes(subject)])
    return float(torch.special.entr(torch.stack([rates, 1 - rates])).sum(dim=0).mean() / torch.log(torch.tensor(2.0)))


def probe(subject: Subject) -> float:
    """Return the leave-one-out accuracy of a ridge classifier on the input of the untrained network's classifier."""
    seen: list[Tensor] = []
    head = subject.plan.convs[-1].name

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if op.name == head:
            seen.append(incoming.mean(dim=(0, 3, 4)))

    with torch.no_grad():
        for part in torch.split(subject.images, BATCH):
            subject.spiking()(part, observe=observe)
    return left_out_accuracy(torch.cat(seen).double(), subject.labels)


def left_out_accuracy(features: Tensor, labels: Tensor) -> float:
    """Return the accuracy of ridge regression on one-hot labels, each row of (N, F) predicted from all others."""
    features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-9)
    gram, count = features @ features.T, len(features)
    hat = torch.linalg.solve(gram + RIDGE * gram.trace() / count * torch.eye(count).double(), gram) + 1 / count
    targets = functional.one_hot(labels).double()
    left_out = targets - (targets - hat @ targets) / (1 - hat.diagonal().unsqueeze(1))
    return float((left_out.argmax(dim=1) == labels).double().mean())


PROXIES: Mapping[str, Callable[[Subject], float]] = {
    "sahd": sahd,
    "naswot": naswot,
    "synflow": synflow,
    "grad_norm": grad_norm,
    "snip": snip,
    "firing_rate": firing_rate,
    "entropy": entropy,
    "probe": probe,
}


# -- what they share ------------------------------------------------------------------------------------------------


def spikes(subject: Subject) -> list[Tensor]:
    """Return the spikes of each layer, (T, B, N). BatchNorm uses the batch, as in a first step."""
    seen: list[Tensor] = []

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            seen.append(fired.spikes().flatten(2))

    with torch.no_grad():
        subject.spiking()(subject.images[:BATCH], observe=observe)
    return seen


def gradients(network: Network) -> list[tuple[Tensor, Tensor]]:
    """Return (weight, gradient) of every convolution."""
    found = []
    for conv in network.plan.convs:
        weight = network.layer(conv).conv.weight
        assert weight.grad is not None
        found.append((weight.detach(), weight.grad))
    return found


def _after_a_loss(subject: Subject) -> Network:
    network = subject.spiking()
    loss = functional.cross_entropy(network(subject.images[:BATCH]), subject.labels[:BATCH])
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return network


def log_determinant(kernel: Tensor) -> float:
    """Return the logarithm of the determinant; minus infinity if two images have the same code."""
    return float(torch.linalg.slogdet(kernel.double()).logabsdet)


# -- scores and their value -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    mask: str
    seed: int  # of weights and images
    proxy: str
    value: float
    cpu_s: float


def subject(parts: Splits, mask: str, seed: int) -> Subject:
    rows = random.Random(seed).sample(range(len(parts.train)), PROBE_IMAGES)
    images = normalise(torch.from_numpy(parts.train.rows(torch.tensor(rows).numpy())), parts)
    return Subject(
        plan(mask), seed, images.contiguous(memory_format=torch.channels_last), torch.tensor(parts.train.labels)[rows]
    )


def scored(given: Subject, mask: str, names: Sequence[str]) -> Iterator[Score]:
    for name in names:
        began = time.process_time()
        value = PROXIES[name](given)
        yield Score(mask, given.seed, name, value, time.process_time() - began)


def stored(path: Path) -> list[Score]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [Score(mask, int(seed), name, float(value), float(cpu_s)) for mask, seed, name, value, cpu_s in rows]


def store(path: Path, scores: Sequence[Score]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([[field.name for field in fields(Score)]] if new else [])
        writer.writerows(map(astuple, scores))


@dataclass(frozen=True)
class Worth:
    """Rank correlations of a score with accuracy. ``given_...`` are partial correlations."""

    spearman: float
    kendall: float
    given_params: float | None  # None for the figure itself
    given_modules: float | None


def worth(values: Mapping[str, float], table: Table) -> Worth:
    """Correlate values with accuracy over the masks that have both."""
    names = sorted(values.keys() & table.trainings.keys())
    accuracy = [table.trainings[mask][-1].accuracy for mask in names]
    own = [values[mask] for mask in names]
    params = [float(table.trainings[mask][-1].params) for mask in names]
    modules = [float(mask.count("1")) for mask in names]
    return Worth(
        spearman=rank_correlation(own, accuracy),
        kendall=float(kendalltau(own, accuracy).statistic),
        given_params=partial_correlation(own, accuracy, params),
        given_modules=partial_correlation(own, accuracy, modules),
    )


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    return float(spearmanr(a, b).statistic)


def partial_correlation(a: Sequence[float], b: Sequence[float], given: Sequence[float]) -> float | None:
    """Return the partial rank correlation of ``a`` and ``b``, given ``given``; None if that explains one completely."""
    ab, ag, bg = rank_correlation(a, b), rank_correlation(a, given), rank_correlation(b, given)
    rest = (1 - ag**2) * (1 - bg**2)
    return (ab - ag * bg) / rest**0.5 if rest > 1e-9 else None


def known(table: Table) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures that a plan gives without a network."""
    rows = {mask: epochs[-1] for mask, epochs in table.trainings.items()}
    yield "params", {mask: float(row.params) for mask, row in rows.items()}
    yield "dense_macs", {mask: float(row.dense_macs) for mask, row in rows.items()}
    yield "modules kept (depth)", {mask: float(mask.count("1")) for mask in rows}


def line(name: str, found: Sequence[Worth], cpu_s: float) -> str:
    columns = [[getattr(each, field.name) for each in found] for field in fields(Worth)]
    cells = ["" if None in column else _spread(column) for column in columns]
    return f"| {name} | {' | '.join(cells)} | {cpu_s:.2f} |"


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):+.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):+.2f} to {max(values):+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="draws of weights and images; trainings have seed 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = table_of(read(options.table))
    there = {(score.mask, score.seed, score.proxy) for score in stored(options.scores)}
    parts = split_dataset(load_dataset(DATA.name, side=DATA.resolution), DATA, seed=0)
    for seed in range(options.seeds):
        for mask in sorted(table.trainings):
            if names := [name for name in PROXIES if (mask, seed, name) not in there]:
                store(options.scores, list(scored(subject(parts, mask, seed), mask, names)))
    scores = stored(options.scores)
    print(f"{len(table.trainings)} of 256 masks have been trained\n")
    print("| | Spearman | Kendall | given parameters | given modules | CPU seconds |\n|---|---|---|---|---|---|")
    for name, values in known(table):
        print(line(name, [worth(values, table)], 0.0))
    for name in PROXIES:
        own = [score for score in scores if score.proxy == name and score.seed < options.seeds]
        found = [
            worth({score.mask: score.value for score in own if score.seed == seed}, table)
            for seed in range(options.seeds)
        ]
        print(line(name, found, statistics.median(score.cpu_s for score in own)))


if __name__ == "__main__":
    main()
