"""A local AWS with the stack deployed into it, and a user's view of the two."""

import contextlib
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import requests
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
STACK = "accounts"
SENDER = "no-reply@example.com"
PASSWORD = "correct horse battery"
# Without the limits, which the tests of the functions are for.
FREE = {"ResendCooldown": "0", "RequestsPerNetwork": "0"}
# Function of the template, and program.
PROGRAMS = {"CreateAccount": "create-account", "ConfirmEmail": "confirm-email", "ChangeEmail": "change-email", "ResetPassword": "reset-password"}
FUNCTIONS = tuple(PROGRAMS)
HOST_ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def build(folder: Path) -> Path:
    """`sam build` for this machine's processor, which the template names in one line; gives the folder with the built template."""
    source = folder / "source.yaml"
    source.write_text((ROOT / "template.yaml").read_text().replace("Architectures: [arm64]", f"Architectures: [{HOST_ARCHITECTURE}]"))
    built = folder / "built"
    command = ["sam", "build", "--template-file", source, "--base-dir", ROOT, "--build-dir", built]
    subprocess.run(command, cwd=ROOT, check=True)
    # To deploy it, sam reads it seven times, and JSON in a fraction of the time. A release's is deployed as YAML.
    template = built / "template.yaml"
    template.write_text(json.dumps(yaml_parse(template.read_text())))
    return built


class LocalAws:
    """MiniStack on a port of its own."""

    def __init__(self, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.log = folder / "aws.log"
        listen_here = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
        write_here = {"TMPDIR": str(folder), "STATE_DIR": str(folder / "state"), "S3_DATA_DIR": str(folder / "s3")}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("local_aws.py")],
                env={**self.environment, **listen_here, **write_here},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> None:
        """Waits until it answers."""
        eventually(lambda: requests.get(f"{self.endpoint}/_ministack/ready", timeout=5).ok)

    def client(self, service: str):
        # Some calls put a prefix before the host, which an IP address cannot have.
        config = Config(inject_host_prefix=False)
        return boto3.client(service, endpoint_url=self.endpoint, aws_access_key_id="test", aws_secret_access_key="test", config=config)

    def run(self, *command: str) -> None:
        """Runs a command against this AWS, and shows what it said if it fails."""
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"

    def mails_to(self, address: str) -> list[dict]:
        """The mails to an address, oldest first."""
        by_account = requests.get(f"{self.endpoint}/_ministack/ses/messages", timeout=10).json()
        mails = [mail for mails in by_account["messages"].values() for mail in mails]
        return sorted((mail for mail in mails if address in mail["To"]), key=lambda mail: mail["Timestamp"])

    def stop(self) -> None:
        """Ends it, and the functions that it started."""
        self._process.terminate()
        self._process.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@dataclass
class Deployment:
    """The stack, deployed as the README says."""

    aws: LocalAws
    built: Path
    stack: str = STACK
    outputs: dict[str, str] = field(default_factory=dict)

    def deploy(self, **parameters: str) -> None:
        given = {"MailFrom": SENDER, **parameters}
        self.aws.run(
            "sam", "deploy", "--config-file", str(ROOT / "samconfig.toml"), "--template-file", str(self.built / "template.yaml"),
            "--stack-name", self.stack, "--no-confirm-changeset",
            # `Name=` is no value for sam, and without one a parameter keeps its last.
            "--parameter-overrides", *(f'{name}="{value}"' for name, value in given.items()),
        )  # fmt: skip
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def delete(self) -> None:
        self.aws.run("sam", "delete", "--stack-name", self.stack, "--no-prompts", "--region", "us-east-1")

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource of the stack."""
        resource = self.aws.client("cloudformation").describe_stack_resource(StackName=self.stack, LogicalResourceId=logical_id)
        return resource["StackResourceDetail"]["PhysicalResourceId"]

    def request(self, method: str, path: str, browser: requests.Session | None = None, **options) -> requests.Response:
        """Asks the API, at its own address, with the browser's cookies."""
        host = self.outputs["ApiEndpoint"].removeprefix("http://")
        return (browser or requests).request(
            method, self.aws.endpoint + path, headers={"Host": host, **options.pop("headers", {})},
            allow_redirects=False, timeout=30, **options,
        )  # fmt: skip

    def sign_up(self, address: str, browser: requests.Session | None = None) -> str:
        """Signs up as a browser does; gives the path of the link in the mail."""
        before = len(self.aws.mails_to(address))
        answer = self.request("POST", "/accounts/create", browser, data={"email": address, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        mail = eventually(lambda: self.aws.mails_to(address)[before:])[0]
        return self.link_in(mail)

    def account(self, address: str) -> requests.Session:
        """An account with a confirmed address; gives the browser that made it."""
        browser = requests.Session()
        answer = self.request("GET", self.sign_up(address, browser), browser)
        assert answer.status_code == 303, answer.text
        return browser

    @staticmethod
    def link_in(mail: dict) -> str:
        return re.search(r"https?://[^/\s]+(/accounts/(?:confirm|password)/[\w.-]+)", mail["BodyText"]).group(1)

    def user(self, address: str) -> dict | None:
        """A row of the users table."""
        table = self.outputs["UsersTableName"]
        return self.aws.client("dynamodb").get_item(TableName=table, Key={"email": {"S": address}}, ConsistentRead=True).get("Item")

    def secret_key(self) -> str:
        return self.aws.client("secretsmanager").get_secret_value(SecretId=self.outputs["SecretKeyArn"])["SecretString"]

    def log(self) -> list[str]:
        """What the functions wrote."""
        group = self.resource("FunctionLog")
        return [event["message"] for event in self.aws.client("logs").filter_log_events(logGroupName=group)["events"]]

    def restart_functions(self) -> None:
        """An update of the configuration, even to what it is, makes Lambda start new instances."""
        client = self.aws.client("lambda")
        for name in FUNCTIONS:
            function = self.resource(name)
            configuration = client.get_function_configuration(FunctionName=function)
            client.update_function_configuration(FunctionName=function, Timeout=configuration["Timeout"])


def eventually(probe, seconds: float = 30):
    """What `probe` gives, once it gives something; connection failures count as nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := probe():
                return found
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.1)


def stream_records(aws: LocalAws, stream_arn: str) -> list[dict]:
    """Every record of a table's stream."""
    client = aws.client("dynamodbstreams")
    records = []
    for shard in client.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(StreamArn=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        records += client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    return json.loads(json.dumps(records, default=str))
