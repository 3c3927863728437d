"""A broken space file gives SpaceError with file, line, path and remedy: never another exception, never silence."""

import difflib
from pathlib import Path

import pytest

from search.errors import MAX_LINES, InputError, SpaceError
from search.space.document import parse
from search.space.loading.loader import load_space

SPACES = Path(__file__).parents[3] / "spaces"
BASE = """\
study:
  name: base
  sampler: tpe
  budget: {trials: 4}
  objectives: {accuracy: maximize, params: minimize}
  constraints: {params: {max: 9_000}}
network:
  family: squeezenet
  stem: {width: {choices: [8, 16]}, stride: 1}
  fire2: {keep: true, squeeze: 4}
  fire3: {keep: {choices: [true, false]}, squeeze: {low: 4, high: 16, step: 4}}
  pool: {after: [stem, fire4]}
encoding: {timesteps: {choices: [1, 2], default: 2}}
train:
  epochs: 2
  lr: {low: 1e-4, high: 1e-2, log: true, default: 1e-3}
data:
  name: digits
  validation: 0.2
candidates:
  small: {network.stem.width: 8}
  other: {network.stem.width: 16, network.fire3.keep: false}
profiles:
  cuda: {train.epochs: 20}
"""

# ruff: noqa: E501  one case a line
# name: (what is replaced, by what, the line and path that the message starts with, what else it says)
BROKEN: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # YAML
    "list at the top": (BASE, "- study\n- network\n", "", ("a list at the top level", "study:")),
    "one word": (BASE, "squeezenet\n", "", ("a text at the top level",)),
    "empty": (BASE, "", "", ("empty", "study, network and data")),
    "comments only": (BASE, "# nothing\n", "", ("empty",)),
    "tab": ("  sampler", "\tsampler", "3: ", ("tab", "spaces")),
    "tab before a key": ("  budget", "  \tbudget", "4: ", ("tab as indentation",)),
    "mapping after a tab": ("{after: [stem, fire4]}", "\n    after:\n    -\ta: 1", "14: ", ("':'",)),
    "thousands with a comma": ("{trials: 4}", "{trials: 1,000}", "4: study.budget.trials: ", ("given 1,000;", "write 1000 (or 1_000), or 1.000")),
    "decimal with a comma": ("train:\n  epochs: 2\n", "train: {epochs: 2, batch: 0,5}\nenergy: {}\n", "14: train.batch: ", ("given 0,5;", "write 0.5")),
    "decimal with a comma in a mapping": ("{choices: [1, 2], default: 2}", "{low: 0,01, high: 1}", "13: encoding.timesteps.low: ", ("given 0,01;", "write 0.01")),
    "decimal with a comma in a list": ("[1, 2]", "[0,01, 2]", "13: encoding.timesteps.choices: ", ("given 0,01;", "write 0.01")),
    "thousands as a bound": ("{max: 9_000}", "{max: 9,000}", "6: study.constraints.params.max: ", ("given 9,000;", "write 9000")),
    "no-break space as indentation": ("  sampler", "\u00a0\u00a0sampler", "3: ", ("invisible", "U+00A0", "plain space")),
    "no-break space after a colon": ("epochs: 2", "epochs:\u00a02", "15: ", ("invisible", "U+00A0")),
    "zero-width space in a key": ("epochs: 2", "ep\u200bochs: 2", "15: train: ", ("U+200B, zero width space", "remove it")),
    "zero-width space in a value": ("sampler: tpe", "sampler: tpe\u200b", "3: study.sampler: ", ("U+200B", "remove it")),
    "full-width colon": ("name: base", "name\uff1a base", "2: ", ("U+FF1A", "write :")),
    "curly quotes": ("name: base", "name: \u201cbase: x\u201d", "2: ", ("U+201C", 'write "')),
    "list at a leaf": ("keep: true", "keep: [true, false]", "10: network.fire2.keep: ", ("write one value, or {choices: [true, false]}",)),
    "list at a leaf that is no dial": ("sampler: tpe", "sampler: [tpe, gp]", "3: study.sampler: ", ("allowed are auto",)),
    "list at a closed leaf": ("{timesteps", "{kind: [direct, frames], timesteps", "13: encoding.kind: ", ("'frames']; write one value",)),
    "objectives as a list": ("{accuracy: maximize, params: minimize}", "[params, accuracy]", "5: study.objectives: ", ("write {accuracy: maximize, params: minimize}",)),
    "objectives as a word": ("{accuracy: maximize, params: minimize}", "accuracy", "5: study.objectives: ", ("write {accuracy: maximize, params: minimize}",)),
    "bracket left open": ("{trials: 4}", "{trials: 4", "4: ", ("bracket",)),
    "quote left open": ("name: base", "name: 'base", "2: ", ("quote",)),
    "colon in a value": ("name: base", "name: base: new", "2: ", ("quotes",)),
    "key without colon": ("  epochs: 2", "  epochs 2", "16: ", ()),
    "bad indentation": ("  name: base", "     name: base", "3: ", ("indentation",)),
    "duplicate key": ("  sampler: tpe", "  sampler: tpe\n  sampler: gp", "4: study.sampler: ", ("twice", "line 3")),
    "duplicate section": ("data:", "study: {}\ndata:", "17: study: ", ("twice", "line 1")),
    "alias": ("epochs: 2", "epochs: &e 2\n  batch: *e", "15: train.epochs: ", ("anchor", "write the value out")),
    "merge key": ("stride: 1", "<<: {stride: 1}", "9: network.stem: ", ("merge key",)),
    "python object": ("epochs: 2", "epochs: !!python/object/apply:os.getcwd []", "15: train.epochs: ", ("tag",)),
    "own tag": ("epochs: 2", "epochs: !dial 2", "15: train.epochs: ", ("tag '!dial'",)),
    "two documents": ("data:", "---\ndata:", "17: ", ("second document",)),
    "number as a key": ("stride: 1", "3: 1", "9: network.stem: ", ("the key 3 is no text", "quotes")),
    "list as a key": ("stride: 1", "[a]: 1", "9: network.stem: ", ("a list or mapping as a key",)),
    "nested too deep": ("epochs: 2", "epochs: " + "[" * 99 + "]" * 99, "15: train.epochs", ("nested",)),
    "brackets by the thousand": ("epochs: 2", "epochs: " + "[" * 50_000, "15: train.epochs", ("nested",)),
    "control character": ("name: base", "name: ba\x00se", "2: ", ("no text has",)),
    "escape beyond Unicode": ("name: base", 'name: "\\U00110000"', "2: ", ("no YAML from here on", "escape")),
    "escape beyond C": ("name: base", 'name: "\\UFFFFFFFF"', "2: ", ("no YAML from here on", "escape")),
    "version without end": (BASE, "%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "1: ", ("no YAML from here on",)),
    "underscore at the end": ("epochs: 2", "epochs: 2_", "15: train.epochs: ", ("'2_'", "whole number")),
    "underscores together": ("epochs: 2", "epochs: 2__0", "15: train.epochs: ", ("'2__0'", "whole number")),
    "billion laughs": (BASE, "a: &a [x, x]\nb: &b [*a, *a]\n", "1: a: ", ("anchor", "write the value out")),
    "list of 1,001": ("[stem, fire4]", str(["stem"] * 1001), "12: network.pool.after: ", ("more than 1,000 entries",)),
    "mapping of 1,001": ("data:", "".join(f"k{at}: 1\n" for at in range(1001)) + "data:", "1013: ", ("more than 1,000 entries",)),
    "10,000 levels of lists": ("epochs: 2", "epochs:\n    " + "- " * 10_000, "16: train.epochs", ("nested",)),
    "key of 201 letters": ("stride: 1", f"{'k' * 201}: 1", "9: network.stem: ", ("a key of 201 characters",)),
    "number too large": ("epochs: 2", "epochs: 1e999", "15: train.epochs: ", ("too large",)),
    # keys and words
    "unknown section": ("encoding:", "encodings:", "13: encodings: ", ("did you mean encoding?",)),
    "unknown key": ("squeeze: 4}", "sqeeze: 4}", "10: network.fire2.sqeeze: ", ("did you mean squeeze?", "expand1x1")),
    "unknown module": ("  fire2:", "  fier2:", "10: network.fier2: ", ("did you mean fire2?",)),
    "key of another section": ("  sampler: tpe", "  epochs: 3", "3: study.epochs: ", ("did you mean train.epochs?",)),
    "unknown family": ("squeezenet", "squeezent", "8: network.family: ", ("'squeezent'", "did you mean squeezenet?")),
    "no budget": ("  budget: {trials: 4}\n", "", "1: study.budget: ", ("missing", "{time: 20m}")),
    "no family": ("  family: squeezenet\n", "", "7: network.family: ", ("missing", "squeezenet")),
    "unknown data set": ("digits", "digit", "18: data.name: ", ("cifar10", "did you mean digits?")),
    "unknown objective": ("accuracy: m", "acc: m", "5: study.objectives.acc: ", ("energy_mj", "did you mean accuracy?")),
    "wrong direction": ("accuracy: maximize", "accuracy: minimize", "5: study.objectives.accuracy: ", ("maximize",)),
    "no objective": ("{accuracy: maximize, params: minimize}", "{}", "5: study.objectives: ", ("at least 1", "write {accuracy")),
    "unknown sampler": ("sampler: tpe", "sampler: nsga", "3: study.sampler: ", ("allowed are auto, ehvi, ga, tpe",)),
    "study name": ("name: base", "name: My Study", "2: study.name: ", ("'My Study'", "write my-study")),
    "no network": (BASE, "study: {}\ndata: {name: digits}\n", "1: network: ", ("missing", "write network: {family")),
    "unknown position": ("[stem, fire4]", "[stem, fire44]", "12: network.pool.after[1]: ", ("did you mean fire4?",)),
    # values
    "text for a number": ("epochs: 2", "epochs: two", "15: train.epochs: ", ("'two'", "whole number")),
    "quoted number": ("epochs: 2", "epochs: '2'", "15: train.epochs: ", ("'2'", "whole number")),
    "fraction for a count": ("epochs: 2", "epochs: 2.5", "15: train.epochs: ", ("2.5", "whole number")),
    "yes for true": ("keep: true", "keep: yes", "10: network.fire2.keep: ", ("true or false",)),
    "zero epochs": ("epochs: 2", "epochs: 0", "15: train.epochs: ", ("given 0", "not below 1")),
    "value for a module": ("fire2: {keep: true, squeeze: 4}", "fire2: true", "10: network.fire2: ", ("squeeze",)),
    "section without content": ("encoding: {timesteps: {choices: [1, 2], default: 2}}", "encoding:", "13: encoding: ", ("null",)),
    "infinite": ("epochs: 2", "weight_decay: .inf", "15: train.weight_decay: ", ("'.inf'",)),
    "budget without end": ("{trials: 4}", "{}", "4: study.budget: ", ("neither trials, time nor macs", "20m")),
    "budget without unit": ("{trials: 4}", "{time: 20}", "4: study.budget.time: ", ("20m",)),
    "upper bound of accuracy": ("{params: {max", "{accuracy: {max", "6: study.constraints.accuracy: ", ("given {max: 9000}", "accuracy: {min: 0.7}")),
    "constraint without max": ("{max: 9_000}", "9_000", "6: study.constraints.params: ", ("params: {max:",)),
    "bound on energy of nothing": ("{params: {max: 9_000}}", "{energy_mj: {max: 0}}", "6: study.constraints.energy_mj: ", ("given {max: 0}", "{max: 0.02}")),
    "bound on energy with its unit": ("{params: {max: 9_000}}", "{energy_mj: {max: 0.02 mJ}}", "6: study.constraints.energy_mj: ", ("{max: 0.02}",)),
    "bound on params with a fraction": ("max: 9_000", "max: 9e3", "6: study.constraints.params: ", ("{max: 800_000}",)),
    "bound on energy by a short name": ("{params: {max", "{energy: {max", "6: study.constraints.energy: ", ("did you mean energy_mj?",)),
    "validation takes all": ("validation: 0.2", "validation: 9999", "17: data: ", ("leave some to train on",)),
    "energy out of step": ("data:", "energy: {model: lemaire2022, preset: paper2602}\ndata:", "17: energy: ", ("exact",)),
    "reference without accuracy": (
        "profiles:", "reference: [{label: a, energy_mj: 1, params: 2}]\nprofiles:", "23: reference[0].accuracy: ", ("missing",)
    ),
    "reference with unknown price": (
        "profiles:", "reference:\n  - {label: a, accuracy: 1, energy_mj: 1, params: 2, price: horowitz}\nprofiles:",
        "24: reference[0].price: ", ("did you mean horowitz45/exact?",),
    ),
    # dials
    "bounds the wrong way round": ("low: 4, high: 16", "low: 16, high: 4", "11: network.fire3.squeeze: ", ("low: 4, high: 16",)),
    "bounds equal": ("low: 4, high: 16", "low: 4, high: 4", "11: network.fire3.squeeze: ", ("write the value itself",)),
    "no high": ("low: 4, high: 16, ", "low: 4, ", "11: network.fire3.squeeze: ", ("high is missing",)),
    "high off the grid": ("high: 16", "high: 15", "11: network.fire3.squeeze: ", ("write high: 12 or 16",)),
    "more steps than can be told apart": (
        "{low: 1e-4, high: 1e-2, log: true, default: 1e-3}", "{low: 1e-300, high: 1e300, step: 1e-300}",
        "16: train.lr: ", ("too many steps of 1e-300", "write"),
    ),
    "more whole numbers than can be told apart": ("epochs: 2", "epochs: {low: 1, high: 1000000000000000000, step: 1}", "15: train.epochs: ", ("too many steps",)),
    "step zero": ("step: 4", "step: 0", "11: network.fire3.squeeze: ", ("above 0",)),
    "low below what a width can be": ("low: 4", "low: 0", "11: network.fire3.squeeze: ", ("given 0", "not below 1")),
    "high above what a width can be": ("high: 16", "high: 10_000", "11: network.fire3.squeeze: ", ("10000", "4096")),
    "log from zero": ("low: 1e-4", "low: 0", "16: train.lr: ", ("log: true",)),
    "log with a step": ("log: true", "log: true, step: 1e-4", "16: train.lr: ", ("step",)),
    "log as a word": ("log: true", "log: yes", "16: train.lr: ", ("true or false",)),
    "min for low": ("low: 4", "min: 4", "11: network.fire3.squeeze: ", ("'min'", "{low: 8, high: 64")),
    "text as a bound": ("low: 4", "low: four", "11: network.fire3.squeeze: ", ("'four'", "number")),
    "one choice": ("[8, 16]", "[8]", "9: network.stem.width: ", ("two values or more",)),
    "choice twice": ("[8, 16]", "[8, 8]", "9: network.stem.width: ", ("twice",)),
    "choices and low": ("[8, 16]", "[8, 16], low: 8", "9: network.stem.width: ", ("both choices and low",)),
    "list as a choice of a number": ("[8, 16]", "[8, [16]]", "9: network.stem.width: ", ("given [16]", "one number")),
    "words as choices of a list": (
        "[stem, fire4]", "{choices: [stem, fire4]}", "12: network.pool.after: ", ("given 'stem'", "[[a, b], [a, c]]"),
    ),
    "range of lists": ("[stem, fire4]", "{low: 1, high: 2}", "12: network.pool.after: ", ("takes a list",)),
    "list of unknown words": (
        "[stem, fire4]", "{choices: [[stem], [fier4]]}", "12: network.pool.after", ("'fier4'", "did you mean fire4"),
    ),
    "null as a choice": ("[8, 16]", "[8, null]", "9: network.stem.width: ", ("null", "not a choice")),
    "choice of the wrong type": ("[8, 16]", "[8, wide]", "9: network.stem.width: ", ("'wide'", "whole number")),
    "default that is no choice": ("default: 2", "default: 3", "13: encoding.timesteps: ", ("given 3", "1, 2")),
    "family that is none among choices": (
        "family: squeezenet", "family: {choices: [squeezenet, mnastnet]}", "8: network.family: ",
        ("given 'mnastnet'", "allowed are squeezenet", "did you mean mnasnet?"),
    ),
    "module beside several families": (
        "family: squeezenet", "family: {choices: [squeezenet, mnasnet]}", "9: network.stem: ",
        ("under a family", "write squeezenet: {stem: ...}"),
    ),
    "section of a family that is not chosen": (
        "network:\n", "network:\n  mixnet: {head: {width: 64}}\n", "8: network.mixnet: ", ("unknown key",),
    ),
    "dial in energy": ("data:", "energy: {model: {choices: [a, b]}}\ndata:", "17: energy.model: ", ("cannot be a dial",)),
    "dial in study": ("sampler: tpe", "sampler: {choices: [tpe, gp]}", "3: study.sampler: ", ("allowed are auto",)),
    "image too small for a choice": (
        "stride: 1}", "stride: {choices: [1, 8]}}\n  fire4: {keep: true}", "9: network.stem.stride: ", ("at 8", "does not build")
    ),
    "image too small at all": ("stride: 1", "stride: 8", "7: network: ", ("does not build", "fire4.pool")),
    "dials that do not go together": (
        "validation: 0.2", "validation: {choices: [100, 900]}\n  subset: {choices: [500, 1000], default: 1000}",
        "19: data.validation: ", ("at 900, with data.subset at 500", "leave some to train on"),
    ),
    "frames of still images": (
        "encoding: {", "encoding: {kind: frames, ", "13: encoding.kind: ",
        ("given frames, but digits holds still images; write encoding: {kind: direct}",),
    ),
    "events shown as a still image": (
        "name: digits", "name: nmnist", "13: encoding.kind: ",
        ("given direct, but nmnist holds recordings of events; write encoding: {kind: frames}",),
    ),
    "events without an encoding": (
        "encoding: {timesteps: {choices: [1, 2], default: 2}}\ntrain:\n  epochs: 2\n  lr: {low: 1e-4, high: 1e-2, log: true, default: 1e-3}\ndata:\n  name: digits",
        "data:\n  name: nmnist", "14: encoding.kind: ", ("write encoding: {kind: frames}",),
    ),
    "more frames than there are": (
        "encoding: {timesteps: {choices: [1, 2], default: 2}}", "encoding: {kind: frames, timesteps: 40}",
        "13: encoding.timesteps: ", ("given 40", "write 32 or less"),
    ),
    "encoding as a dial": ("encoding: {", "encoding: {kind: {choices: [direct, frames]}, ", "13: encoding.kind: ", ("cannot be a dial",)),
    "classes as a dial": ("name: digits", "name: digits\n  classes: {choices: [2, 5]}", "19: data.classes: ", ("cannot be a dial",)),
    "one class": ("name: digits", "name: digits\n  classes: [3]", "19: data.classes: ", ("given [3]", "2 or more", "[cat, dog]")),
    "more classes than there are": ("name: digits", "name: digits\n  classes: 11", "17: data: ", ("asks for 11; digits has 10",)),
    # candidates and profiles
    "candidate of no dial": ("small: {network.stem", "small: {network.stm", "21: candidates.small: network.stm.width: ",
                             ("did you mean network.stem.width?",)),
    "candidate at a closed leaf": ("small: {", "small: {train.epochs: 3, ", "21: candidates.small: train.epochs: ", ("at 2",)),
    "candidate outside a dial": ("small: {network.stem.width: 8", "small: {network.stem.width: 9",
                                 "21: candidates.small: network.stem.width: ", ("given 9", "8, 16")),
    "candidate without a default": ("{network.stem.width: 8}", "{}", "21: candidates.small: ", ("network.stem.width", "no default")),
    "candidate in a removed module": ("network.fire3.keep: false", "network.fire3.keep: false, network.fire3.squeeze: 4",
                                      "22: candidates.other: network.fire3.squeeze: ", ("removes",)),
    "candidates that are equal": ("16, network.fire3.keep: false", "8", "22: candidates.other: ", ("equal to candidate small",)),
    "candidate without content": ("small: {network.stem.width: 8}", "small:", "21: candidates.small: ", ("given null", "{}")),
    "candidates as a list": ("  small: {network.stem.width: 8}\n  other:", "  -", "20: candidates: ", ("{name:",)),
    "profile of an unknown device": ("cuda:", "gpu:", "24: profiles.gpu: ", ("cpu, cuda",)),
    "profile with an unknown path": ("train.epochs: 20", "train.epoch: 20", "24: profiles.cuda.train.epoch: ", ("train.epochs?",)),
    "profile with a bad value": ("train.epochs: 20", "train.epochs: 0", "24: train.epochs: ", ("not below 1",)),
}  # fmt: skip


