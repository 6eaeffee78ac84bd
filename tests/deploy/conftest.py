"""What the tests of the template and of the deployment share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

os.environ.setdefault("SAM_CLI_TELEMETRY", "0")
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the project."""
    return ROOT
