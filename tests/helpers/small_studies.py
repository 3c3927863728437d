"""Synthetic studies: SqueezeNet masks with counts, energies and accuracies of a plausible size, equal on every run."""

import random
from collections.abc import Callable
from pathlib import Path

from reports.records.study import (
    EpochRecord,
    LayerRecord,
    Metrics,
    ModuleState,
    ObjectiveRecord,
    ReferencePoint,
    StudyHeader,
    StudyRecord,
    TrialRecord,
)
from reports.storage.studies import sqlite_url

FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
NAMED = {"baseline": "23456789", "head-1": "23459", "alt-1": "2468", "SqueezeNet-P": "4689"}
OBJECTIVES = (
    ObjectiveRecord(name="accuracy", direction="maximize"),
    ObjectiveRecord(name="energy_mj", direction="minimize"),
    ObjectiveRecord(name="params", direction="minimize"),
)
REFERENCES = (
    ReferencePoint(
        label="SqueezeNet-P (paper)", accuracy=0.81, energy_mj=0.0295, params=599_130, source="arXiv 2602.09717"
    ),
    ReferencePoint(label="alt-1 (paper)", accuracy=0.79, energy_mj=0.026, params=362_030, source="arXiv 2602.09717"),
    ReferencePoint(label="alt-2 (paper)", accuracy=0.62, energy_mj=0.0226, params=363_050, source="arXiv 2602.09717"),
)
START = 1_790_000_000.0
Build = Callable[..., StudyRecord]


def _layer(name: str, shape: tuple[int, int, int, int], rate: float, rng: random.Random) -> LayerRecord:
    inputs, outputs, kernel, size = shape
    dense = inputs * outputs * kernel * kernel * size * size
    neurons, spiking = outputs * size * size, name != "head"
    firing = round(rng.uniform(0.05, 0.4), 4) if spiking else None
    macs, acs = (float(dense), 0.0) if name == "stem" else (0.0, 2 * rate * dense)
    energy = (macs * 4.6 + acs * 0.9) * 1e-9
    return LayerRecord(
        name=name,
        macs=macs,
        acs=acs,
        dense_macs=dense,
        spikes_in=2 * rate * inputs * size * size,
        spikes_out=2 * (firing or 0.0) * neurons,
        neurons=neurons if spiking else 0,
        firing_rate=firing,
        params=outputs * (inputs * kernel * kernel + 3),
        energy_mj={
            "horowitz45/exact": energy,
            "horowitz45/paper2602": energy * 0.6 + 0.0005,
            "lemaire2022/exact": energy * rng.uniform(4.0, 9.0),
        },
    )


def _layers(fires: list[int], stem: int, rng: random.Random) -> tuple[LayerRecord, ...]:
    layers, channels, size, rate = [_layer("stem", (3, stem, 3, 32), 1.0, rng)], stem, 16, 0.2
    for number in range(2, 10):
        if number in fires:
            squeeze, expand = FIRES[number]
            for part, shape in (
                ("squeeze", (channels, squeeze, 1, size)),
                ("expand1x1", (squeeze, expand, 1, size)),
                ("expand3x3", (squeeze, expand, 3, size)),
            ):
                layers.append(_layer(f"fire{number}.{part}", shape, rate, rng))
                rate = layers[-1].firing_rate or rate
            channels = 2 * expand
        size = size // 2 if number in (4, 8) else size
    layers.append(_layer("head", (channels, 10, 1, size), rate, rng))
    return tuple(layers)


def complete_trial(number: int, seed: int = 0, epochs: int = 6) -> TrialRecord:
    """A finished trial: the named candidates first, random masks and stem widths after them."""
    rng = random.Random(f"{seed}-{number}")
    name = list(NAMED)[number] if number < len(NAMED) else None
    fires = [int(c) for c in NAMED[name]] if name else sorted(rng.sample(range(2, 10), rng.randint(2, 8)))
    stem = 128 if name else rng.choice([16, 32, 64, 128])
    layers = _layers(fires, stem, rng)
    energy = {price: sum(layer.energy_mj[price] for layer in layers) for price in layers[0].energy_mj}
    params = sum(layer.params for layer in layers)
    accuracy = round(0.35 + 0.03 * len(fires) + 0.05 * (stem > 32) + rng.gauss(0, 0.04), 4)
    history = tuple(
        EpochRecord(
            epoch=e,
            train_loss=2.3 / e**0.5,
            train_accuracy=accuracy * (1 - 0.6 / (e + 1)) + 0.05,
            val_loss=2.4 / e**0.5,
            val_accuracy=accuracy * (1 - 0.5 / (e + 1)) if e < epochs else accuracy,
            learning_rate=0.002 * (1 - e / (epochs + 1)),
            wall_s=6.0,
        )
        for e in range(1, epochs + 1)
    )
    spikes = sum(layer.spikes_out for layer in layers)
    return TrialRecord(
        number=number,
        status="complete",
        name=name,
        params={
            "network.stem.filters": stem,
            **{f"network.fire{i}.keep": i in fires for i in FIRES},
            "neuron.leak": round(rng.uniform(0.5, 1), 3),
            "encoding.timesteps": 2,
        },
        modules=(
            ModuleState(name="stem", state="kept" if stem == 128 else "resized", detail=f"{stem} filters"),
            *(
                ModuleState(name=f"fire{i}", state="kept" if i in fires else "removed", detail=f"{s} / {e} + {e}")
                for i, (s, e) in FIRES.items()
            ),
        ),
        static={"params": params, "dense_macs": sum(layer.dense_macs for layer in layers)},
        metrics=Metrics(
            accuracy=accuracy,
            test_accuracy=round(accuracy + rng.gauss(-0.005, 0.01), 4),
            test_f1=round(accuracy - 0.01, 4),
            params=params,
            dense_macs=sum(layer.dense_macs for layer in layers),
            macs=sum(layer.macs for layer in layers),
            acs=sum(layer.acs for layer in layers),
            spikes=spikes,
            firing_rate=spikes / (2 * sum(layer.neurons for layer in layers)),
            timesteps=2,
            energy_mj=energy,
            twin_energy_mj={price: sum(layer.dense_macs for layer in layers) * 4.6e-9 for price in energy},
        ),
        values={"accuracy": accuracy, "energy_mj": energy["horowitz45/exact"], "params": float(params)},
        layers=layers,
        history=history,
        seed=rng.randrange(2**31),
        started_at=START + 50.0 * number,
        finished_at=START + 50.0 * number + 45.0,
        wall_s=45.0,
        device="cpu (1 thread)",
    )


