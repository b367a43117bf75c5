"""The page asks for nothing and lets nothing break out; the shipped player is the one in the sources."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

from mdtool.page.document import asset, data_block, document, escaped_script

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 & é"


class Reader(HTMLParser):
    """Collects inline blocks, and every attribute that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[str, dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self.policy = ""
        self.inline_styles = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.addresses += [str(named[key]) for key in ("src", "href", "action", "poster", "srcset") if key in named]
        self.inline_styles += "style" in named
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(named["content"])
        if tag in ("script", "style"):
            self.blocks.append((tag, named, ""))

    def handle_data(self, text: str) -> None:
        if self.cdata_elem in ("script", "style"):
            tag, named, before = self.blocks[-1]
            self.blocks[-1] = (tag, named, before + text)


@pytest.fixture(scope="module")
def page() -> Reader:
    reader = Reader()
    reader.feed(document(HOSTILE, "<main>words</main>", {"name": HOSTILE}))
    return reader


def test_nothing_is_fetched(page: Reader) -> None:
    assert all(address.startswith("data:") for address in page.addresses)
    styles = " ".join(text for tag, _, text in page.blocks if tag == "style")
    assert "url(" not in styles
    assert "@import" not in styles
    assert "default-src 'none'" in page.policy
    assert "connect-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    assert not page.inline_styles


def test_the_policy_allows_exactly_the_blocks_of_the_page(page: Reader) -> None:
    inline = [(tag, text) for tag, named, text in page.blocks if named.get("type") != "application/json"]
    assert [tag for tag, _ in inline] == ["style", "script"]
    for tag, text in inline:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.policy


def test_no_content_breaks_out(page: Reader) -> None:
    (data,) = [text for _, named, text in page.blocks if named.get("type") == "application/json"]
    assert json.loads(data) == {"name": HOSTILE}
    assert len(page.blocks) == 3


def test_a_page_without_data_has_no_script() -> None:
    assert "<script" not in document("words", "<main></main>", None)


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        data_block("x", float("nan"))


def test_strings_of_the_script_cannot_end_it() -> None:
    assert escaped_script("a='</script>';b='<SCRIPT';c='<!--'") == r"a='\x3C/script>';b='\x3CSCRIPT';c='\x3C!--'"


def test_the_bundle_is_built_from_the_sources() -> None:
    folder = Path(str(resources.files("mdtool.page") / "player"))
    digest = hashlib.sha256()
    for source in sorted(path for path in folder.iterdir() if path.suffix == ".js" or path.name == "package.json"):
        digest.update(source.read_bytes())
    bundle = asset("player.js")
    assert f"sources sha256 {digest.hexdigest()};" in bundle.splitlines()[0], "npm run build in mdtool/page/player"
    assert "three.js" in asset("three-LICENSE.txt")


def test_player_files_stay_short() -> None:
    folder = Path(str(resources.files("mdtool.page") / "player"))
    assert not [path.name for path in folder.glob("*.js") if len(path.read_text("utf-8").splitlines()) > 400]


def test_light_and_dark_colours_are_the_same_set() -> None:
    for name in ("page.css", "report.css"):
        light, dark = [
            set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", asset(name), re.S)
        ]
        assert dark <= light
        assert light - dark <= {"--radius", "--tight"}
