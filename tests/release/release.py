#!/usr/bin/env python3
"""Makes a release: tests/release/run FOLDER [--check] [--tag v1.2.3] [--architecture arm64] [--function create-account]

FOLDER gets, for each architecture, a folder that `sam deploy` takes as it is (the template, four packages, the list and the licences of what is linked, what changed), the same
as one zip file, and SHA256SUMS over everything. It needs rustup, git and the programs of tests/requirements.txt, which `run` beside this file installs.

The same commit gives the same bytes, wherever and whenever it is built. `--check` builds a second time, from a copy of the sources in another folder, with
another home of cargo, and compares.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from pathlib import Path

from linked import licence_texts, linked, sbom

ROOT = Path(__file__).resolve().parents[2]
# Another compiler makes other bytes.
TOOLCHAIN = "1.95.0"
FUNCTIONS = ("create-account", "confirm-email", "change-email", "reset-password")
# Target of rustc, and the oldest processor that Lambda may give: what `cargo lambda build` would choose as well.
TARGETS = {"arm64": ("aarch64-unknown-linux-gnu", "neoverse-n1"), "x86_64": ("x86_64-unknown-linux-gnu", "haswell")}
README = """\
# Accounts {version}, {architecture}

You need an AWS account with a verified sender in SES, and SAM. In this folder:

```sh
sam deploy --parameter-overrides MailFrom=no-reply@myapp.com
```

The settings are the parameters of template.yaml. What changed since the version before, and what to check in an upgrade: CHANGES.md.
"""
# The earliest time that a zip file can hold.
TIME = (1980, 1, 1, 0, 0, 0)
SAMCONFIG = """\
version = 0.1

[default.deploy.parameters]
stack_name = "accounts"
capabilities = "CAPABILITY_IAM"
resolve_s3 = true
confirm_changeset = true
fail_on_empty_changeset = false
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder, for the release")
    parser.add_argument("--check", action="store_true", help="build twice and compare")
    parser.add_argument("--tag", help="refuse unless the version is this tag's")
    parser.add_argument("--architecture", action="append", choices=TARGETS, help="only this one")
    parser.add_argument("--function", action="append", choices=FUNCTIONS, help="only this one: its package, and no release")
    given = parser.parse_args()
    architectures = given.architecture or list(TARGETS)
    functions = given.function or FUNCTIONS
    if given.tag not in (None, f"v{version()}"):
        sys.exit(f"the tag is {given.tag}, and the version {version()}")
    given.folder.mkdir(parents=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release-build"

    for architecture in architectures:
        programs = build(ROOT, target, architecture, functions)
        if given.check:
            compare(programs, build_elsewhere(architecture, functions))
        if given.function:
            for name, program in programs.items():
                (given.folder / f"{name}-{architecture}.zip").write_bytes(package(program))
        else:
            release(given.folder, architecture, programs)
    if not given.function:
        (given.folder / "CHANGES.md").write_text(changes())
    write_sums(given.folder)
    print((given.folder / "SHA256SUMS").read_text())


# ---- Programs


def build(source: Path, target: Path, architecture: str, functions, cargo_home: Path | None = None) -> dict[str, bytes]:
    """Each function's program. No path of this machine gets into it."""
    cargo_home = cargo_home or Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    triple, processor = TARGETS[architecture]
    # In place of what `cargo lambda build` would set, or cargo would take from the environment.
    flags = [f"-Ctarget-cpu={processor}"]
    for path, name in ((source, "/source"), (cargo_home, "/cargo"), (target, "/target")):
        flags.append(f"--remap-path-prefix={path}={name}")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_BUILD_TARGET")},
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CARGO_HOME": str(cargo_home),
        "CARGO_INCREMENTAL": "0",
        "CARGO_TARGET_DIR": str(target),
        "RUSTUP_TOOLCHAIN": TOOLCHAIN,
    }
    command = ["cargo", "lambda", "build", "--release", "--locked", "--target", triple]
    for function in functions:
        command += ["--bin", function]
    subprocess.run(command, cwd=source, env=environment, check=True)
    return {function: (target / "lambda" / function / "bootstrap").read_bytes() for function in functions}


