"""Read the ``candidates`` section of a space: named candidates, each with the values of its dials."""

from collections.abc import Mapping

from pydantic import ValidationError

from reports.records.study import Leaf
from search.errors import Keys, dotted, format_validation, format_value, nearest
from search.space.dials import FAMILY
from search.space.document import SET, Tree
from search.space.loading.problems import Problems, as_strict
from search.space.loading.schema import is_known
from search.space.template import SECTIONS, Params, Template, value_at
from snnkit.architecture.plan import PlanError


def read_candidates(template: Template, problems: Problems) -> dict[str, dict[str, Leaf]]:
    """Return the named candidates with a value for each dial that counts: as written, or else the default."""
    tree = problems.document.tree.get("candidates", {})
    if not isinstance(tree, dict):
        problems.add(("candidates",), f"given {format_value(tree)}; write {{name: {{path: value}}}}")
        return {}
    reader = _Reader(template, problems)
    for name, given in tree.items():
        if not name.strip() or len(name) > 40 or not name.isprintable():
            problems.add(("candidates", name), "a name has 1 to 40 printable characters; choose another")
        elif not isinstance(given, dict):
            text = f"given {format_value(given)}; write {{path: value}}, or {{}} for all defaults"
            problems.add(("candidates", name), text)
        else:
            reader.add(name, given)
    return reader.candidates


class _Reader:
    def __init__(self, template: Template, problems: Problems) -> None:
        self._template = template
        self._problems = problems
        self._dials = {dial.path: dial for dial in template.dials}
        self._names: dict[str, str] = {}  # fingerprint of a candidate -> its name
        self.candidates: dict[str, dict[str, Leaf]] = {}

    def add(self, name: str, given: Mapping[str, Tree]) -> None:
        """Complete and check one candidate."""
        keys: Keys = ("candidates", name)
        before = len(self._problems.found)
        params = self._complete(keys, self._read_values(keys, given))
        if len(self._problems.found) > before:
            return
        try:
            candidate = self._template.build(params)
            candidate.plan()
        except ValidationError as error:
            self._add_problem(keys, format_validation(error))
        except PlanError as error:
            self._add_problem(keys, f"does not build: {error}")
        else:
            self.candidates[name] = params
            first = self._names.setdefault(candidate.fingerprint, name)
            if first != name:
                self._add_problem(keys, f"equal to candidate {first}; remove one of the two")

    def _read_values(self, keys: Keys, given: Mapping[str, Tree]) -> dict[str, Leaf]:
        """Return the named dials at values that they can have."""
        values: dict[str, Leaf] = {}
        for path, value in given.items():
            if path not in self._dials:
                if text := self._not_a_dial(path, value):
                    self._add_problem((*keys, path), text)
                continue
            try:
                values[path] = self._dials[path].canonical(value)
            except ValueError as error:
                self._add_problem((*keys, path), str(error))
        return values

    def _not_a_dial(self, path: str, value: Tree) -> str:
        """Return why a candidate cannot name ``path``; empty if the space fixes it at this very value."""
        words = tuple(path.split("."))
        if words[0] not in SECTIONS or not is_known(words, self._template.models):
            return f"no such dial{nearest(path, self._dials)}"
        fixed = value_at(self._template.base(words[0]), path)
        if fixed == as_strict(value) and isinstance(fixed, bool) == isinstance(value, bool):
            return ""
        given = format_value(fixed)
        if self._problems.document.place(words) == SET:
            return f"--set fixes it at {given}; leave that out, or run no named candidates: --set candidates={{}}"
        return f"not a dial: this space has it at {given}; remove this line, or make it a dial in its section"

    def _complete(self, keys: Keys, values: Params) -> dict[str, Leaf]:
        """Return all dials that count: those with ``values``, and the others at their defaults."""
        params: dict[str, Leaf] = {}
        for path, dial in self._dials.items():
            if unmet := dial.unmet(params):
                if path in values:
                    self._add_problem((*keys, path), f"{_inactive(*unmet[0])} here; remove one of the two lines")
            elif path in values:
                params[path] = values[path]
            elif dial.default is not None:
                params[path] = dial.default
            else:
                text = f"{path} is not given and has no default; name it here, or give the dial a default"
                self._add_problem(keys, text)
        return params

    def _add_problem(self, keys: Keys, text: str) -> None:
        path = ": ".join([dotted(keys[:2]), *map(str, keys[2:])])
        self._problems.add_at(self._problems.document.place(keys), path, text)


def _inactive(path: str, value: Leaf) -> str:
    """Return why a dial does not count that needs ``path`` at ``value``."""
    if path == FAMILY:
        return f"belongs to {value}, which {path} does not choose"
    return f"lies in a module that {path} removes"
