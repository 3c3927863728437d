"""Find phrases to avoid in the project's prose: Markdown, docstrings, comments, texts in code, and comments of YAML.

python tests/prose/check.py [FILES]     all files of the project, or the given ones
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PHRASES = Path(__file__).with_name("phrases.txt")
KINDS = (".py", ".md", ".yaml", ".yml")
SKIPPED = ("tests/golden/", "tests/prose/", "tests/test_prose.py", "reports/gallery/", "build/", "runs/")
CHECKED = ("reports/gallery/README.md",)  # in a skipped folder
PREPOSITIONS = "of by from for as with without in on at to where before after behind under beside out"
OPENING = re.compile(rf"\s*(?:{'|'.join(PREPOSITIONS.split())})\b", re.IGNORECASE)
TEXT = re.compile(r"\w+[,;:]? \w+[,;:]? \w+")  # three words: a sentence and no key
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@dataclass(frozen=True)
class Passage:
    """A piece of prose and the number of its first line."""

    line: int
    text: str
    docstring: bool = False


@dataclass(frozen=True)
class Finding:
    """A phrase to avoid, where it is and what to write instead."""

    file: Path
    line: int
    phrase: str
    advice: str

    def __str__(self) -> str:
        return f'{self.file.relative_to(ROOT)}:{self.line}: "{self.phrase}": {self.advice}'


@cache
def banned() -> list[tuple[re.Pattern[str], str]]:
    """Return the patterns and what to write instead of each."""
    lines = [line for line in PHRASES.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [re.split(r" {2,}", line, maxsplit=1) for line in lines]
    return [(re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE), advice) for pattern, advice in pairs]


def files() -> list[Path]:
    """Return every file of the project that contains prose."""
    tops = [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    every = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top])]
    return sorted(path for path in every if path.suffix in KINDS and _is_ours(path))


def _is_ours(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return name in CHECKED or not name.startswith(SKIPPED)


def findings(file: Path) -> list[Finding]:
    """Return the phrases to avoid in ``file``."""
    found = []
    for passage in _passages(file):
        for pattern, advice in banned():
            for match in pattern.finditer(passage.text):
                line = passage.line + passage.text.count("\n", 0, match.start())
                found.append(Finding(file, line, " ".join(match.group().split()), advice))
        if passage.docstring and (match := OPENING.match(passage.text)):
            found.append(
                Finding(file, passage.line, match.group().strip(), "do not open a docstring with a preposition")
            )
    return found


def _passages(file: Path) -> Iterator[Passage]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        yield Passage(1, CODE.sub(lambda code: "\n" * code.group().count("\n") + "x", text))
    elif file.suffix == ".py":
        yield from _comments(text)
        yield from _strings(text)
    else:
        yield from _blocks(
            [(at, line.partition("# ")[2]) for at, line in enumerate(text.splitlines(), 1) if "# " in line]
        )


def _comments(source: str) -> Iterator[Passage]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = [(token.start[0], token.string.lstrip("#")) for token in tokens if token.type == tokenize.COMMENT]
    yield from _blocks(lines)


def _blocks(lines: Sequence[tuple[int, str]]) -> Iterator[Passage]:
    """Join the comments of neighbouring lines."""
    block: list[tuple[int, str]] = []
    for number, text in lines:
        if block and number != block[-1][0] + 1:
            yield Passage(block[0][0], "\n".join(text for _, text in block))
            block = []
        block.append((number, text))
    if block:
        yield Passage(block[0][0], "\n".join(text for _, text in block))


def _strings(source: str) -> Iterator[Passage]:
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and TEXT.search(node.value):
            text = CODE.sub("x", node.value) if node in docstrings else node.value
            yield Passage(node.lineno, text, docstring=node in docstrings)


def main(arguments: Sequence[str]) -> int:
    """Print the findings in the given files, or in all; return 1 if there are any."""
    chosen = [Path(name).resolve() for name in arguments] or files()
    every = set(files())
    found = [finding for file in chosen if file in every for finding in findings(file)]
    print("\n".join(map(str, found)))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
