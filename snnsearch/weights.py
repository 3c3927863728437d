"""Load a network from a file that snnsearch wrote."""

import zipfile
from pathlib import Path

from pydantic import ValidationError

from search.errors import InputError, format_validation
from search.space.candidate import Candidate
from search.trial.initialization import trained_network
from snnkit.base.torch_files import StoredError
from snnkit.export import pytorch
from snnkit.nn.network import Network


def load(path: Path | str) -> Network:
    """Return the network in a file that ``snnsearch export --format pytorch`` or a trial wrote, with its weights.

    The network is in evaluation mode. Its input are normalised images; ``snnsearch show`` and the file's metadata give
    mean and standard deviation. No code in the file is run.

    Raises InputError if there is no such file, or if it holds something else.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no such file: {file}. Write one with: snnsearch export NAME TRIAL")
    try:
        if not zipfile.is_zipfile(file):
            raise StoredError("it is no file of torch, or it was cut short")
        metadata = pytorch.read(file)[1]
        candidate = Candidate.model_validate_json(metadata["candidate"])
        network = trained_network(candidate, file, twin=metadata.get("kind") == "cnn")
    except KeyError as error:
        raise InputError(
            f"{file} cannot be loaded: {error} is unknown. If its network's family is a plug-in, load the space that "
            "names it first: snnsearch.load_space(PATH)"
        ) from error
    except ValidationError as error:
        raise InputError(f"{file} cannot be loaded: {format_validation(error)}") from error
    except (OSError, RuntimeError, StoredError) as error:
        raise InputError(f"{file} cannot be loaded: {error}") from error
    return network.eval()
