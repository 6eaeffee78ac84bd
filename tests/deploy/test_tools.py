"""What `sam build` needs on a user's machine, and what is said of a machine that lacks it."""

import pytest
import tools


@pytest.mark.parametrize(("tool", "said", "found", "says"), [
    ("sam", "SAM CLI, version 1.999.0", "ok", "1.999.0"),
    ("sam", "SAM CLI, version 1.120.0", "note", "--beta-features"),
    ("sam", "", "FAIL", "pip install aws-sam-cli"),
    ("cargo-lambda", "cargo-lambda 1.999.0 (2026)", "ok", "1.999.0"),
    ("cargo-lambda", "error: no such command: `lambda`", "FAIL", "pip install cargo-lambda"),
    ("rust", "rustc 1.70.0 (90c541806 2023-05-31)", "FAIL", "rustup update"),
    ("rust", "rustc 9.0.0", "ok", "9.0.0"),
    ("target", "aarch64-unknown-linux-gnu\nx86_64-unknown-linux-gnu\n", "ok", "aarch64"),
    ("target", "x86_64-unknown-linux-gnu\n", "FAIL", "rustup target add aarch64-unknown-linux-gnu"),
    ("zig", "0.16.0", "note", "aws-lc"),
    ("zig", "0.17.1", "ok", "0.17.1"),
    ("zig", "", "note", "PyPI"),
])  # fmt: skip
def test_a_machine_is_told_what_it_lacks(tool, said, found, says):
    judge, _ = tools.TOOLS[tool]

    verdict, seen = judge(said)

    assert verdict == found and says in seen, seen


def test_this_machine_has_what_a_build_needs(capsys):
    tools.main()

    printed = capsys.readouterr().out
    assert "| sam          | ok" in printed and "| cargo-lambda | ok" in printed and "| rust         | ok" in printed, printed
