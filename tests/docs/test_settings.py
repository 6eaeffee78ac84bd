"""The documentation names the settings and parameters that there are, all of them and no others."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*"
# A setting's name as the code spells it. One of a single word could be anything else.
LITERAL = re.compile(rf'"({VARIABLE})"')
# Pages that name what is current; the changelog also names what is gone.
PAGES = ["README.md", "SECURITY.md", "functions/README.md"]
# Terms of others that are spelt like parameters of the template.
FOREIGN_TERMS = {"HttpOnly", "SameSite", "SecretString"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def documented():
    """The variables in the table of settings."""
    section = re.search(r"^## Settings\n(.*?)^##", read("functions/README.md"), re.S | re.M)[1]
    return {name for row in re.findall(r"^\|(.*?)\|", section, re.M) for name in re.findall(rf"`({VARIABLE})`", row)}


def in_the_code():
    """What the functions' sources spell as a variable's name."""
    sources = [*ROOT.glob("shared/*/src/**/*.rs"), *ROOT.glob("functions/*/src/**/*.rs")]
    return {name for source in sources for name in LITERAL.findall(source.read_text(encoding="utf-8"))}


def in_the_template():
    """What template.yaml puts into the functions' environment."""
    blocks = re.findall(r"^( *)Variables:\n((?:\1 +.*\n|\n)+)", read("template.yaml"), re.M)
    return {name for _, block in blocks for name in re.findall(rf"^ +({VARIABLE}):", block, re.M)}


def in_env_files():
    return set(re.findall(rf"^({VARIABLE})=", read("tests/local/watch.env"), re.M))


def ours(names):
    return {name for name in names if not name.startswith(("AWS_", "CARGO_", "YOUR_"))}


def code_spans(page):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", read(page), flags=re.S | re.M))


def test_every_documented_setting_is_read_by_the_code():
    assert documented() - in_the_code() == set()


def test_every_setting_that_the_code_reads_is_documented():
    spelt_like_settings = {name for name in ours(in_the_code()) if "_" in name}

    assert spelt_like_settings - documented() == set()


def test_every_setting_of_the_template_and_of_the_env_file_is_documented():
    template = in_the_template()

    assert "BASE_URL" in template
    assert ours(template | in_env_files()) - documented() == set()


@pytest.mark.parametrize("page", [*PAGES, "functions/OPERATIONS.md", "shared/accounts/README.md", "tests/README.md"])
def test_pages_name_no_setting_that_there_is_not(page):
    spans = [re.fullmatch(rf"({VARIABLE})(?:=\S*)?", span) for span in code_spans(page)]
    named = {span[1] for span in spans if span and "_" in span[1]}

    assert ours(named) - documented() == set()


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_no_parameter_that_there_is_not(page):
    template = read("template.yaml")
    named = {span for span in code_spans(page) if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", span)}

    assert {name for name in named - FOREIGN_TERMS if not re.search(rf"\b{name}\b", template)} == set()