def error_of(text: str) -> str:
    with pytest.raises(SpaceError) as caught:
        load_space(text)
    return str(caught.value)


def test_the_file_that_the_table_breaks_is_whole() -> None:
    assert load_space(BASE).study.name == "base"


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_with_its_line_and_remedy(name: str) -> None:
    old, new, place, says = BROKEN[name]
    assert old in BASE
    message = error_of(BASE.replace(old, new, 1))
    lines = [line for line in message.splitlines() if line.startswith(f"<text>:{place}")]
    assert lines, message
    assert all(word in lines[0] for word in says), message


def test_all_errors_of_a_file_are_told_at_once_in_its_order() -> None:
    text = BASE.replace("sampler: tpe", "sampler: x").replace("squeeze: 4}", "sqeeze: 4}").replace("digits", "digit")
    places = [line.split(": ")[0] for line in error_of(text).splitlines()]
    assert places == ["<text>:3", "<text>:10", "<text>:18"]


def test_wrong_values_are_told_beside_unknown_keys() -> None:
    text = BASE.replace("stride: 1", "strde: 1").replace("choices: [1, 2], default: 2", "choice: [1, 2]")
    text = text.replace("  epochs: 2", "  epochs: 0").replace("stem: {width: {choices: [8, 16]}, ", "stem: {width: 0, ")
    with pytest.raises(SpaceError) as refused:
        load_space(text)
    paths = [problem.path for problem in refused.value.problems if not problem.path.startswith("candidates")]
    assert paths == ["network.stem.strde", "network.stem.width", "encoding.timesteps", "train.epochs"]