def unfinished_trials(first: int) -> tuple[TrialRecord, ...]:
    """One of each status but complete."""
    trace = 'Traceback (most recent call last):\n  File "train.py", line 3, in step\nRuntimeError: <out of memory>'
    return (
        TrialRecord(number=first, status="failed", reason="RuntimeError: <out of memory>", traceback=trace, wall_s=3.0),
        TrialRecord(number=first + 1, status="stopped", reason="no spikes in fire6 after epoch 1", wall_s=9.0),
        TrialRecord(number=first + 2, status="refused", reason="params 812,345 > 800,000", static={"params": 812_345}),
        TrialRecord(number=first + 3, status="duplicate", reason="equal to trial 0", duplicate_of=0),
        TrialRecord(number=first + 4, status="running", params={"network.fire2.keep": True}, started_at=START),
        TrialRecord(number=first + 5, status="waiting", name="ref-1"),
    )


def build_study(
    complete: int = 12,
    *,
    others: bool = True,
    objectives: tuple[ObjectiveRecord, ...] = OBJECTIVES,
    name: str = "squeezenet-prune",
    epochs: int = 6,
) -> StudyRecord:
    """A study with ``complete`` finished trials and, unless told otherwise, one of every other status."""
    header = StudyHeader(
        name=name,
        seed=7,
        sampler="tpe",
        objectives=objectives,
        constraints={"params": {"max": 800_000}},
        space_yaml="study:\n  name: squeezenet-prune\nnetwork:\n  family: squeezenet\n",
        space_hash="4f0c" * 16,
        space_size=8192.0,
        dials=("network.stem.filters", *(f"network.fire{i}.keep" for i in FIRES), "neuron.leak", "encoding.timesteps"),
        candidates=tuple(NAMED),
        references=REFERENCES,
        data="cifar10: 4,500 train, 500 validation, 10,000 test images, 3x32x32, 10 classes",
        training="6 epochs, batch 64, adamw, lr 0.002, T = 2",
        created_at=START,
        commit="0123456789abcdef0123456789abcdef01234567",
        versions={"snnsearch": "0.1.0", "python": "3.11.7", "torch": "2.15.0", "optuna": "5.0.0", "ray": "2.60.0"},
        machine="2 cores, 24 GB, Linux",
    )
    trials = tuple(complete_trial(n, epochs=epochs) for n in range(complete))
    return StudyRecord(header=header, trials=trials + (unfinished_trials(complete) if others else ()))


def write_study(study: StudyRecord, path: Path) -> str:
    """Stores a study with Optuna as a search does, and returns the storage's URL."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = sqlite_url(path)
    directions = [o.direction for o in study.header.objectives]
    sampler = optuna.samplers.RandomSampler(seed=0)
    stored = optuna.create_study(storage=url, study_name=study.header.name, directions=directions, sampler=sampler)
    stored.set_user_attr("header", study.header.model_dump(mode="json"))
    told = {"complete": "COMPLETE", "failed": "FAIL", "stopped": "PRUNED", "refused": "PRUNED", "duplicate": "PRUNED"}
    for trial in study.trials:
        if trial.status == "waiting":
            stored.enqueue_trial({"network.fire2.keep": False}, user_attrs={"name": trial.name})
            continue
        asked = stored.ask()
        if trial.name:
            asked.set_user_attr("name", trial.name)
        if trial.status == "running":
            asked.suggest_categorical("network.fire2.keep", [True, False])
            asked.suggest_int("network.stem.filters", 16, 128, step=16)
            asked.suggest_float("neuron.leak", 0.5, 1.0)
            continue
        asked.set_user_attr("record", trial.model_dump(mode="json"))
        state = optuna.trial.TrialState[told[trial.status]]
        values = [trial.values[o.name] for o in study.header.objectives] if trial.status == "complete" else None
        stored.tell(asked, values, state=state)
    return url
