"""One self-contained HTML document: everything inline, and a policy that forbids every request."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' "
    "rx='8' fill='%232f5d9b'/%3E%3Cpath d='M12 9v14l11-7z' fill='white'/%3E%3C/svg%3E"
)


def asset(name: str) -> str:
    """The text of a file that comes with the package: player.js, page.css or three-LICENSE.txt."""
    return (resources.files("mdtool.page") / "assets" / name).read_text("utf-8")


def data_block(identifier: str, data: Any) -> str:
    """A JSON script element that no content can break out of."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{identifier}">{text}</script>'


def document(title: str, body: str, data: Any, styles: Sequence[str] = ("page.css",)) -> str:
    """The whole page.

    Args:
        title: plain text for the window and the tab.
        body: HTML between <body> and </body>; no scripts and no style attributes, since the policy blocks them.
        data: what the player reads, as JSON; None for a page without a player.
        styles: style sheets of the package.
    """
    style = "\n".join(asset(name) for name in styles)
    script = escaped_script(asset("player.js")) if data is not None else ""
    blocks = f"{data_block('mdtool-motions', data)}\n<script>{script}</script>" if script else ""
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<link rel="icon" href="{ICON}">
<style>{style}</style>
</head>
<body>
{body}
{blocks}
</body>
</html>
"""


def escaped_script(text: str) -> str:
    """JavaScript whose string literals cannot end the script element, nor open a comment in it."""
    return re.sub(r"<(?=/script|script|!--)", r"\\x3C", text, flags=re.IGNORECASE)


def _digest(text: str) -> str:
    """What a content security policy calls an inline block by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
