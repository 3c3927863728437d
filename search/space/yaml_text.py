"""What PyYAML lacks: tabs between tokens, and hints about characters that people paste without seeing them."""

import re
import unicodedata

import yaml

_BREAKS = "\0\r\n\x85\u2028\u2029"
_LOOKALIKES = {
    "：": ":", "，": ",", "、": ",", "｛": "{", "｝": "}", "［": "[", "］": "]", "＃": "#", "－": "-",
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'",
}  # fmt: skip
_NUMBER_WITH_COMMA = re.compile(r"([-+]?\d+),(\d+)")


class Loader(yaml.SafeLoader):
    """PyYAML's loader that also accepts tabs where YAML 1.2 does: between tokens, but not as indentation."""

    def scan_to_next_token(self) -> None:
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        indenting = not self.buffer[self.pointer - self.column : self.pointer].strip()
        while True:
            if self.peek() == " ":
                self.forward()
            elif self.peek() == "\t" and (not indenting or self.flow_level or self._is_blank_line()):
                self.forward()
                self.allow_simple_key = self.allow_simple_key and bool(self.flow_level)  # no mapping starts after a tab
            elif self.peek() == "#":
                while self.peek() not in _BREAKS:
                    self.forward()
            elif self.scan_line_break():  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it out
                indenting = True
                if not self.flow_level:
                    self.allow_simple_key = True
            else:
                return

    def _is_blank_line(self) -> bool:
        """Return whether only spaces and tabs are left on the line, or a comment."""
        ahead = 0
        while self.peek(ahead) in " \t":
            ahead += 1
        return self.peek(ahead) in f"{_BREAKS}#"


def invisible_character(text: str) -> str | None:
    """Describe the first character of ``text`` that looks like a space or like nothing; None if there is none."""
    found = next((letter for letter in text if letter != " " and unicodedata.category(letter) in ("Zs", "Cf")), None)
    if found is None:
        return None
    remedy = "replace it with a plain space" if unicodedata.category(found) == "Zs" else "remove it"
    return f"an invisible character (U+{ord(found):04X}, {unicodedata.name(found, 'unnamed').lower()}); {remedy}"


def misleading_character(line: str) -> str | None:
    """Describe the first invisible character of ``line``, or one that only looks like YAML; None if it has none."""
    if hint := invisible_character(line):
        return hint
    found = next((letter for letter in line if letter in _LOOKALIKES), None)
    return found and f"the character {found} (U+{ord(found):04X}), which YAML does not know; write {_LOOKALIKES[found]}"


def number_with_comma(text: str) -> str | None:
    """Return how to write a number that ``text`` gives with a comma, such as ``1,000`` or ``0,01``; else None."""
    match = _NUMBER_WITH_COMMA.fullmatch(text)
    if match is None:
        return None
    whole, rest = match.groups()
    if len(rest) == 3 and whole.lstrip("+-") != "0":
        return f"{whole}{rest} (or {whole}_{rest}), or {whole}.{rest} if it is a decimal"
    return f"{whole}.{rest}"
