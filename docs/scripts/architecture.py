"""Draw docs/assets/architecture.svg from the import contracts in pyproject.toml: python docs/scripts/architecture.py"""

import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "assets" / "architecture.svg"
SUBJECTS = {
    "search": "how to search",
    "snnkit": "what is searched over",
    "reports": "what came out",
}
WIDTH, ROW, TOP, GAP = 220, 30, 76, 24
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1a2027}.name{font-weight:600;font-size:15px}.subject{fill:#586470}"
    ".package{fill:#f7f9fa;stroke:#0b6a8c}.folder{fill:#fff;stroke:#c3ccd3}"
)


def layers() -> dict[str, list[str]]:
    """Return the folders of each package, upper first, as the import contracts list them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        contract["containers"][0]: contract["layers"]
        for contract in contracts
        if contract["type"] == "layers" and contract.get("containers")
    }


def draw() -> str:
    """Return the picture: one box per package, one row per folder. An arrow means that imports go down only."""
    found = layers()
    height = TOP + ROW * max(map(len, found.values())) + 56
    width = len(found) * (WIDTH + GAP) + GAP
    boxes = [_package(at, name, folders, height) for at, (name, folders) in enumerate(found.items())]
    note = f'<text class="subject" x="{GAP}" y="{height - 12}">A folder imports only folders below it. {_rule()}</text>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, f"<title>Packages and folders</title><style>{STYLE}</style>", *boxes, note, "</svg>\n"])


def _rule() -> str:
    return "search imports snnkit and reports; these import nothing of the project."


def _package(at: int, name: str, folders: list[str], height: int) -> str:
    x = GAP + at * (WIDTH + GAP)
    rows = "".join(_folder(x + 12, TOP + row * ROW, folder) for row, folder in enumerate(folders))
    return (
        f'<rect class="package" x="{x}" y="12" width="{WIDTH}" height="{height - 50}" rx="8"/>'
        f'<text class="name" x="{x + 12}" y="36">{escape(name)}/</text>'
        f'<text class="subject" x="{x + 12}" y="56">{escape(SUBJECTS[name])}</text>{rows}'
    )


def _folder(x: int, y: int, name: str) -> str:
    return (
        f'<rect class="folder" x="{x}" y="{y}" width="{WIDTH - 24}" height="{ROW - 6}" rx="4"/>'
        f'<text x="{x + 10}" y="{y + 17}">{escape(name)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
