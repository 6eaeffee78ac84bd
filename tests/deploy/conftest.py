"""What the tests of the template and of the deployment share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deployment import SENDER, LocalAws, build
from reading import translated
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

os.environ.setdefault("SAM_CLI_TELEMETRY", "0")
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
sys.path += [str(ROOT / "tests/rehearsal"), str(ROOT / "functions")]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def source():
    """The template as it is written, its short functions (`!Ref`) spelt out."""
    return yaml_parse((ROOT / "template.yaml").read_text())


@pytest.fixture(scope="session")
def template(source):
    return translated(source)


@pytest.fixture(scope="session")
def resources(template):
    return template["Resources"]


@pytest.fixture(scope="session")
def canary(source):
    """The resources of a stack with gradual updates."""
    return translated(source, CanaryRelease="2")["Resources"]


@pytest.fixture(scope="session")
def checkov() -> str:
    """The program, in a folder of its own: it wants older versions of what SAM wants."""
    wanted = ROOT / "tests/deploy/checkov.txt"
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "checkov"
    installed = folder / "checkov.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "--requirement", wanted], check=True)
        # Last, so that a broken installation is done again.
        installed.write_text(wanted.read_text())
    return str(folder / "bin/checkov")


@pytest.fixture(scope="session")
def second_contract():
    """The template is of the contract's second version. Until the functions are, it cannot be built."""
    if not (ROOT / "functions/reset-password").exists():
        pytest.skip("NOT TESTED: no functions/reset-password yet, which the template deploys")


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """A local AWS in which the sender is verified."""
    aws = LocalAws(tmp_path_factory.mktemp("aws"))
    try:
        aws.ready()
        aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        yield aws
    finally:
        aws.stop()


@pytest.fixture(scope="session")
def built(tmp_path_factory, second_contract) -> Path:
    """The folder that `sam build` made for this machine's processor."""
    return build(tmp_path_factory.mktemp("sam"))
