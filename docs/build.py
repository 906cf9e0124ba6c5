"""Builds the documentation as a folder of HTML pages that need no network:  bash docs/build.sh  ->  site/

Guides are README.md, CHANGELOG.md, and every Markdown page that they lead to; what else these link to is copied. The
reference of the public modules is made of their docstrings, by pdoc: it reads them as they are, Markdown under Google's
headings, is one small package and needs no configuration. Sphinx would want reStructuredText, and fifteen packages.

A link to a page, file or heading that there is not is a fault; so is what a page would load from elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pdoc
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

ROOT = Path(__file__).resolve().parents[1]
FIRST = ("README.md", "CHANGELOG.md")
"""Pages from which all others are found."""
MODULES = (
    "panoptic_eval",
    "panoptic_eval.checkup",
    "panoptic_eval.comparison",
    "panoptic_eval.integrations.detectron2",
    "panoptic_eval.integrations.mmdetection",
    "panoptic_eval.integrations.panopticapi",
    "panoptic_eval.integrations.pycocotools",
    "panoptic_eval.integrations.torchmetrics",
    "panoptic_eval.labels",
    "panoptic_eval.pairs.table",
    "panoptic_eval.predictions",
    "crop_aware",
)
"""Modules of the reference: the two packages as they are imported, and what their functions take and return."""
CODE = {"py": "python", "bash": "bash", "python": "python", "json": "json"}
"""Languages of fenced blocks that are colored."""


def build(out: Path) -> list[str]:
    """Write all pages.

    Args:
        out: the folder; it is made, and emptied first if it holds an earlier site.

    Returns:
        Faults, a line each.
    """
    if out.exists() and any(out.iterdir()):
        if not (out / "api").is_dir():
            return [f"{out}: holds other files; expected an empty folder, or an earlier site"]
        shutil.rmtree(out)
    faults = guides(out)
    reference(out / "api")
    return faults + broken(out)


def guides(out: Path) -> list[str]:
    """Write the Markdown pages, and copy what they link to; returns links that lead to nothing."""
    parser = MarkdownIt("commonmark", {"highlight": colored}).enable("table")
    parsed: dict[Path, list[Token]] = {}
    files: set[Path] = set()
    faults = []
    waiting = [ROOT / name for name in FIRST]
    while waiting:
        page = waiting.pop(0)
        if page in parsed:
            continue
        parsed[page] = parser.parse(page.read_text(encoding="utf-8"))
        name_headings(parsed[page])
        for line, token, key in links(parsed[page]):
            target = urlsplit(str(token.attrs[key]))
            if target.scheme or not target.path:
                continue
            path = Path(os.path.normpath(page.parent / unquote(target.path)))
            if not path.is_file() or not path.is_relative_to(ROOT):
                faults.append(f"{page.relative_to(ROOT)}:{line}: {target.path} is no file of the repository")
                continue
            (waiting.append if path.suffix == ".md" else files.add)(path)
            anchor = f"#{target.fragment}" if target.fragment else ""
            token.attrs[key] = os.path.relpath(place(path), place(page).parent) + anchor
    titles = {page: title(tokens) for page, tokens in parsed.items()}
    for page, tokens in parsed.items():
        body = parser.renderer.render(tokens, parser.options, {})
        write(out / place(page), framed(page, body, titles))
    for file in files:
        (out / place(file)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, out / place(file))
    style = (ROOT / "docs" / "site" / "style.css").read_text()
    light, dark = (HtmlFormatter(style=name).get_style_defs("pre") for name in ("default", "github-dark"))
    write(out / "style.css", f"{style}{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n")
    return faults


def place(path: Path) -> Path:
    """Tell where a file of the repository stands in the site."""
    inside = path.relative_to(ROOT)
    if inside == Path("README.md"):
        return Path("index.html")
    return inside.with_suffix(".html") if path.suffix == ".md" else inside


def links(tokens: list[Token]) -> Iterator[tuple[int, Token, str]]:
    """Yield line, token and attribute of every link and picture."""
    for block in tokens:
        for token in block.children or ():
            key = {"link_open": "href", "image": "src"}.get(token.type)
            if key is not None:
                yield (block.map or [0])[0] + 1, token, key


def name_headings(tokens: list[Token]) -> None:
    """Give each heading the id that links to it on forges use."""
    taken: dict[str, int] = {}
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            name = re.sub(r"[^\w\- ]", "", text_of(inline).strip().lower()).replace(" ", "-")
            taken[name] = taken.get(name, -1) + 1
            opening.attrs["id"] = f"{name}-{taken[name]}" if taken[name] else name


def text_of(inline: Token) -> str:
    """Return the text of a line without its marks."""
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))


def title(tokens: list[Token]) -> str:
    """Return the first heading."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            return text_of(inline)
    raise ValueError("a page has no heading; expected one, which becomes its title")