def build_elsewhere(architecture: str, functions) -> dict[str, bytes]:
    """The programs again, from a copy of the committed sources, and nothing compiled before."""
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        source, cargo_home = Path(folder, "copy"), Path(folder, "cargo")
        source.mkdir()
        cargo_home.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "--extract", "--directory", source], input=archive, check=True)
        usual = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
        # What was downloaded, under another name; and the registry to ask for what was not.
        for name in ("registry", "config.toml"):
            if (usual / name).exists():
                (cargo_home / name).symlink_to(usual / name)
        return build(source, Path(folder, "target"), architecture, functions, cargo_home)


def compare(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    differing = [name for name in first if package(first[name]) != package(second[name])]
    if differing:
        sys.exit(f"built twice, these differ: {', '.join(differing)}")
    for name, program in first.items():
        print(f"built twice, the same bytes: {name} {hashlib.sha256(package(program)).hexdigest()}")


# ---- Packages


def zipped(files: dict[str, bytes], executable: bool = False) -> bytes:
    """A zip file whose bytes depend on its content alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def package(program: bytes) -> bytes:
    """What Lambda takes."""
    return zipped({"bootstrap": program}, executable=True)


# ---- Template


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def packaged_template(source: str, architecture: str) -> str:
    """The template with the packages beside it in place of what builds them.

    SAM uploads what a literal `CodeUri` names and cannot look into an intrinsic function, so each architecture has a template of its own.
    """
    text, functions = re.subn(
        r"^      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: (\S+)\n((?:      .*\n)*?)    Properties:\n",
        r"\2    Properties:\n      CodeUri: \1.zip\n",
        source,
        flags=re.MULTILINE,
    )
    text, sources = re.subn(r"^    CodeUri: \.\n", "", text, flags=re.MULTILINE)
    text, architectures = re.subn(r"^    Architectures: \[arm64\]$", f"    Architectures: [{architecture}]", text, flags=re.MULTILINE)
    if (functions, sources, architectures) != (len(FUNCTIONS), 1, 1):
        sys.exit("template.yaml is not written as this script expects")
    return text


# ---- Release


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def made_with(architecture: str) -> dict[str, str]:
    """What an independent build has to use for the same bytes."""
    commit = output("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    if commit.endswith("-dirty"):
        print("!! There are changes that are not committed: this is no release.", file=sys.stderr)
    return {
        "version": version(),
        "commit": commit,
        "architecture": architecture,
        "rust": output("rustup", "run", TOOLCHAIN, "rustc", "--version"),
        "cargo-lambda": output("cargo", "lambda", "--version"),
        "zig": output(sys.executable, "-m", "ziglang", "version"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }


def changes(text: str | None = None, of: str | None = None) -> str:
    """The changelog's section of a version."""
    text = (ROOT / "CHANGELOG.md").read_text() if text is None else text
    found = re.search(rf"^## {re.escape(of or version())}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"CHANGELOG.md has no section {of or version()}")
    return found[0].rstrip() + "\n"


def release(folder: Path, architecture: str, programs: dict[str, bytes]) -> Path:
    """The folder of one architecture, and the same as a zip file beside it."""
    crates = linked(ROOT, FUNCTIONS, TARGETS[architecture][0])
    time = output("git", "show", "--no-patch", "--format=%cI", "HEAD")
    files = {f"{name}.zip": package(program) for name, program in programs.items()}
    texts = {
        "template.yaml": packaged_template((ROOT / "template.yaml").read_text(), architecture),
        "samconfig.toml": SAMCONFIG,
        "README.md": README.format(version=version(), architecture=architecture),
        "CHANGES.md": changes(),
        "LICENCES.txt": licence_texts(ROOT, crates),
        "sbom.cdx.json": sbom(ROOT, crates, version(), time, TOOLCHAIN),
        "made-with.json": json.dumps(made_with(architecture), indent=2) + "\n",
    }
    files |= {name: text.encode() for name, text in texts.items()}
    unpacked = folder / f"accounts-{version()}-{architecture}"
    unpacked.mkdir(parents=True)
    for name, content in files.items():
        (unpacked / name).write_bytes(content)
    inside = {f"{unpacked.name}/{name}": content for name, content in files.items()}
    (folder / f"{unpacked.name}.zip").write_bytes(zipped(inside))
    return unpacked


def write_sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
