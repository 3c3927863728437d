"""Check a benchmark's file and its networks before anything trains."""

from collections.abc import Mapping

from search.benchmark.sections import BenchmarkFile, items, named_leaves
from search.errors import Keys, listed, nearest
from search.plugins.figures import FIGURES
from search.plugins.objective import MEASURES
from search.space.candidate import Candidate
from search.space.loading.checks import check_prices, unfit_encoding, unfit_recipe
from search.space.loading.problems import Problems
from snnkit.architecture.plan import PlanError

Origins = Mapping[str, tuple[str, ...]]  # network -> the networks whose weights it begins with


def check_file(file: BenchmarkFile, origins: Origins, problems: Problems) -> None:
    """Check what the sections say about each other."""
    _check_figures(file, problems)
    _check_starts(file, problems)
    _check_means(file, problems)
    _check_origins(file, origins, problems)
    _check_published(file, problems)
    check_prices(("published",), file.published, file.energy, problems)
    check_prices(("reference",), file.reference, file.energy, problems)


def _check_figures(file: BenchmarkFile, problems: Problems) -> None:
    for at, name in enumerate(file.benchmark.figures):
        if name not in MEASURES and ":" not in name:  # a plug-in that cannot be loaded has its own problem
            allowed = listed([*FIGURES, "layers.LAYER.FIGURE", "FILE.py:FUNCTION"])
            text = f"given {name}; allowed are {allowed}{nearest(name, FIGURES)}"
            problems.add(("benchmark", "figures", at), text)


def _check_starts(file: BenchmarkFile, problems: Problems) -> None:
    """Check that no training begins with a relative's weights: the trainings of a benchmark are independent."""
    sections = (("data", file.data), ("overrides", file.overrides))
    parts = [((name, key, "train"), each.train) for name, group in sections for key, each in items(group) if each]
    for keys, train in [(("train",), file.train), *parts]:
        if train is not None and train.start == "inherit":
            text = (
                "given 'inherit', but a benchmark's trainings have no nearest relative; allowed are scratch, cnn; for "
                "the weights of another network write overrides: {NAME: {weights: OTHER}}"
            )
            problems.add((*keys, "start"), text)


def _check_means(file: BenchmarkFile, problems: Problems) -> None:
    """Check that a mean of networks is nothing else as well."""
    for label, each in items(file.overrides):
        if not each or not each.mean_of:
            continue
        keys: Keys = ("overrides", label, "mean_of")
        if each.weights is not None:
            text = "given together with weights; a network begins with one or is the mean of several: keep one"
            problems.add(keys, text)
        if len(set(each.mean_of)) < len(each.mean_of):
            problems.add(keys, f"given {', '.join(each.mean_of)}; name each network once")
        if others := sorted(named_leaves(each).get("train", {}).keys() - {"recalibrate"}):
            text = f"given {listed(others)}, but a mean is not trained; of train it may have recalibrate"
            problems.add(("overrides", label, "train"), text)


def _check_origins(file: BenchmarkFile, origins: Origins, problems: Problems) -> None:
    """Check that weights come from the same network, which is listed before the one that begins with them."""
    networks, overrides = dict(items(file.networks)), dict(items(file.overrides))
    for label, origin in ((label, origin) for label, each in origins.items() for origin in dict.fromkeys(each)):
        others = list(networks)[: list(networks).index(label)]
        if origin in others and networks[origin] == networks[label]:
            continue
        if origin in others:
            text = f"given {origin}, which is another network; write the same as in networks.{origin}"
        elif origin in networks:
            text = f"given {origin}, which is not listed above it in networks; move it there"
        else:
            allowed = listed(others) or "networks listed above it"
            text = f"given {origin!r}; allowed are {allowed}{nearest(origin, others)}"
        problems.add(("overrides", label, "mean_of" if overrides[label].mean_of else "weights"), text)


def _check_published(file: BenchmarkFile, problems: Problems) -> None:
    """Check that published figures are of this benchmark's networks and data sets, and each is given once."""
    networks, data = (list(type(group).model_fields) for group in (file.networks, file.data))
    seen: dict[tuple[str, str, str], int] = {}
    for at, point in enumerate(file.published):
        for key, given, allowed in (("network", point.network, networks), ("data", point.data, data)):
            if given not in allowed:
                text = f"given {given!r}; this benchmark has {listed(allowed)}{nearest(given, allowed)}"
                problems.add(("published", at, key), text)
        before = seen.setdefault((point.data, point.network, point.kind), at)
        if before != at:
            problems.add(("published", at), f"the same as published[{before}]; remove one of the two")
    if file.reference and len(data) > 1:
        text = f"a point is of one data set, but this benchmark has {listed(data)}; use published instead"
        problems.add(("reference",), text)


def check_networks(
    candidates: Mapping[str, Mapping[str, Candidate]], origins: Origins, problems: Problems
) -> None:  # fmt: skip
    """Check that encodings and recipes fit the data sets, and that networks build and are not the same training."""
    for data, row in candidates.items():
        _check_encodings(data, row, problems)
        first: dict[tuple[str, tuple[str, ...]], str] = {}
        for label, candidate in row.items():
            if text := unfit_recipe(candidate.encoding, candidate.train):
                problems.add(("networks", label), f"as it is trained on {data}: {text}")
            try:
                candidate.plan()
            except PlanError as error:
                problems.add(("networks", label), f"does not build on {data}: {error}")
                continue
            if (other := first.setdefault((candidate.fingerprint, origins.get(label, ())), label)) != label:
                problems.add(("networks", label), f"equal to {other}; remove one of the two")


def _check_encodings(data: str, row: Mapping[str, Candidate], problems: Problems) -> None:
    misfits = {label: text for label, each in row.items() if (text := unfit_encoding(each.encoding, each.data))}
    if len(misfits) == len(row):
        problems.add(("data", data, "encoding"), next(iter(misfits.values())))
    else:
        for label, text in misfits.items():
            problems.add(("overrides", label, "encoding"), text)
