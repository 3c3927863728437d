"""The command ``scaffold``: a space from a PyTorch network."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import console
from search.cli.options import expand_home
from search.errors import InputError


def scaffold(
    reference: Annotated[
        str,
        typer.Argument(
            help="The network: module:attribute, file.py:attribute, torchvision.models:resnet18 or timm:NAME. Its "
            "code is run.",
            metavar="REF",
        ),
    ],
    size: Annotated[
        str,
        typer.Option("--input", help="Channels, height and width of the images: 3x32x32.", metavar="CxHxW"),
    ],
    classes: Annotated[
        int, typer.Option("--classes", min=2, help="Number of classes, for networks that take it.", metavar="N")
    ] = 10,
    to: Annotated[
        Path | None,
        typer.Option("--to", "-o", help="File to write. Default: print.", metavar="FILE", callback=expand_home),
    ] = None,
) -> None:
    """Write a space that searches a PyTorch network: which modules to keep, and how wide.

    The network is traced, and its CNN twin must compute the same. A network that cannot be searched is refused.

    Example: snnsearch scaffold torchvision.models:resnet18 --input 3x32x32 --to resnet.yaml
    """
    from search.space import scaffolded

    text = scaffolded.scaffold(reference, _shape(size), classes)
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{to} exists and is not overwritten; write to another file with --to") from None
    console.out.print(str(to), highlight=False, soft_wrap=True)


def _shape(text: str) -> tuple[int, int, int]:
    """Return ``3x32x32`` as numbers. Raises InputError."""
    words = text.lower().split("x")
    if len(words) != 3 or not all(word.isdecimal() and 0 < int(word) <= 1024 for word in words):
        raise InputError(f"--input {text!r}: write channels x height x width, for example 3x32x32")
    return (int(words[0]), int(words[1]), int(words[2]))
