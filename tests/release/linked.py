"""What is linked into the functions: its list (CycloneDX) and its licences."""

import hashlib
import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Crate:
    name: str
    version: str
    licence: str
    folder: Path
    # Of what the registry has; none of our own crates.
    checksum: str | None
    depends_on: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


def linked(root: Path, functions, target: str) -> list[Crate]:
    """The crates in the programs, our own included; not those that only run at build time."""

    def cargo(*command: str) -> str:
        return subprocess.run(["cargo", *command], cwd=root, stdout=subprocess.PIPE, text=True, check=True).stdout

    packages = [part for function in functions for part in ("--package", function)]
    edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    tree = cargo("tree", "--locked", "--target", target, *packages, *edges)
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    packages = {one["id"]: one for one in metadata["packages"] if (one["name"], "v" + one["version"]) in names}
    needs = {
        node["id"]: sorted(
            f"{packages[one['pkg']]['name']}@{packages[one['pkg']]['version']}"
            for one in node["deps"]
            if one["pkg"] in packages and any(kind["kind"] is None for kind in one["dep_kinds"])
        )
        for node in metadata["resolve"]["nodes"]
    }
    crates = [
        Crate(
            name=one["name"], version=one["version"], licence=(one["license"] or "").replace("/", " OR "),
            folder=Path(one["manifest_path"]).parent, checksum=checksums[one["name"], one["version"]],
            depends_on=tuple(needs[key]),
        )
        for key, one in packages.items()
    ]  # fmt: skip
    if len(crates) != len(names):
        raise SystemExit(f"cargo tree has {len(names)} crates, and cargo metadata {len(crates)} of them")
    return sorted(crates)


def sbom(root: Path, crates: list[Crate], version: str, time: str, rust: str) -> str:
    """The list as CycloneDX has it, the same for the same sources."""
    licences = LicenseFactory()
    product = Component(name="accounts", version=version, type=ComponentType.APPLICATION, bom_ref="accounts")
    product.licenses.add(licences.make_with_expression("MIT OR Apache-2.0"))
    lock = hashlib.sha256((root / "Cargo.lock").read_bytes()).hexdigest()
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"accounts {version} {lock}"))
    bom.metadata.timestamp = datetime.fromisoformat(time)
    bom.metadata.component = product
    components = {}
    for crate in crates:
        component = components[crate.id] = Component(
            name=crate.name, version=crate.version, type=ComponentType.LIBRARY, bom_ref=crate.id,
            purl=PackageURL("cargo", None, crate.name, crate.version) if crate.checksum else None,
        )  # fmt: skip
        component.licenses.add(licences.make_with_expression(crate.licence))
        if crate.checksum:
            component.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=crate.checksum))
        bom.components.add(component)
    standard = Component(name="rust-std", version=rust, type=ComponentType.LIBRARY, bom_ref=f"rust-std@{rust}")
    standard.licenses.add(licences.make_with_expression("MIT OR Apache-2.0"))
    bom.components.add(standard)
    for crate in crates:
        bom.register_dependency(components[crate.id], [components[one] for one in crate.depends_on])
    bom.register_dependency(product, [*(components[one.id] for one in crates if not one.checksum), standard])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    if errors := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"the SBOM is not valid: {errors}")
    return text + "\n"


def licence_texts(root: Path, crates: list[Crate]) -> str:
    """Every text that comes with a linked crate, once, with the crates that it comes with."""
    texts: dict[str, list[str]] = {}
    without = []
    for crate in crates:
        folder = crate.folder if crate.checksum else root
        files = sorted(path for path in folder.iterdir() if path.is_file() and LICENCE_FILE.match(path.name))
        files += sorted(path for path in folder.glob("LICENSES/*") if path.is_file())
        if not crate.checksum:
            # Of lists that others made and ours include.
            files += sorted(crate.folder.rglob("*.LICENSE"))
        if not files:
            without.append(f"{crate.id} ({crate.licence})")
        for path in files:
            text = path.read_text(errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(crate.id)
    rule = "=" * 100
    head = (
        "What is linked into the functions, and its licences. Where a crate offers a choice, each is as good.\n"
        "The standard library of Rust is MIT or Apache-2.0, as most of these are.\n\n"
    )
    head += "".join(f"{crate.id}: {crate.licence}\n" for crate in crates)
    if without:
        head += "\nThese come without a text; that of the licence named stands elsewhere in this file or at spdx.org:\n"
        head += "".join(f"{one}\n" for one in without)
    return head + "".join(f"\n{rule}\n{', '.join(sorted(set(ids)))}\n{rule}\n\n{text}\n" for text, ids in texts.items())
