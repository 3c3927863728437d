"""Read a YAML file into plain values that remember their lines, and write such values as YAML.

Only the part of YAML that a space needs is accepted: mappings with text keys, lists, and the scalars of YAML 1.2's core
schema (``no`` is a word, ``1e-3`` a number, ``010`` ten). Tags, anchors, aliases, merge keys, duplicate keys and second
documents are refused, so that loading a file constructs nothing but text, numbers, true, false and null, and the result
is never larger than the file. Size, depth and number of entries are limited, so that any file is read or refused within
seconds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from yaml import events

from search.errors import Keys, Place, Problem, SpaceError, dotted
from search.space.yaml_text import Loader, invisible_character, misleading_character, number_with_comma

Tree = bool | int | float | str | None | list["Tree"] | dict[str, "Tree"]

SET = Place("--set")
TEXT = "<text>"  # in place of a file's name, of YAML that is no file of the user's
MAX_BYTES = 2**20  # the shipped files have 2 to 13 KB with all defaults written out
MAX_DEPTH = 12  # a space has five levels
MAX_CHILDREN = 1000  # entries of one mapping or list; the shipped files have 33 at most
MAX_FILE_ENTRIES = 20_000  # the shipped files have 100 to 800; the network of one finalist has up to 230
MAX_TEXT_ENTRIES = 2 * MAX_FILE_ENTRIES  # a text may be such a file with all defaults written out
MAX_KEY_CHARACTERS = 200
_INT = re.compile(r"(?=.{1,32}$)[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, bool | None] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_WORDS |= {"FALSE": False, "null": None, "Null": None, "NULL": None, "~": None, "": None}


@dataclass(frozen=True)
class Document:
    """A mapping and the place of every key and list entry in it."""

    file: str
    tree: dict[str, Tree]
    places: dict[Keys, Place] = field(default_factory=dict)

    def place(self, keys: Keys) -> Place:
        """Return where ``keys`` is written; if it is not, where the nearest mapping around it is."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return Place(self.file, 1)

    def has(self, keys: tuple[str, ...]) -> bool:
        """Return whether the document holds a mapping at ``keys``."""
        tree: Tree = self.tree
        for key in keys:
            tree = tree.get(key) if isinstance(tree, dict) else None
        return isinstance(tree, dict)

    def overlaid(self, keys: tuple[str, ...], value: Tree, written: Keys) -> "Document":
        """Return a copy with ``value`` at ``keys``. Its places are those at ``written``, or ``--set`` if empty."""
        places = {at: place for at, place in self.places.items() if at[: len(keys)] != keys}
        if written:
            inside = {at: place for at, place in self.places.items() if at[: len(written)] == written}
            places |= {(*keys, *at[len(written) :]): place for at, place in inside.items()}
        else:
            places[keys] = SET
        return replace(self, tree=with_value(self.tree, keys, value), places=places)

    def without(self, section: str) -> "Document":
        """Return a copy without ``section``, whose places are still known."""
        return replace(self, tree={key: value for key, value in self.tree.items() if key != section})


def with_value(tree: Mapping[str, Tree], keys: tuple[str, ...], value: Tree) -> dict[str, Tree]:
    """Return a copy of ``tree`` with ``value`` at ``keys``; mappings on the way are created."""
    first, rest = keys[0], keys[1:]
    if not rest:
        return {**tree, first: value}
    below = tree.get(first)
    return {**tree, first: with_value(below if isinstance(below, dict) else {}, rest, value)}


