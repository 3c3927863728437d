"""Write docs/space/reference.md from the pydantic models: python docs/scripts/space_reference.py"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from search.benchmark import sections as benchmark
from search.space.sections import StudySection
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.energy import EnergyConfig
from snnkit.families import FAMILIES
from snnkit.training.recipe import Recipe

PAGE = Path(__file__).parents[1] / "space" / "reference.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "study": StudySection,
    "neuron": NeuronConfig,
    "encoding": EncodingConfig,
    "train": Recipe,
    "data": DataChoice,
    "energy": EnergyConfig,
    "benchmark": benchmark.BenchmarkSection,
} | {f"network: {name}": family.design for name, family in FAMILIES.items()}
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
INTRODUCTION = """# Space reference

`python docs/scripts/space_reference.py` writes this page from the models. It lists every key of a space with its type,
default and bounds. A key with the default "by geometry" takes its value from the chosen `geometry` of the family.
"""

Schema = Mapping[str, Any]


def render() -> str:
    """Return the whole page as Markdown."""
    return "\n".join([INTRODUCTION, *(_section(name, model) for name, model in SECTIONS.items())])


def _section(name: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    parts = dict(_parts(schema))
    lines = [f"## {name}", "", _paragraph(model.__doc__), "", *_table(schema, parts)]
    for part, definition in parts.items():
        lines += [
            "",
            f"### {name}: {part}",
            "",
            _paragraph(definition.get("description")),
            "",
            *_table(definition, parts),
        ]
    return "\n".join([*lines, ""])


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the models that the section nests, by name."""
    for part, definition in schema.get("$defs", {}).items():
        if "properties" in definition:
            yield part, definition


def _table(schema: Schema, parts: Mapping[str, Schema]) -> list[str]:
    required = schema.get("required", ())
    rows = [
        f"| `{key}` | {_type(field)} | {_default(field, needed=key in required)} | {_bounds(field)} "
        f"| {_cell(_meaning(field, parts))} |"
        for key, field in schema["properties"].items()
    ]
    return ["| key | type | default | bounds | meaning |", "|---|---|---|---|---|", *rows]


def _meaning(field: Schema, parts: Mapping[str, Schema]) -> str:
    """Return the field's description; pydantic leaves it out if the nested model has the same one."""
    part = parts.get(field.get("$ref", "").rsplit("/")[-1], {})
    return str(field.get("description", part.get("description", "")))


def _alternatives(field: Schema) -> list[Schema]:
    return list(field.get("anyOf", (field,)))


def _type(field: Schema) -> str:
    return " or ".join(dict.fromkeys(_plain(each) for each in _alternatives(field)))


def _plain(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return field["$ref"].rsplit("/")[-1]
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    names |= {"array": "list", "object": "mapping", "null": "null"}
    return names.get(field.get("type", ""), "any value")


def _default(field: Schema, *, needed: bool) -> str:
    if needed:
        return "by geometry" if "examples" not in field else f"required, for example `{field['examples'][0]}`"
    value = field.get("default", "")
    if value == "" or isinstance(value, dict):
        return ""
    return f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounds(field: Schema) -> str:
    found = []
    for each in _alternatives(field):
        found += [text.format(f"{each[name]:,}") for name, text in BOUNDS.items() if name in each]
    return ", ".join(dict.fromkeys(found))


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split()).replace("``", "`")


def _cell(text: str) -> str:
    return _paragraph(text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
