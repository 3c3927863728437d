"""The command ``count``: the operations and the energy of a network that was not built here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from search.cli import console
from search.cli.options import DataRoot, Json, expand_home
from search.errors import InputError

if TYPE_CHECKING:
    from snnkit.counting.count import ModelCounts
    from snnkit.energy import Energy


def count(
    model: Annotated[
        str,
        typer.Argument(
            help="A NIR file (.nir), or a Python reference: module:attribute or path/file.py:attribute. The attribute "
            "is a torch module or a function that returns one; the module's code runs.",
            metavar="FILE",
        ),
    ],
    timesteps: Annotated[
        int, typer.Option(min=1, help="Number of time steps of an inference; 1 for a CNN.", metavar="T")
    ],
    dataset: Annotated[
        str | None,
        typer.Option(help="Count on test images of this data set (snnsearch data list).", metavar="NAME"),
    ] = None,
    npz: Annotated[
        Path | None,
        typer.Option(
            "--npz",
            help="Count on the arrays of this file: inputs x, (N, C, H, W) as the model takes them, and labels y if "
            "known.",
            metavar="FILE.npz",
            callback=expand_home,
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images to count on.", metavar="N")] = 100,
    pixels: Annotated[
        Literal["normalised", "unit"],
        typer.Option(
            help="Pixels of --dataset. normalised: mean 0 and deviation 1 in each channel. unit: from 0 to 1."
        ),
    ] = "normalised",
    forward: Annotated[
        Literal["auto", "step", "sequence", "loop"],
        typer.Option(
            help="What one call of the model is. step: one time step. sequence: all time steps, time first. loop: the "
            "whole inference of still images. auto: find out by trying."
        ),
    ] = "auto",
    recordings: Annotated[
        bool,
        typer.Option("--recordings", help="The inputs of --npz have an axis of time after the first: (N, T, ...)."),
    ] = False,
    inputs: Annotated[
        Literal["auto", "real", "spikes"],
        typer.Option(
            help="What the first layer reads. auto: spikes if the inputs have an axis of time and are whole numbers."
        ),
    ] = "auto",
    stem: Annotated[
        Literal["once", "every_step"],
        typer.Option(help="How often layers that see only a still image are counted."),
    ] = "once",
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Count and price a network of snnTorch, SpikingJelly or NIR, layer by layer.

    Operations are counted from real spikes, as for networks of snnsearch.

    Example: snnsearch count net.nir --dataset digits --timesteps 4
    """
    from snnkit.counting import sources
    from snnkit.counting.count import count as count_model
    from snnkit.counting.errors import CountError
    from snnkit.energy import estimate_all

    if (dataset is None) == (npz is None):
        raise InputError("give the inputs to count on: --dataset NAME or --npz FILE.npz")
    try:
        loaded = sources.load_model(model)
        if npz is not None:
            batches, time_axis = sources.read_arrays(npz, images), 1 if recordings else None
        else:
            batches, time_axis = sources.read_dataset(dataset or "", data, images, timesteps, pixels)
        counts = count_model(loaded, batches, timesteps, forward=forward, time_axis=time_axis, inputs=inputs, stem=stem)
    except CountError as error:
        raise InputError(str(error)) from error
    energies = estimate_all(counts)
    if as_json:
        console.print_json(_to_json(counts, energies))
    else:
        from search.cli import tables

        # figures are never truncated: a narrower terminal wraps their lines
        wide = console.Terminal(file=console.out.file, width=max(console.out.width, 160))
        wide.print(tables.counts_view(counts, energies))


def _to_json(counts: "ModelCounts", energies: "dict[str, Energy]") -> dict[str, Any]:
    from search.trial.run import layer_records

    return {
        "timesteps": counts.timesteps,
        "images": counts.images,
        "forward": counts.forward,
        "accuracy": counts.accuracy,
        "macs": counts.macs,
        "acs": counts.acs,
        "spikes": counts.spikes,
        "firing_rate": counts.firing_rate,
        "energy_mj": {
            model: {"total": energy.total_mj, **energy.alternatives, "parts": energy.parts}
            for model, energy in energies.items()
        },
        "layers": [layer.model_dump() for layer in layer_records(counts, energies)],
        "uncounted": list(counts.uncounted),
    }
