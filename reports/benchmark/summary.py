"""The paragraph at the top of a benchmark's report, and the facts below it."""

from reports.document.wording import count, duration, listing, moment
from reports.records.benchmark import KINDS, BenchmarkRecord, Setup
from reports.storage.benchmarks import benchmark_status

SPREAD_NOTE = (
    "Accuracy and macro F1 are measured on test images with the weights of the last epoch; neither an epoch nor a "
    "network was chosen by them. Figures are means over the seeds, followed by ± the sample standard deviation for "
    "three or more seeds, or by the range for two. The seed decides the first weights, the order of the images, the "
    "validation images, and the subset of images if not all are used. Operations and energy are per inference, "
    "averaged over the validation images."
)


def summary(record: BenchmarkRecord) -> str:
    """Describe what was trained, how many trainings are finished, and how long they took, in one paragraph."""
    header, state = record.header, benchmark_status(record)
    kinds = list(dict.fromkeys(KINDS[cell.kind] for cell in header.cells))
    seeds = sorted({cell.seed for cell in header.cells})
    data = listing([setup.data for setup in header.setups])
    counts = [f"{n:,} {status}" for status, n in state.counts.items()]
    text = (
        f"{count(len(header.networks), 'network')} on {data}, each as {listing(kinds)}, from "
        f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}): {count(state.total, 'training')}, "
        f"{listing(counts)}"
    )
    text += f"; {duration(state.training_s)} of training" if state.training_s else ""
    ended = state.last_finished_at
    return f"{text}, the last ended {moment(ended)}." if ended else f"{text}."


def circumstances(record: BenchmarkRecord) -> list[tuple[str, str]]:
    """List the machines, commits, commands and versions, then how the networks were trained on each data set."""
    sittings = record.header.sittings
    facts = [
        ("machine", listing(list(dict.fromkeys(sitting.machine for sitting in sittings)))),
        ("commit", listing(list(dict.fromkeys(sitting.commit or "no checkout" for sitting in sittings)))),
        ("command", listing(list(dict.fromkeys(sitting.command for sitting in sittings)))),
        ("versions", listing(list(dict.fromkeys(_versions(sitting.versions) for sitting in sittings)))),
    ]
    return [*facts, *((f"on {setup.data}", _setup(setup)) for setup in record.header.setups)]


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _setup(setup: Setup) -> str:
    used = (
        f"trained on {setup.train:,} of its {setup.train_of:,} training images, {setup.validation:,} more for "
        f"validation, tested on {setup.test:,} of {setup.test_of:,}, {setup.side} pixels a side, {setup.classes} of "
        f"{count(setup.classes_of, 'class', 'classes')}"
    )
    overrides = "".join(f"; but {network}: {changes}" for network, changes in setup.own.items())
    return f"{used}; SNNs with T = {setup.timesteps}; {setup.training}{overrides}"