def read(path: Path) -> Document:
    """Return the file at ``path``. Raises SpaceError if it cannot be read or is not a YAML mapping."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _file_error(str(path), _why_unreadable(path, error)) from None
    if len(data) > MAX_BYTES:
        raise _file_error(str(path), f"more than {MAX_BYTES // 2**20} MiB; a space is a small text file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _file_error(str(path), "not text in UTF-8; a space is a YAML text file", line) from None
    return parse(text, str(path), MAX_FILE_ENTRIES)


def parse(text: str, file: str = TEXT, max_entries: int = MAX_TEXT_ENTRIES) -> Document:
    """Return ``text`` as a document. Raises SpaceError if it is not a YAML mapping."""
    document = Document(file, {})
    tree = _parse(text, file, document.places, max_entries)
    if tree is None:
        raise _file_error(file, "empty; a space has at least study, network and data: see docs/space/index.md")
    if not isinstance(tree, dict):
        raise _file_error(file, f"a {_kind(tree)} at the top level; a space is a mapping such as 'study: {{...}}'")
    document.tree.update(tree)
    return document


def parse_value(text: str, place: Place) -> Tree:
    """Return one value as given to ``--set``: ``3``, ``adamw``, ``[4, 8]``, ``{low: 8, high: 64, step: 8}``."""
    return _parse(text, str(place), {}, MAX_FILE_ENTRIES)


def _parse(text: str, file: str, places: dict[Keys, Place], max_entries: int) -> Tree:
    try:
        return _Reader(text, file, places, max_entries).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _file_error(file, "a character that no text has; a space is a text file", line) from None
    except yaml.MarkedYAMLError as error:
        unclosed = any(word in str(error.context) for word in ("flow", "quoted"))  # show where the bracket was opened
        mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _misleading(text, file, line) or _file_error(file, _syntax(error), line) from None


def _misleading(text: str, file: str, line: int) -> SpaceError | None:
    """Return an error that names a misleading character in or beside ``line``; None if there is none."""
    lines = text.splitlines()
    for near in (line, line - 1, line + 1):
        if 1 <= near <= len(lines) and (hint := misleading_character(lines[near - 1])):
            return _file_error(file, hint, near)
    return None


class _Reader:
    """Build the tree from PyYAML's parser events, so that no Python object other than plain values is constructed."""

    def __init__(self, text: str, file: str, places: dict[Keys, Place], max_entries: int) -> None:
        self._file = file
        self._events = self._parsed(text)
        self._places = places
        self._entries = 0
        self._max_entries = max_entries

    def _parsed(self, text: str) -> Iterator[events.Event]:
        line = 1
        try:
            for event in yaml.parse(text, Loader=Loader):
                line = event.end_mark.line + 1 if event.end_mark else line
                yield event
        except (ValueError, OverflowError) as error:  # PyYAML passes unchecked numbers to chr() and int()
            text = f"no YAML from here on: {error}; look for a wrong escape, such as \\U00110000, in quotes"
            raise _file_error(self._file, text, line) from None

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
        if len(keys) > MAX_DEPTH:
            raise self._error(event, keys[:3], f"nested more than {MAX_DEPTH} levels deep; a space has five")
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(keys)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(keys)
        assert isinstance(event, events.ScalarEvent)  # nothing else starts a value
        return self._scalar(event, keys)

    def _mapping(self, keys: Keys) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
            key = self._key(event, keys, tree)
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
            self._check_comma(event, keys, tree[-1] if tree else None)
            tree.append(self._value(event, inner))
        return tree

    def _check_comma(self, event: events.Event, keys: Keys, before: Tree) -> None:
        """Refuse ``0,01``, which YAML reads as the entry 0 and then 1: no one writes 1 as 01."""
        digits = event.value if isinstance(event, events.ScalarEvent) and event.style is None else ""
        if type(before) is int and digits.isdecimal() and len(digits) > 1 and digits[0] == "0":
            raise self._error(event, keys, _comma_text(f"{before},{digits}"))

    def _count(self, event: events.Event, keys: Keys, siblings: int) -> None:
        """Count one more entry of a mapping or list that has ``siblings`` entries so far."""
        self._entries += 1
        if siblings == MAX_CHILDREN:
            raise self._error(event, keys, f"more than {MAX_CHILDREN:,} entries; remove some")
        if self._entries > self._max_entries:
            raise self._error(event, keys, f"more than {self._max_entries:,} entries in all; a space has some hundreds")

    def _key(self, event: events.Event, keys: Keys, before: Mapping[str, Tree]) -> str:
        """Return the key of ``event`` in a mapping whose entries so far are ``before``."""
        if isinstance(event, events.MappingStartEvent | events.SequenceStartEvent):
            raise self._error(event, keys, "a list or mapping as a key; a key is a word")
        key = self._value(event, keys)
        if key == "<<":
            raise self._error(event, keys, "the merge key '<<'; write the values out")
        if not isinstance(key, str):
            last = list(before)[-1:]
            number = before[last[0]] if last else None
            if type(number) is int and isinstance(event, events.ScalarEvent) and event.value.isdecimal():
                raise self._error(event, (*keys, *last), _comma_text(f"{number},{event.value}"))
            raise self._error(event, keys, f"the key {key!r} is no text; put it in quotes")
        if len(key) > MAX_KEY_CHARACTERS:
            raise self._error(event, keys, f"a key of {len(key):,} characters; a key is a word")
        return key

    def _scalar(self, event: events.ScalarEvent, keys: Keys) -> Tree:
        text = event.value
        value = plain(text) if event.style is None else text  # quoted, or a block of text
        if isinstance(value, float) and abs(value) > 1e300:
            raise self._error(event, keys, f"the number {text} is too large")
        if event.style is None and (hint := invisible_character(text)):
            raise self._error(event, keys, f"{text!r} has {hint}")
        return value

    def _error(self, event: events.Event, keys: Keys, text: str) -> SpaceError:
        return SpaceError([Problem(self._place(event), dotted(keys), text)])

    def _place(self, event: events.Event) -> Place:
        return Place(self._file, event.start_mark.line + 1 if event.start_mark else 1)


