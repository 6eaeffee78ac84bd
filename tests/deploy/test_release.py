"""A release, as its script packages it: deployed from an empty folder by `sam` alone, with no Rust at hand, and over the version before.

That it is built to the same bytes twice takes two builds of everything, so it is asked for: `TWICE=1`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml
from deployment import HOST_ARCHITECTURE, PASSWORD, PROGRAMS, ROOT, SENDER, Deployment, eventually

sys.path.append(str(ROOT / "tests/release"))
import release as script
from linked import linked


@pytest.fixture(scope="module")
def programs(built):
    return {program: (built / function / "bootstrap").read_bytes() for function, program in PROGRAMS.items()}


@pytest.fixture(scope="module")
def made(programs, tmp_path_factory) -> Path:
    """What the script makes of this machine's programs."""
    folder = tmp_path_factory.mktemp("release")
    script.release(folder, HOST_ARCHITECTURE, programs)
    script.write_sums(folder)
    return folder


@pytest.fixture(scope="module")
def unpacked(made, tmp_path_factory) -> Path:
    """What somebody has who downloaded it, into an empty folder."""
    folder = tmp_path_factory.mktemp("downloaded")
    (archive,) = made.glob("*.zip")
    subprocess.run([sys.executable, "-m", "zipfile", "--extract", archive, folder], check=True)
    return folder / archive.stem


@pytest.fixture(scope="module")
def no_rust(tmp_path_factory) -> str:
    """A `PATH` with sam and what every system has."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "sam").symlink_to(shutil.which("sam"))
    path = f"{folder}:/usr/bin:/bin"
    found = [tool for tool in ("cargo", "rustc", "cargo-lambda", "zig") if shutil.which(tool, path=path)]
    if found:
        pytest.skip(f"NOT TESTED: {found} are among what every system has here")
    return path


@dataclass
class Downloaded(Deployment):
    """The stack, deployed as a release's README says, in the folder of the release."""

    path: str = ""

    def deploy(self, **parameters: str) -> None:
        given = [f'{name}="{value}"' for name, value in {"MailFrom": SENDER, **parameters}.items()]
        command = ["sam", "deploy", "--stack-name", self.stack, "--no-confirm-changeset", "--parameter-overrides", *given]
        environment = {**self.aws.environment, "PATH": self.path}
        result = subprocess.run(command, cwd=self.built, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


# ---- What is in it


def test_the_version_is_the_same_everywhere(source):
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\d+\.\d+\.\d+)$", text, re.MULTILINE)

    assert source["Outputs"]["Version"]["Value"] == versions[0] == script.version()
    for version, before in zip(versions, versions[1:], strict=False):
        assert f"### Upgrade from {before}" in script.changes(text, version), version
        assert f"## {before}\n" not in script.changes(text, version)


def test_the_same_programs_make_the_same_release_at_any_time(made, programs, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000)

    script.release(tmp_path, HOST_ARCHITECTURE, programs)
    script.write_sums(tmp_path)

    assert (tmp_path / "SHA256SUMS").read_text() == (made / "SHA256SUMS").read_text()


