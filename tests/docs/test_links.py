"""Every relative link in every Markdown file leads somewhere, and the README is short."""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
MARKDOWN = MarkdownIt("commonmark").enable("table")
HTML_ANCHOR = re.compile(r"""<[^>]*\s(?:id|name)=["']([^"']+)["']""")
HTML_LINK = re.compile(r"""<[^>]*\s(?:href|src)=["']([^"']+)["']""")
# What marks a folder as made by a tool: cargo's target, a virtual environment.
MADE_BY_TOOLS = {"CACHEDIR.TAG", "pyvenv.cfg"}
NOT_OURS = {".git", ".aws-sam", "node_modules"}


def markdown_files():
    for folder, subfolders, files in os.walk(ROOT):
        if MADE_BY_TOOLS & set(files):
            subfolders.clear()
            continue
        subfolders[:] = sorted(set(subfolders) - NOT_OURS)
        yield from (Path(folder, file).relative_to(ROOT) for file in sorted(files) if file.endswith(".md"))


def slug(heading):
    """The anchor of a heading, as GitHub makes it: letters, marks, digits, connectors, hyphens."""
    kept = (c for c in heading.lower() if c in "- " or unicodedata.category(c) in ("Nd", "Pc") or unicodedata.category(c)[0] in "LM")
    return "".join(kept).replace(" ", "-")


def plain_text(inline):
    return "".join(token.content for token in inline.children if token.type in ("text", "code_inline"))


def anchors(text):
    """All anchors of a page. GitHub numbers repeated headings from the second on: `run`, `run-1`."""
    found = set()
    tokens = MARKDOWN.parse(text)
    for opening, inline in zip(tokens, tokens[1:]):
        if opening.type == "heading_open":
            anchor = name = slug(plain_text(inline))
            repeats = 0
            while anchor in found:
                repeats += 1
                anchor = f"{name}-{repeats}"
            found.add(anchor)
    for token in html(tokens):
        found.update(HTML_ANCHOR.findall(token.content))
    return found


def html(tokens):
    for token in tokens:
        yield from (child for child in [token, *(token.children or [])] if child.type in ("html_block", "html_inline"))


def targets(text):
    """Where the links and images of a page lead."""
    tokens = MARKDOWN.parse(text)
    for token in tokens:
        for child in token.children or []:
            if target := child.attrs.get("href") or child.attrs.get("src"):
                yield target
    for token in html(tokens):
        yield from HTML_LINK.findall(token.content)


def problem(page, target):
    """What is wrong with a link, or None."""
    parts = urlsplit(target)
    if parts.scheme:
        return None
    path = unquote(parts.path)
    if path.startswith("/"):
        return "is absolute, which only GitHub understands"
    file = (ROOT / page.parent / path).resolve() if path else ROOT / page
    if not file.is_relative_to(ROOT):
        return "leads out of the repository"
    if not file.exists():
        return "leads nowhere"
    if parts.fragment and not has_anchor(file, unquote(parts.fragment)):
        return "names an anchor that is not there"
    return None


def has_anchor(file, anchor):
    if file.is_dir():
        return False
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return anchor in anchors(text)
    line = re.fullmatch(r"L(\d+)", anchor)
    return line is not None and 1 <= int(line[1]) <= len(text.splitlines())


@pytest.mark.parametrize("page", list(markdown_files()), ids=str)
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")

    dead = [f"{target} {why}" for target in dict.fromkeys(targets(text)) if (why := problem(page, target))]

    assert not dead, "\n".join([f"{page} has dead links:", *dead])


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_can_be_found_from_the_readme():
    seen, pending = set(), [Path("README.md")]
    while pending:
        page = pending.pop()
        seen.add(page)
        for target in targets((ROOT / page).read_text(encoding="utf-8")):
            parts = urlsplit(target)
            file = (ROOT / page.parent / unquote(parts.path)).resolve()
            if not parts.scheme and file.suffix == ".md" and file.is_file() and file.is_relative_to(ROOT):
                if file.relative_to(ROOT) not in seen | set(pending):
                    pending.append(file.relative_to(ROOT))

    assert set(markdown_files()) - seen == set()


def test_anchors_are_made_as_github_makes_them():
    page = "# What `CONFIRM_ON` proves\n## What happens when…\n## Run\n### Run\n## \u00dcber *uns*: \u201eja\u201c, 1\u00bd!\n<a id='here'></a>\n"

    assert anchors(page) == {"what-confirm_on-proves", "what-happens-when", "run", "run-1", "\u00fcber-uns-ja-1", "here"}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("SECURITY.md", None),
        ("./tests/../SECURITY.md#links", None),
        ("tests", None),
        ("tests/run#L1", None),
        ("https://example.com/nowhere", None),
        ("mailto:somebody@example.com", None),
        ("SECURTY.md", "leads nowhere"),
        ("SECURITY.md#lniks", "names an anchor that is not there"),
        ("#no-such-heading", "names an anchor that is not there"),
        ("tests#run", "names an anchor that is not there"),
        ("tests/run#L100000", "names an anchor that is not there"),
        ("../elsewhere.md", "leads out of the repository"),
        ("/SECURITY.md", "is absolute, which only GitHub understands"),
    ],
)
def test_a_dead_link_is_noticed(target, why):
    assert problem(Path("README.md"), target) == why


def test_links_are_found_wherever_they_are_written():
    page = "[a](1) ![b](2) <a href='3'>c</a>\n\n| [d](4) |\n|---|\n| [![e](5)](6) |\n\n[f][g]\n\n[g]: 7\n\n`[h](8)`\n"

    assert sorted(targets(page)) == list("1234567")
