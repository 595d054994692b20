"""Say which links of a built site lead nowhere:  python docs/links.py FOLDER

Links within the site must name a file, and an anchor that is in it. Other sites are not asked, and a page loads nothing
from them: a script, style or picture from elsewhere counts as broken.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken", "main"]

LOADED = {"script": "src", "img": "src", "link": "href", "object": "data", "iframe": "src"}


class _Page(HTMLParser):
    """The links, loaded files and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given:
            self.loaded.append(given[LOADED[tag]])


def broken(folder: Path) -> list[str]:
    """Return a line for every link that leads nowhere and everything that is loaded from elsewhere."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        found += [f"{name} loads {link}" for link in page.loaded if urlsplit(link).netloc]
        found += [f"{name}: {link}" for link in [*page.links, *page.loaded] if not _leads(path, link, pages)]
    return found


def _leads(path: Path, link: str, pages: dict[Path, _Page]) -> bool:
    """Whether a link of a page leads to what is there."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages or not parts.fragment:
        return target.is_file()
    return unquote(parts.fragment) in pages[target].anchors


def main(folder: str) -> int:
    """Print the broken links of a site and return 1 if there are any."""
    found = broken(Path(folder))
    print("\n".join(found) or f"{folder}: every link leads somewhere")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
