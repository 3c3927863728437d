"""Draw the output of a finished command as a terminal: an SVG for the README.

snnsearch launch spaces/smoke.yaml > out.txt
python docs/scripts/record.py "snnsearch launch spaces/smoke.yaml" out.txt docs/assets/first-run.svg
"""

import argparse
import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
WEB_FONT = re.compile(r"@font-face\s*{.*?}\s*", re.DOTALL)  # rich asks another host for it; an image may not


def draw(command: str, output: str, width: int = WIDTH) -> str:
    """Return an SVG that shows a prompt with ``command`` and the lines of ``output`` below it."""
    console = Console(record=True, file=io.StringIO(), width=width, force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    for line in output.splitlines():
        console.print(_coloured(line), soft_wrap=True)
    return WEB_FONT.sub("", console.export_svg(title=command))


def _coloured(line: str) -> Text:
    text = Text.from_ansi(line)
    text.highlight_regex(r"on the front", "bold cyan")
    text.highlight_regex(r"(stopped|duplicate|refused|failed): .*", "dim")
    text.highlight_regex(r"^(study|search|data|training|on|until|files|front|report|continue) ", "dim")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="The command as typed.")
    parser.add_argument("output", type=Path, help="File with the command's output.")
    parser.add_argument("svg", type=Path, help="File to write.")
    given = parser.parse_args()
    given.svg.write_text(draw(given.command, given.output.read_text(encoding="utf-8")), encoding="utf-8")
