"""A record that somebody made to harm whoever looks at it: every text in it, and every key, is a payload."""

from typing import Any, TypeVar

from pydantic import BaseModel

PAYLOADS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "[x](javascript:alert(1))",
    "`<img src=x onerror=alert(1)>",
    "|<svg onload=alert(1)>|\n# <b>",
    "<!--",
    "]]></style></title><script>alert(1)</script>\u2028",
    "$title {box} ${alert(1)} &lt;script&gt;",
    "=HYPERLINK(1)",
    "[/b][link=javascript:alert(1)]",
    "\x1b]0;owned\x07\x1b[2J\r\x9b31m",
)
FIXED = {"status", "state", "direction", "kind", "version"}  # fields of a few allowed words
M = TypeVar("M", bound=BaseModel)


def hostile(record: M, payload: str) -> M:
    return type(record).model_validate(_spoilt(record, payload))


def _spoilt(value: Any, payload: str) -> Any:
    if isinstance(value, str):
        return payload + value
    if isinstance(value, BaseModel):
        return {name: below if name in FIXED else _spoilt(below, payload) for name, below in value}
    if isinstance(value, dict):
        return {payload + key: _spoilt(below, payload) for key, below in value.items()}
    return tuple(_spoilt(below, payload) for below in value) if isinstance(value, tuple) else value