def test_what_an_unknown_key_may_have_caused_is_not_told() -> None:
    text = BASE.replace("{keep: true, squeeze: 4}", "{kep: true, squeeze: 4}").replace("pool: {after", "pool: {aftr")
    with pytest.raises(SpaceError) as refused:
        load_space(text)
    assert [problem.path for problem in refused.value.problems] == ["network.fire2.kep", "network.pool.aftr"]


def test_missing_key_is_told_unless_a_misspelt_one_beside_it_may_be_the_cause() -> None:
    text = BASE.replace("  budget: {trials: 4}\n", "").replace("  stem:", "  stm:")
    assert [line.split(": ")[1] for line in error_of(text).splitlines()] == ["study.budget", "network.stm"]


def test_wrong_kind_of_file_is_one_problem() -> None:
    assert len(error_of("benchmark: {name: x}\nnetworks: 3\n").splitlines()) == 1


def test_encoding_that_does_not_fit_the_data_is_one_problem() -> None:
    assert len(error_of(BASE.replace("name: digits", "name: nmnist")).splitlines()) == 1


def test_error_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(BASE.replace("digits", "digit"))
    with pytest.raises(SpaceError, match=f"^{file}:18: data.name: "):
        load_space(file)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"\xff\xfe\x00\x01binary", "UTF-8", id="binary"),
        pytest.param(b"study: caf\xe9\n", "UTF-8", id="latin-1"),
        pytest.param(b"# long\n" * 200_000, "1 MiB", id="too long"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "UTF-8", id="picture"),
        pytest.param(b"", "empty", id="empty"),
    ],
)
def test_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_bytes(content)
    with pytest.raises(SpaceError, match=says):
        load_space(file)