def test_built_twice_a_function_has_the_same_bytes(tmp_path):
    if "TWICE" not in os.environ:
        pytest.skip("NOT TESTED: two builds of one function; set TWICE=1")
    command = [ROOT / "tests/release/run", tmp_path / "release", "--check", "--architecture", HOST_ARCHITECTURE, "--function", "confirm-email"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert re.search(r"^built twice, the same bytes: confirm-email [0-9a-f]{64}$", result.stdout, re.MULTILINE)


def test_each_package_is_one_program_that_may_be_run(unpacked, programs):
    for name, program in programs.items():
        with zipfile.ZipFile(unpacked / f"{name}.zip") as archive:
            (entry,) = archive.infolist()
            assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", 0o100755)
            assert archive.read(entry) == program


def test_the_sums_are_those_of_all_files(made):
    sums = dict(reversed(line.split("  ")) for line in (made / "SHA256SUMS").read_text().splitlines())

    files = {str(path.relative_to(made)): path for path in made.rglob("*") if path.is_file() and path.name != "SHA256SUMS"}
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_what_is_linked_is_listed_with_its_licences(unpacked):
    listed = json.loads((unpacked / "sbom.cdx.json").read_text())
    names = {component["name"] for component in listed["components"]}
    licences = (unpacked / "LICENCES.txt").read_text()

    # Linked by way of others, and of our own. Tests and what runs at build time alone are not linked.
    assert {"aws-lc-sys", "argon2", "rustls", "accounts", "rust-std"} <= names
    assert not {"fantoccini", "dynoxide-rs", "cc", "serde_derive"} & names
    assert all(component["licenses"] for component in listed["components"])
    crates = linked(ROOT, script.FUNCTIONS, script.TARGETS[HOST_ARCHITECTURE][0])
    assert all(f"{crate.id}: {crate.licence}\n" in licences for crate in crates)
    assert "Permission is hereby granted, free of charge" in licences and "OpenSSL" in licences


def test_sam_and_checkov_have_nothing_to_say_of_the_packaged_template(unpacked, checkov):
    result = subprocess.run(["sam", "validate", "--lint"], cwd=unpacked, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

    command = [checkov, "--file", "template.yaml", "--framework", "cloudformation", "--skip-download", "--output", "json"]
    result = subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)
    results = json.loads(result.stdout)["results"]
    assert [f"{one['check_id']} {one['resource']}" for one in results["failed_checks"]] == []
    assert len(results["passed_checks"]) > 60


# ---- Deployed


def test_without_rust_a_release_is_deployed_and_a_sign_up_confirmed(aws, unpacked, no_rust):
    deployment = Downloaded(aws, unpacked, "released", path=no_rust)
    deployment.deploy()

    browser = requests.Session()
    assert deployment.request("GET", deployment.sign_up("ada@example.com", browser), browser).status_code == 303

    assert deployment.user("ada@example.com")["email_confirmed"] == {"BOOL": True}
    assert deployment.outputs["Version"] == script.version()
    started = eventually(lambda: [line for line in deployment.log() if '"message":"started"' in line])
    assert {json.loads(line)["version"] for line in started} == {script.version()}
    deployment.delete()


def test_an_upgrade_keeps_users_key_links_and_limits(aws, unpacked, no_rust, tmp_path):
    previous, parameters = version_before(unpacked, tmp_path)
    before = Deployment(aws, previous, "upgraded")
    before.deploy(ResendCooldown="3600", ConfirmOn="visit", **parameters)
    before.account("confirmed@example.com")
    key, table, limits = before.secret_key(), before.outputs["UsersTableName"], before.outputs.get("LimitsTableName")
    link = before.sign_up("waiting@example.com")
    user = before.user("confirmed@example.com")

    after = Downloaded(aws, unpacked, "upgraded", path=no_rust)
    after.deploy(ConfirmOn="browser")

    assert after.outputs["Version"] == script.version() != before.outputs.get("Version")
    assert (after.secret_key(), after.outputs["UsersTableName"]) == (key, table)
    assert after.user("confirmed@example.com") == user
    # Whoever signed up before the upgrade has no cookie of this version.
    answer = after.request("POST", link, data={"password": PASSWORD})
    assert answer.status_code == 303, answer.text
    assert after.user("waiting@example.com")["email_confirmed"] == {"BOOL": True}
    # 0.1.0 had no such table: its limits start anew, as the changelog says.
    if limits:
        assert after.outputs["LimitsTableName"] == limits
        after.request("POST", "/accounts/create", data={"email": "confirmed@example.com", "password": PASSWORD})
        after.sign_up("another@example.com")
        assert len(aws.mails_to("confirmed@example.com")) == 1
    after.delete()


def version_before(unpacked: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """The version before, and the parameters that only it needs: a release's folder, or one that `sam build` made of its commit, named by `PREVIOUS_BUILD`.

    Without, it is this release under another version and with other programs.
    """
    if given := os.environ.get("PREVIOUS_BUILD"):
        text = (Path(given) / "template.yaml").read_text()
        chosen = re.search(r"^  Architecture:$", text, re.MULTILINE)
        return Path(given), {"Architecture": HOST_ARCHITECTURE} if chosen else {}
    previous = folder / "previous"
    shutil.copytree(unpacked, previous)
    template = previous / "template.yaml"
    template.write_text(template.read_text().replace(f"Value: {script.version()}\n", "Value: 0.1.99\n"))
    for name in PROGRAMS.values():
        with zipfile.ZipFile(previous / f"{name}.zip") as archive:
            program = archive.read("bootstrap")
        (previous / f"{name}.zip").write_bytes(script.package(program + b"\0"))
    return previous, {}


# ---- Other roads, as OPERATIONS.md has them


def test_a_template_that_nests_the_release_is_packaged_with_it(aws, unpacked, tmp_path):
    said = (ROOT / "functions/OPERATIONS.md").read_text()
    (nested,) = re.findall(r"^  ```yaml\n(  Accounts:\n.*?)^  #", said, re.MULTILINE | re.DOTALL)
    nested = re.sub(r"Location: \S+", f"Location: {unpacked}/template.yaml", nested)
    outputs = "Outputs: { Table: { Value: !GetAtt Accounts.Outputs.UsersTableArn } }"
    parent, packaged = tmp_path / "parent.yaml", tmp_path / "packaged.yaml"
    parent.write_text(f"Transform: AWS::Serverless-2016-10-31\nResources:\n{nested}{outputs}\n")
    aws.run("cfn-lint", str(parent))
    aws.client("s3").create_bucket(Bucket="nested")

    aws.run("sam", "package", "--template-file", str(parent), "--s3-bucket", "nested", "--output-template-file", str(packaged))

    location = re.search(r"Location: .*/nested/(\S+)", packaged.read_text())[1]
    uploaded = aws.client("s3").get_object(Bucket="nested", Key=location)["Body"].read().decode()
    assert len(re.findall(r"CodeUri: s3://nested/", uploaded)) == len(PROGRAMS)
    # Why Terraform has to take it from a bucket.
    assert len(uploaded) > 51_200


# ---- Workflows


WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/examples/*.yml")])


def test_workflows_have_no_fault(target):
    assert len(WORKFLOWS) == 3
    for command in (["actionlint"], ["zizmor", "--offline", "--quiet", "--no-config"]):
        result = subprocess.run([target / "workflow-linters/bin" / command[0], *command[1:], *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_workflows_pin_what_they_use_and_may_do_little():
    for path in WORKFLOWS:
        text = path.read_text()
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used) for used in re.findall(r"uses: (.*)", text)), path.name
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}, path.name
        assert all("permissions" in job for job in workflow["jobs"].values()), path.name