def plain(text: str) -> Tree:
    """Return the value of a scalar that is written without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text.replace("_", "")) if _FLOAT.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):
    """Write a dial or a small mapping on one line, and quote text that would be read back as another value."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        safe = plain(data) == data and data.isprintable()  # PyYAML folds some line breaks in unquoted text
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if safe else '"')

    def represent_tree(self, data: dict[str, object]) -> yaml.MappingNode:
        flow = len(str(data)) < 110 and not any(isinstance(value, dict) for value in data.values())
        return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=flow)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(dict, _Dumper.represent_tree)


def dump(tree: Mapping[str, object]) -> str:
    """Return YAML that `parse` reads back as ``tree``; mappings and lists of scalars take one line each."""
    return yaml.dump(tree, Dumper=_Dumper, default_flow_style=None, sort_keys=False, width=120, allow_unicode=True)


def _kind(tree: Tree) -> str:
    names = {bool: "true or false", int: "number", float: "number", str: "text", list: "list", dict: "mapping"}
    return names.get(type(tree), "nothing")


def _file_error(file: str, text: str, line: int | None = None) -> SpaceError:
    return SpaceError([Problem(Place(file, line), "", text)])


def _why_unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        beside = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        there = f"in that folder: {', '.join(beside[:8])}" if beside else "check the path"
        return f"no such file; {there}, or see the shipped ones: snnsearch spaces"
    if isinstance(error, IsADirectoryError):
        return "a folder; name a YAML file in it"
    return f"cannot be read: {error.strerror}"


def _comma_text(given: str) -> str:
    return f"given {given}; a comma separates entries, so write {number_with_comma(given)}"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "cannot be parsed")
    if "'\\t'" in problem:
        return "a tab as indentation; YAML is indented with spaces"
    if "quoted" in str(error.context):
        return "a quote that is not closed; close it, or double the quotes inside"
    if "flow" in str(error.context):
        return f"a bracket that is not closed as it should be ({problem}); look for a missing ',', '}}' or ']'"
    if "mapping values are not allowed" in problem:
        return "a ':' where none can stand; indent with care, and put text that holds ': ' in quotes"
    if "could not find expected ':'" in problem:
        return "a key without ':'; write 'key: value'"
    return f"no YAML: {problem}; check the indentation and quotes above this line"
