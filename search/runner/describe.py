"""The text that a run shows about itself: what is searched, on what, how it trains and until when."""

from pathlib import Path

from reports.document.commands import command
from reports.document.wording import count, duration
from reports.records.study import StudyHeader
from search.executors import WorkerPool
from search.runner.budget import Budget
from search.space.space import Space
from search.study.pruners import describe_pruner
from snnkit.training.recipe import Recipe


def describe_run(header: StudyHeader, budget: Budget, pool: WorkerPool, folder: Path) -> str:
    """Return a few lines that say what is about to happen and for how long."""
    size = "a continuous space" if header.space_size is None else f"{header.space_size:,.0f} candidates"
    named = f", {count(len(header.candidates), 'named one')} first" if header.candidates else ""
    objectives = " + ".join(f"{o.direction} {o.name}" for o in header.objectives)
    return (
        f"study     {header.name}: {len(header.dials)} dials, {size}{named}\n"
        f"search    {objectives}, sampler {header.sampler}, seed {header.seed}\n"
        f"data      {header.data}\n"
        f"training  {header.training}\n"
        f"on        {describe_workers(pool)}\n"
        f"until     {describe_budget(budget)}; Ctrl-C stops, then: {command('resume', header.name)}\n"
        f"files     {folder}"
    )


def describe_budget(budget: Budget) -> str:
    """Return ``20 trials or 30m``; without a bound, ``the space is exhausted``."""
    bounds = [
        f"{budget.trials} trials" if budget.trials else "",
        duration(budget.seconds) if budget.seconds else "",
        f"{budget.macs:.3g} MACs of training" if budget.macs else "",
    ]
    finals = f", then finals for {duration(budget.finals_s)}" if budget.finals_s else ""
    return (" or ".join(filter(None, bounds)) or "the space is exhausted") + finals


def describe_workers(pool: WorkerPool) -> str:
    """Return ``cpu, 2 at once, 1 thread each``. More threads are an upper bound: small networks take one."""
    threads = count(pool.placement.threads, "thread")
    if pool.placement.threads > 1:
        threads = f"up to {threads}"
    share = f" and {pool.gpus:.3g} of a GPU" if pool.gpus else ""
    room = f"as many at once as the cluster at {pool.address} has room for"
    at_once = room if pool.workers is None else f"{pool.workers} at once"
    return f"{pool.placement.device}, {at_once}, {threads}{share} each"


def describe_training(space: Space) -> str:
    """Return how a candidate of ``space`` is trained; values that are dials are named as such."""
    dials = {dial.path for dial in space.dials}
    steps = f"T = {space.base.encoding.timesteps}" if "encoding.timesteps" not in dials else "T is searched"
    train, start = space.base.train, ""
    if "train.start" in dials:
        train, start = train.model_copy(update={"start": "scratch"}), ", start is searched"
    rule = space.study.stopping
    stopping = "" if rule is None else f", stopped early {describe_pruner(rule)}"
    cheaper = len(space.study.fidelities)
    before = f"; before that at {count(cheaper, 'cheaper fidelity', 'cheaper fidelities')}" if cheaper else ""
    origin = "its fidelity below" if cheaper else "the nearest finished trial"
    return f"{steps}, {describe_recipe(train, origin)}{start}{stopping}{before}"


def describe_recipe(train: Recipe, origin: str = "the nearest finished trial") -> str:
    """Return ``3 epochs, batch 64, adamw with lr 0.002, onecycle, augmentation none``, and where weights come from."""
    rates = f"{train.muon_lr:g} beside adamw with lr {train.lr:g}" if train.optimizer == "muon" else f"{train.lr:g}"
    optimizer = f"{train.optimizer} with lr {rates}, {train.schedule}"
    rungs = f" restarted after epochs {', '.join(map(str, train.rungs))}" if train.rungs else ""
    text = f"{train.epochs} epochs, batch {train.batch}, {optimizer}{rungs}, augmentation {train.augment}"
    grows = "" if train.first_resolution is None else f", images from {train.first_resolution} pixels up"
    match train.start:
        case "scratch":
            return text + grows
        case "inherit":
            return f"{text}{grows}, from the weights of {origin}"
        case "cnn":
            return f"{text}, from the weights of the CNN twin after {train.for_cnn_twin.epochs} epochs{grows}"