def colored(code: str, language: str, _attributes: str) -> str:
    """Color a fenced block; an empty text leaves it as it is."""
    try:
        return str(highlight(code, get_lexer_by_name(CODE[language]), HtmlFormatter(nowrap=True)))
    except (ClassNotFound, KeyError):
        return ""


def framed(page: Path, body: str, titles: dict[Path, str]) -> str:
    """Put a page into its frame: title, style, and links to the guides and the reference."""
    up = os.path.relpath(".", place(page).parent)
    shown = [each for each in titles if each.parent in (ROOT, ROOT / "docs")]
    listed = [
        f'<a href="{up}/{place(each)}"{" aria-current" if each == page else ""}>{escape(titles[each])}</a>'
        for each in shown
    ]
    listed.insert(1, f'<a href="{up}/api/panoptic_eval.html">API reference</a>')
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(titles[page])}</title>
<link rel="stylesheet" href="{up}/style.css">
</head>
<body>
<nav>{" ".join(listed)}</nav>
<main>
{body}</main>
</body>
</html>
"""


def reference(out: Path) -> None:
    """Write the pages of the modules."""
    import panoptic_eval

    for name in panoptic_eval.__all__:  # which are imported when they are asked for; pdoc looks without asking
        setattr(panoptic_eval, name, getattr(panoptic_eval, name))
    pdoc.render.configure(docformat="google", template_directory=ROOT / "docs" / "site")
    wanted = "|".join(re.escape(name) for name in MODULES)
    pdoc.pdoc(*MODULES, rf"!(?!({wanted})$)", output_directory=out)


def write(path: Path, text: str) -> None:
    """Write a file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect its attributes."""
        given = {key: value or "" for key, value in attrs}
        self.ids |= {given[key] for key in ("id", "name") if key in given}
        into = self.links if tag == "a" else self.loads
        into += [given[key] for key in ("href", "src") if key in given]


def broken(site: Path) -> list[str]:
    """Find links that lead to no page, file or heading of a site, and what pages would load from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            target = urlsplit(link)
            if target.scheme == "data":
                continue
            if target.scheme or target.netloc:
                if link in page.loads:
                    faults.append(f"{path.relative_to(site)}: loads {link}; expected a file of the site")
                continue
            to = Path(os.path.normpath(path.parent / unquote(target.path))) if target.path else path
            if not to.is_file():
                faults.append(f"{path.relative_to(site)}: {link} leads to no file")
            elif target.fragment and to in pages and unquote(target.fragment) not in pages[to].ids:
                faults.append(f"{path.relative_to(site)}: {link} leads to no heading or name there")
    return faults


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Build the documentation as HTML pages.")
    parser.add_argument("--out", type=Path, default=ROOT / "site", metavar="PATH", help="folder that receives it")
    out = parser.parse_args().out
    if faults := build(out):
        sys.exit("\n".join(faults))
    print(f"{sum(1 for _ in out.rglob('*.html'))} pages in {out}, from {out / 'index.html'} on")


if __name__ == "__main__":
    main()
