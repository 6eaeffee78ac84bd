#!/usr/bin/env python3
"""Says in a table whether this machine has what `sam build` needs, in versions that were tested: python3 tests/rehearsal/tools.py"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OK, NOTE, FAIL = "ok", "note", "FAIL"


def tested(package: str) -> str:
    """The version that the tests run with."""
    return re.search(rf"^{package}==([\d.]+)", (ROOT / "tests/requirements.txt").read_text(), re.MULTILINE)[1]


def output(*command: str) -> str:
    """What a program says of itself; nothing if there is no such program."""
    if not shutil.which(command[0]):
        return ""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def at_least(said: str, wanted: str, missing: str, older: str):
    """Whether a program is there and not older than one that was tested."""
    found = version(said)
    if not found:
        return FAIL, missing
    seen = ".".join(map(str, found))
    return (OK, seen) if found >= version(wanted) else (NOTE, f"{seen} is older than {wanted}, which was tested: {older}")


def sam(said: str):
    return at_least(said, tested("aws-sam-cli"), "pip install aws-sam-cli",
        "before December 2025 Rust needed --beta-features, before August 2026 dependencies were compiled once for each function")  # fmt: skip


def cargo_lambda(said: str):
    return at_least(said, tested("cargo-lambda"), "pip install cargo-lambda, which brings zig too", "it may do")


def rust(said: str):
    wanted = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text())[1]
    found, seen = at_least(said, wanted, "https://rustup.rs", "the SDK will not compile. rustup update")
    return (FAIL, seen) if found == NOTE else (found, seen)


def target(said: str):
    architecture = {"arm64": "aarch64", "x86_64": "x86_64"}[re.search(r"Architectures: \[(\w+)\]", (ROOT / "template.yaml").read_text())[1]]
    name = f"{architecture}-unknown-linux-gnu"
    return (OK, name) if name in said.split() else (FAIL, f"rustup target add {name}")


def zig(said: str):
    if not said.strip():
        return NOTE, "none in PATH: cargo-lambda of PyPI brings its own"
    broken = version(said)[:2] == (0, 16)
    return (NOTE, f"{said.strip()}: Homebrew's broke the build of aws-lc. pip install cargo-lambda brings another") if broken else (OK, said.strip())


TOOLS = {
    "sam": (sam, ("sam", "--version")),
    "cargo-lambda": (cargo_lambda, ("cargo", "lambda", "--version")),
    "rust": (rust, ("rustc", "--version")),
    "target": (target, ("rustup", "target", "list", "--installed")),
    "zig": (zig, ("zig", "version")),
}


def main() -> int:
    rows = [(name, *judge(output(*command))) for name, (judge, command) in TOOLS.items()]
    for name, found, seen in rows:
        print(f"| {name:12} | {found:4} | {seen} |")
    return int(any(found == FAIL for _, found, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
