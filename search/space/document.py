"""A YAML file as plain values that remember their lines.

Only what a space needs is read: mappings with text keys, lists, and the scalars of YAML 1.2's core schema (so ``no`` is
a word, ``1e-3`` a number and ``010`` ten). Tags, anchors, aliases, merge keys, duplicate keys and second documents are
refused: nothing is constructed but text, numbers, true, false and null, and nothing can grow beyond the file's size.
What a file may hold is bounded too, so that it is read or refused in seconds, whatever it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml import events

from search.errors import Place, Problem, SpaceError

Tree = bool | int | float | str | None | list["Tree"] | dict[str, "Tree"]
Keys = tuple[str | int, ...]

MOST_BYTES = 2**20  # the shipped files have 2 to 13 KB, defaults written out
MOST_DEPTH = 12  # a space has five levels
MOST_INSIDE = 1000  # entries of one mapping or list; the shipped files have 33 at most
MOST_ENTRIES = 20_000  # of a file; the shipped ones have 100 to 800, a finalist's network up to 230
MOST_WRITTEN = 2 * MOST_ENTRIES  # of a text, which may be such a file with all defaults written out
MOST_KEY = 200  # characters
_INT = re.compile(r"(?=.{1,32}$)[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, bool | None] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_WORDS |= {"FALSE": False, "null": None, "Null": None, "NULL": None, "~": None, "": None}


@dataclass(frozen=True)
class Document:
    """A mapping, and the place of every key and list entry in it."""

    file: str
    tree: dict[str, Tree]
    places: dict[Keys, Place] = field(default_factory=dict)

    def place(self, keys: Keys) -> Place:
        """Where ``keys`` is written, or else the nearest thing above it that is."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return Place(self.file, 1)


def read(path: Path) -> Document:
    """The file at ``path``; SpaceError where it cannot be read or is no YAML mapping."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _file_error(str(path), _why_unreadable(path, error)) from None
    if len(data) > MOST_BYTES:
        raise _file_error(str(path), f"more than {MOST_BYTES // 2**20} MiB; a space is a small text file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _file_error(str(path), "not text in UTF-8; a space is a YAML text file", line) from None
    return parse(text, str(path), MOST_ENTRIES)


def parse(text: str, file: str = "<text>", most: int = MOST_WRITTEN) -> Document:
    """``text`` as a document; SpaceError where it is no YAML mapping."""
    document = Document(file, {})
    tree = _parse(text, file, document.places, most)
    if tree is None:
        raise _file_error(file, "empty; a space has at least study, network and data: see docs/space/index.md")
    if not isinstance(tree, dict):
        raise _file_error(file, f"a {_kind(tree)} at the top level; a space is a mapping such as 'study: {{...}}'")
    document.tree.update(tree)
    return document


def parse_value(text: str, place: Place) -> Tree:
    """One value as ``--set`` takes it: ``3``, ``adamw``, ``[4, 8]``, ``{low: 8, high: 64, step: 8}``."""
    return _parse(text, str(place), {}, MOST_ENTRIES)


def _parse(text: str, file: str, places: dict[Keys, Place], most: int) -> Tree:
    try:
        return _Reader(text, file, places, most).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _file_error(file, "a character that no text has; a space is a text file", line) from None
    except yaml.MarkedYAMLError as error:
        opened = any(word in str(error.context) for word in ("flow", "quoted"))  # where it began is what to mend
        mark = error.context_mark if opened else error.problem_mark or error.context_mark
        raise _file_error(file, _syntax(error), mark.line + 1 if mark else 1) from None


class _Reader:
    """Builds the tree from the parser's events, so that nothing is constructed which was not asked for."""

    def __init__(self, text: str, file: str, places: dict[Keys, Place], most: int) -> None:
        self._file = file
        self._events = self._parsed(text)
        self._places = places
        self._entries = 0
        self._most = most

    def _parsed(self, text: str) -> Iterator[events.Event]:
        line = 1
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                line = event.end_mark.line + 1 if event.end_mark else line
                yield event
        except (ValueError, OverflowError) as error:  # PyYAML does not look at what it hands to chr() and int()
            told = f"no YAML from here on: {error}; look for a wrong escape, such as \\U00110000, in quotes"
            raise _file_error(self._file, told, line) from None

    def document(self) -> Tree:
        tree: Tree = None
        documents = 0
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, (), "a second document; a file holds one space: remove the '---'")
                tree = self._value(next(self._events), ())
        return tree

    def _value(self, event: events.Event, keys: Keys) -> Tree:
        if isinstance(event, events.NodeEvent) and event.anchor is not None:  # an alias has one too
            raise self._error(event, keys, f"an anchor or alias ({event.anchor!r}); write the value out")
        if isinstance(event, events.ScalarEvent | events.CollectionStartEvent) and event.tag is not None:
            raise self._error(event, keys, f"the tag {event.tag!r}; write a plain value without '!'")
        if len(keys) > MOST_DEPTH:
            raise self._error(event, keys[:3], f"nested more than {MOST_DEPTH} levels deep; a space has five")
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(keys)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(keys)
        assert isinstance(event, events.ScalarEvent)  # nothing else starts a value
        return self._scalar(event, keys)

    def _mapping(self, keys: Keys) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
            key = self._key(event, keys)
            inner = (*keys, key)
            self._count(event, keys, len(tree))
            if key in tree:
                first = self._places[inner].line
                raise self._error(event, inner, f"given twice, first in line {first}; keep one of them")
            self._places[inner] = self._place(event)
            tree[key] = self._value(next(self._events), inner)
        return tree

    def _sequence(self, keys: Keys) -> list[Tree]:
        tree: list[Tree] = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            inner = (*keys, len(tree))
            self._count(event, keys, len(tree))
            self._places[inner] = self._place(event)
            tree.append(self._value(event, inner))
        return tree

    def _count(self, event: events.Event, keys: Keys, inside: int) -> None:
        """One entry more, in a mapping or list that has so many."""
        self._entries += 1
        if inside == MOST_INSIDE:
            raise self._error(event, keys, f"more than {MOST_INSIDE:,} entries; remove some")
        if self._entries > self._most:
            raise self._error(event, keys, f"more than {self._most:,} entries in all; a space has some hundreds")

    def _key(self, event: events.Event, keys: Keys) -> str:
        if isinstance(event, events.MappingStartEvent | events.SequenceStartEvent):
            raise self._error(event, keys, "a list or mapping as a key; a key is a word")
        key = self._value(event, keys)
        if key == "<<":
            raise self._error(event, keys, "the merge key '<<'; write the values out")
        if not isinstance(key, str):
            raise self._error(event, keys, f"the key {key!r} is no text; put it in quotes")
        if len(key) > MOST_KEY:
            raise self._error(event, keys, f"a key of {len(key):,} characters; a key is a word")
        return key

    def _scalar(self, event: events.ScalarEvent, keys: Keys) -> Tree:
        text = event.value
        value = plain(text) if event.style is None else text  # quoted, or a block of text
        if isinstance(value, float) and abs(value) > 1e300:
            raise self._error(event, keys, f"the number {text} is too large")
        return value

    def _error(self, event: events.Event, keys: Keys, text: str) -> SpaceError:
        return SpaceError([Problem(self._place(event), dotted(keys), text)])

    def _place(self, event: events.Event) -> Place:
        return Place(self._file, event.start_mark.line + 1 if event.start_mark else 1)