def test_missing_file_names_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "prune.yaml").write_text(BASE)
    with pytest.raises(SpaceError, match=r"no such file; in that folder: prune\.yaml"):
        load_space(tmp_path / "prun.yaml")


def test_folder_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="a folder; name a YAML file"):
        load_space(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("network.fier3.keep", "false", "network.fier3.keep: no such path; did you mean network.fire3.keep?"),
        ("epochs", "3", "epochs: no such path; did you mean train.epochs?"),
        ("train.epochs", "0", "train.epochs: given 0; write a number not below 1"),
        ("train.epochs", "[3", "train.epochs: given '[3': a bracket that is not closed"),
        ("train.lr", "{low: 1, high: 0}", "train.lr: low 1 is not below high 0"),
        ("network.stem.width", "8", "candidates.other: network.stem.width: --set fixes it at 8"),
        ("network.family", "alexnet", "network.family: given 'alexnet'"),
        ("profiles.cuda", "{}", "profiles.cuda: no such path"),
        ("candidates.mine", "{network.fier3.keep: false}", "candidates.mine: network.fier3.keep: no such dial"),
        ("candidates.mine.network", "8", "candidates.mine.network: no such path"),
        ("", "1", "no such path"),
        ("study.objectives" + ".a" * 5000, "1", "no such path"),
        ("network" + ".a" * 5000, "1", "no such path"),
    ],
)
def test_bad_override_is_refused(path: str, value: str, says: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(BASE, overrides={path: value})
    assert says in str(caught.value)


def test_override_adds_or_replaces_a_named_candidate() -> None:
    overrides = {
        "candidates.mine": "{network.stem.width: 8, network.fire3.squeeze: 12}",
        "candidates.small": "{network.stem.width: 16}",
    }
    before, after = load_space(BASE), load_space(BASE, overrides=overrides)
    assert list(after.candidates) == ["small", "other", "mine"]
    assert after.candidates["mine"]["network.fire3.squeeze"] == 12
    assert after.candidates["small"]["network.stem.width"] == 16
    assert after.candidates["other"] == before.candidates["other"]


def test_space_error_is_bad_input() -> None:
    assert issubclass(SpaceError, InputError)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [[{}]]", "!!python/name:os.mkdir"]
)
@pytest.mark.parametrize("where", ["epochs: {}", "name: {}"])
def test_tag_runs_nothing(tmp_path: Path, text: str, where: str) -> None:
    """Put the text in a file, in a value of --set and in a key."""
    call = text.format(tmp_path / "owned")
    (tmp_path / "space.yaml").write_text(BASE.replace("epochs: 2", where.format(call)) + f"? {call}\n: 1\n")
    with pytest.raises(SpaceError, match=r"the tag|a list or mapping as a key"):
        load_space(tmp_path / "space.yaml")
    with pytest.raises(SpaceError, match="the tag"):
        load_space(BASE, overrides={"train.epochs": call})
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


