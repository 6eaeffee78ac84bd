"""The functions for arm64, which is what the template deploys: built, and run in an emulator through a sign-up, its confirmation and a new password.

Optimised as they are deployed they take minutes to build, so that is asked for: `AS_DEPLOYED=1`. Then their packages are measured too.
"""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import requests
from deployment import FREE, FUNCTIONS, PASSWORD, PROGRAMS, ROOT, Deployment, eventually

QEMU, LIBRARIES = "qemu-aarch64-static", Path("/usr/aarch64-linux-gnu")
AS_DEPLOYED = bool(os.environ.get("AS_DEPLOYED"))
# Bytes of each package, which may become 3 % larger; those for x86_64 are in tests/bench/budget.txt.
PACKAGES = {"CreateAccount": 2_311_610, "ConfirmEmail": 2_341_420, "ChangeEmail": 2_251_690, "ResetPassword": 2_251_900}


@pytest.fixture(scope="module")
def programs(target):
    """The program of each function, built as `sam build` does, or without optimisation."""
    targets = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True, check=False).stdout
    if "aarch64-unknown-linux-gnu" not in targets.split():
        pytest.skip("NOT TESTED for arm64: `rustup target add aarch64-unknown-linux-gnu` first")
    folder = target / "arm64"
    command = ["cargo", "lambda", "build", "--locked", "--arm64", "--lambda-dir", folder, *(["--release"] if AS_DEPLOYED else [])]
    subprocess.run(command, cwd=ROOT, check=True)
    return {function: folder / PROGRAMS[function] / "bootstrap" for function in FUNCTIONS}


def test_the_programs_are_for_arm64(programs):
    for function, program in programs.items():
        binary = program.read_bytes()
        assert binary[:4] == b"\x7fELF" and int.from_bytes(binary[18:20], "little") == 183, function


@pytest.mark.skipif(not AS_DEPLOYED, reason="asked for with AS_DEPLOYED=1")
def test_the_packages_are_small(programs, tmp_path):
    sizes = {}
    for function, program in programs.items():
        package = tmp_path / f"{function}.zip"
        with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.write(program, "bootstrap")
        sizes[function] = package.stat().st_size
    assert {function for function, size in sizes.items() if size > 1.03 * PACKAGES[function]} == set(), sizes


def test_arm64_signs_up_confirms_and_resets(programs, built, aws, tmp_path):
    if not shutil.which(QEMU) or not LIBRARIES.is_dir():
        pytest.skip("NOT RUN on arm64: apt-get install qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross")
    emulated = tmp_path / "emulated"
    shutil.copytree(built, emulated)
    for function, program in programs.items():
        bootstrap = emulated / function / "bootstrap"
        bootstrap.write_text(f"#!/bin/sh\nexec {QEMU} -L {LIBRARIES} '{program}'\n")
        bootstrap.chmod(0o755)
    deployment = Deployment(aws, emulated, "emulated")
    deployment.deploy(**FREE)
    browser = requests.Session()

    link = deployment.sign_up("arm@example.com", browser)
    assert deployment.request("GET", link, browser).status_code == 303
    assert deployment.user("arm@example.com")["email_confirmed"] == {"BOOL": True}

    form = {"email": "arm@example.com", "password": PASSWORD, "new_email": "arm@example.org"}
    assert deployment.request("POST", "/accounts/email", browser, data=form).status_code == 303
    eventually(lambda: deployment.aws.mails_to("arm@example.org"))

    before = len(deployment.aws.mails_to("arm@example.com"))
    assert deployment.request("POST", "/accounts/password", data={"email": "arm@example.com"}).status_code == 303
    link = deployment.link_in(eventually(lambda: deployment.aws.mails_to("arm@example.com")[before:])[0])
    assert deployment.request("POST", link, data={"password": "another battery, correct"}).status_code == 303
    assert "password_changed_at" in deployment.user("arm@example.com")
    deployment.delete()