def plain(text: str) -> Tree:
    """What a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text.replace("_", "")) if _FLOAT.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes where something else would be read back, and a dial or a small mapping on one line."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        safe = plain(data) == data and data.isprintable()  # PyYAML folds some line breaks where they stand plain
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if safe else '"')

    def represent_tree(self, data: dict[str, object]) -> yaml.MappingNode:
        flow = len(str(data)) < 110 and not any(isinstance(value, dict) for value in data.values())
        return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=flow)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(dict, _Dumper.represent_tree)


def dump(tree: Mapping[str, object]) -> str:
    """YAML that `parse` reads back as ``tree``; what has no mapping or list inside stands on one line."""
    return yaml.dump(tree, Dumper=_Dumper, default_flow_style=None, sort_keys=False, width=120, allow_unicode=True)


def dotted(keys: Keys) -> str:
    """``network.fire5.keep``, ``reference[2].label``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _kind(tree: Tree) -> str:
    names = {bool: "true or false", int: "number", float: "number", str: "text", list: "list", dict: "mapping"}
    return names.get(type(tree), "nothing")


def _file_error(file: str, text: str, line: int | None = None) -> SpaceError:
    return SpaceError([Problem(Place(file, line), "", text)])


def _why_unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        beside = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        return "no such file" + (f"; in that folder: {', '.join(beside[:8])}" if beside else "; check the path")
    if isinstance(error, IsADirectoryError):
        return "a folder; name a YAML file in it"
    return f"cannot be read: {error.strerror}"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "cannot be parsed")
    if "'\\t'" in problem:
        return "a tab; YAML is indented with spaces"
    if "quoted" in str(error.context):
        return "a quote that is not closed; close it, or double the quotes inside"
    if "flow" in str(error.context):
        return f"a bracket that is not closed as it should be ({problem}); look for a missing ',', '}}' or ']'"
    if "mapping values are not allowed" in problem:
        return "a ':' where none can stand; indent with care, and put text that holds ': ' in quotes"
    if "could not find expected ':'" in problem:
        return "a key without ':'; write 'key: value'"
    return f"no YAML: {problem}; check the indentation and quotes above this line"