def test_file_of_100_megabytes_is_refused_by_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(100 * 2**20)
    with pytest.raises(SpaceError, match="more than 1 MiB"):
        load_space(file)


def of_entries(count: int) -> str:
    return "".join(f"k{at}: {[1] * 999}\n" for at in range(count // 1000))


def test_file_of_many_entries_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(of_entries(21_000))
    with pytest.raises(SpaceError, match=r":21: k20: more than 20,000 entries in all|:21: more than 20,000 entries"):
        load_space(file)


def test_text_may_be_such_a_file_with_its_defaults_written_out() -> None:
    assert "more than" not in error_of(of_entries(21_000))
    assert "more than 40,000 entries" in error_of(of_entries(41_000))


@pytest.mark.parametrize(
    "text",
    [
        BASE + "\n".join(f"{at}x: 1" for at in range(900)),
        BASE.replace("epochs: 2", f"epochs: 2\n  schedule: {dict.fromkeys((f'k{at}' for at in range(900)), 1)}"),
        BASE.replace("fire2: {", "fire2: {" + "".join(f"k{at}: 1, " for at in range(900))),
        BASE.replace("cuda: {", "cuda: {" + "".join(f"k{at}: 1, " for at in range(900))),
    ],
)
def test_work_on_problems_and_their_telling_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are compared with others for a hint, which takes longest."""
    compared = []
    real = difflib.get_close_matches
    monkeypatch.setattr(difflib, "get_close_matches", lambda *given, **more: compared.append(1) or real(*given, **more))
    assert len(error_of(text).splitlines()) <= MAX_LINES + 1
    assert len(compared) <= 1000


def test_all_wrong_objectives_and_constraints_are_told() -> None:
    text = BASE.replace("{accuracy: maximize, params: minimize}", "{acc: maximize, params: maximize}")
    text = text.replace("{params: {max: 9_000}}", "{params: 9_000, energy: {max: 1}, dense_macs: {max: -1}}")
    paths = [line.split(": ")[1] for line in error_of(text).splitlines()]
    objectives, constraints = ["acc", "params"], ["dense_macs", "energy", "params"]
    expected = [f"study.objectives.{name}" for name in objectives] + [
        f"study.constraints.{name}" for name in constraints
    ]
    assert [path for path in paths if path.startswith("study")] == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 2", "epochs:\t2"),
        ("epochs: 2", "epochs: 2\t"),
        ("epochs: 2", "epochs: 2\t# two"),
        ("train:\n", "train:\n\t\n \t# a comment\n"),
        ("[8, 16]", "[\t8,\t16\t]"),
        ("[8, 16]", "[8,\n\t16]"),
        ("{after: [stem, fire4]}", "\n    after:\n    -\tstem\n    -\tfire4"),
        ("{trials: 4}", "\n    trials:\t4"),
    ],
)
def test_tabs_stand_where_yaml_allows_them(old: str, new: str) -> None:
    assert old in BASE
    assert load_space(BASE.replace(old, new, 1)).fingerprint == load_space(BASE).fingerprint


def test_tab_inside_text_is_kept() -> None:
    tree = parse('a: "x\ty"\nb: |\n  x\ty\n').tree
    assert tree == {"a": "x\ty", "b": "x\ty\n"}
