"""What the tests of the template and of the deployment share."""

import fcntl
import os
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
def target() -> Path:
    """Where `tests/run` builds and installs."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


@pytest.fixture(scope="session")
def checkov(target) -> Path:
    return target / "checkov/bin/checkov"


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
def built(tmp_path_factory, worker_id) -> Path:
    """The folder that `sam build` made for this machine's processor, once for all processes of pytest-xdist."""
    if worker_id == "master":
        return build(tmp_path_factory.mktemp("sam"))
    folder = tmp_path_factory.getbasetemp().parent / "sam"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last, so that a build that failed is tried again.
        if not (folder / "built/template.yaml").exists():
            folder.mkdir(exist_ok=True)
            build(folder)
    return folder / "built"
