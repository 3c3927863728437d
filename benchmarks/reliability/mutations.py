"""Make broken spaces and benchmarks from good ones, for the fuzzer and for tests.

All randomness comes from the given ``rng``, so that hypothesis can draw it and shrink its findings.
"""

import random
from typing import Any

from search.errors import SpaceError
from search.space import document

HOLE = "HOLE"  # placeholder in a dumped tree, replaced by raw text
LETTERS = "{}[]:,-#&*!|>'\"%@`\t 0x~é\x00\x1b\x85\ufeff\U0001f600"
WORDS = """
~ null true yes no 0 -1 -0.0 1_ 1__0 _1 010 0x1f 0o17 0b1 1:30 1e-3 1e300 1e301 1e9999 1e-9999 .5 5.
.nan .inf -.inf nan inf 2026-11-26 2026-11-26T08:00:00Z = << ' [ ] { } [[ {{}} [] {} &a *a
scratch inherit cnn frames direct mixnet digits nmnist minimize 10m 0s
"""
RAW = (  # YAML fragments as they could appear in a file
    *WORDS.split(),
    *("", "9" * 17, "9" * 31, "9" * 32, "9" * 400, "-" + "9" * 31, "9" * 400 + "d", "x" * 500, "é😀", "\ufeff"),
    *("!!binary aGk=", "!x 1", "!!python/object/apply:os.system [id]", "!!set {a}", "!!omap [a: 1]", "!!int 'x'"),
    *("&a 1", "&a [*a]", "? a", "|\n  x", "> x", '"', '"\\0"', '"\\x1b]0;x\\a"', '"\\uD800"', '"\\UFFFFFFFF"'),
    *("[1, 2]", "[[1, 2], [3]]", "{a: 1}", "{a: {b: {c: 1}}}", "[" * 30 + "]" * 30),
    *("{choices: [1, 2]}", "{choices: [true, 1]}", "{choices: []}", "{choices: [a, a]}", "{choices: [1, 1.0]}"),
    *("{low: 1, high: 2}", "{low: 0, high: 1}", "{low: 1, high: 64, log: true}", "{low: -1e300, high: 1e300}"),
    *("{low: 1, high: 1e18, step: 1}", "{low: 1e-300, high: 1e300, step: 1e-300}", f"{{low: 1, high: {'9' * 31}}}"),
    *("{low: 0.1, high: 0.3, step: 0.1, default: 0.2}", "{low: 1, high: 4, default: 3}", "{low: a, high: b}"),
)  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """Return ``text`` with one to three changes of lines or nodes."""
    for _ in range(rng.randint(1, 3)):
        text = of_tree(text, rng) if rng.random() < 0.6 else of_lines(text, rng)
    return text


def of_lines(text: str, rng: random.Random) -> str:
    """Delete, repeat, indent, cut, swap or fill a line, or replace one of its letters."""
    lines = text.splitlines() or [""]
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    line = lines[at]
    spot = rng.randrange(len(line) + 1)
    match rng.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, line)
        case 2:
            lines[at] = " " * rng.randint(1, 4) + line
        case 3:
            lines[at] = line[:spot]
        case 4:
            lines[at], lines[other] = lines[other], line
        case 5:
            lines[at] = f"{line.partition(':')[0]}: {rng.choice(RAW)}"
        case _:
            lines[at] = line[:spot] + rng.choice(LETTERS) + line[spot + 1 :]
    return "\n".join(lines)


def of_tree(text: str, rng: random.Random) -> str:
    """Remove, replace, nest, repeat, copy or move a node. Text that does not parse gets a changed line instead."""
    try:
        tree: dict[str, Any] = dict(document.parse(text).tree)
    except SpaceError:
        return of_lines(text, rng)
    places = list(_places(tree))
    if not places:
        return of_lines(text, rng)
    inside, key = rng.choice(places)
    raw = HOLE
    match rng.randrange(7):
        case 0:
            del inside[key]
        case 1 | 2:
            inside[key], raw = HOLE, rng.choice(RAW)
        case 3:
            inside[key] = {rng.choice(_keys(tree)): inside[key]}
        case 4:
            inside[key] = [inside[key]] * rng.randint(1, 3)
        case 5:
            other, there = rng.choice(places)
            inside[key] = _copy(other.get(there) if isinstance(other, dict) else other[there])
        case _:
            if isinstance(inside, dict):
                inside[rng.choice(_keys(tree))] = inside.pop(key)
            else:
                inside.append(inside[key])
    return document.dump(tree).replace(HOLE, raw)


def _places(tree: Any) -> "list[tuple[Any, Any]]":
    """Return (mapping or list, key or index) for every node, from the top down."""
    if not isinstance(tree, dict | list):
        return []
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    return [(tree, key) for key in keys] + [place for key in keys for place in _places(tree[key])]


def _keys(tree: Any) -> list[str]:
    return sorted({key for _, key in _places(tree) if isinstance(key, str)}) or ["a"]


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(below) for key, below in tree.items()}
    return [_copy(below) for below in tree] if isinstance(tree, list) else tree
