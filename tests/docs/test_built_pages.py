"""The built pages stand alone: no page asks for anything that is not in the folder, and the search works there."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from conftest import Docs

NEEDED = ("sphinx", "furo", "myst_parser", "sphinx_copybutton")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="the pages are built, and looked at, by nox -s docs",
)

LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
"""What a browser loads by itself, by element and attribute; a link it follows only when somebody clicks."""
LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


class Resources(HTMLParser):
    """Collects the addresses that a page loads, and where it links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes of an element."""
        values = dict(attrs)
        self.ids |= {values["id"] or ""} if "id" in values else set()
        self.loaded += [value for name in LOADED.get(tag, ()) if (value := values.get(name))]
        if tag == "link" and LINKS & set((values.get("rel") or "").split()):
            self.loaded.append(values.get("href") or "")
        if tag == "a" and values.get("href"):
            self.linked.append(values["href"] or "")


@pytest.fixture(scope="module")
def site(docs: Docs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as ``nox -s docs`` builds them."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "-n", "--keep-going", "-q", "-b", "html", "-d", str(folder / ".doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(docs.root / "docs"), str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def outside(address: str) -> bool:
    """Say whether an address leads out of the folder."""
    return bool(urlsplit(address).scheme not in {"", "data"} or urlsplit(address).netloc)


def test_no_page_asks_for_anything_outside(site: Path) -> None:
    """Scripts, styles, fonts, pictures: whatever a page or its style sheets load is in the folder."""
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    for page in pages:
        loaded = Resources(page.read_text("utf-8")).loaded
        assert loaded, page
        assert [each for each in loaded if outside(each)] == [], page.name
        files = [each for each in loaded if urlsplit(each).path and not each.startswith("data:")]
        missing = [each for each in files if not target(page, each).is_file()]
        assert missing == [], page.name
    for style in site.rglob("*.css"):
        loaded = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", style.read_text("utf-8"))
        assert [each for pair in loaded for each in pair if each and outside(each)] == [], style.name
    for script in site.rglob("*.js"):
        text = script.read_text("utf-8")
        assert re.findall(r"(?:fetch|import|open)\(\s*['\"`]https?:", text) == [], script.name


def target(page: Path, address: str) -> Path:
    """Return the file that an address of a page means."""
    return (page.parent / unquote(urlsplit(address).path)).resolve()


def test_every_link_leads_somewhere(site: Path) -> None:
    """Every link within the pages leads to a page that is there, and to a place on it."""
    ids = {page.resolve(): Resources(page.read_text("utf-8")).ids for page in site.rglob("*.html")}
    for page in ids:
        for link in Resources(page.read_text("utf-8")).linked:
            if not outside(link):
                found = target(page, link) if urlsplit(link).path else page
                assert found.is_file(), f"{page.name}: {link}"
                place = unquote(urlsplit(link).fragment)
                assert not place or place in ids.get(found, {place}), f"{page.name}: {link}"


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("sendgrid", "tutorial/first-call"),
        ("half_open", "reference/events"),
        ("budget_ratio", "reference/configuration"),
    ],
)
def test_the_search_finds_what_is_generated(word: str, page: str, site: Path) -> None:
    """The index is a script, so that it works without a server, and knows what was filled in."""
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    stems = [each for each in index["terms"] if word.startswith(each) or each.startswith(word)]
    found = {number for each in stems for number in numbers(index["terms"][each])}
    assert page in {index["docnames"][number] for number in found}
    assert 'src="searchindex.js"' in (site / "search.html").read_text("utf-8")


def numbers(entry: int | list[int]) -> list[int]:
    """Return the pages of an entry of the index."""
    return [entry] if isinstance(entry, int) else entry


def test_the_diagram_follows_the_colours_of_the_page(site: Path) -> None:
    """The drawing is part of the page, and all of its colours are variables of the theme."""
    page = (site / "explanation/order.html").read_text("utf-8")
    assert '<div class="drawing" tabindex="0">\n<svg viewBox=' in page
    style = (site / "_static/pages.css").read_text("utf-8")
    rules = re.findall(r"^\.drawing[^{]*\{([^}]*)\}", style, re.MULTILINE)
    colours = [value for rule in rules for value in re.findall(r"(?:fill|stroke): ([^;]+);", rule)]
    assert colours
    assert [value for value in colours if not value.startswith("var(--color-") and value != "none"] == []
