#!/usr/bin/env python3
"""Says in a table whether a deployed stack works.

Signs up three addresses of SES' mailbox simulator through the API, follows a link, waits for a bounce and a complaint, and looks at everything around it. It
removes its three users again and changes nothing else; it costs three mails.

    python3 tests/rehearsal/rehearse.py --stack accounts

It needs Python 3.9 or later with boto3, and credentials that may read the stack and its parts and delete its users.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
import urllib.error
import urllib.request

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    sys.exit("This needs boto3: pip install boto3")

FUNCTIONS = ("CreateAccount", "ConfirmEmail", "ChangeEmail", "ResetPassword")
SIMULATOR = "simulator.amazonses.com"
OK, NOTE, FAIL = "ok", "note", "FAIL"


class Failed(Exception):
    """What is wrong, and what to do."""


class Noted(Exception):
    """What works, and might be better."""


def fetch(method: str, url: str, headers: dict[str, str], body: bytes | None = None):
    """Status, headers and body of an answer; redirects are not followed."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=35) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def token(key: bytes, address: str, now: float, salt: str = "email-confirm-key") -> str:
    """A link's token, as `itsdangerous.URLSafeTimedSerializer(key).dumps(address, salt=salt)` makes it."""

    def encoded(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    seconds = int(now)
    timestamp = seconds.to_bytes((seconds.bit_length() + 7) // 8, "big")
    signed = encoded(json.dumps(address).encode()) + b"." + encoded(timestamp)
    derived = hashlib.sha1(salt.encode() + b"signer" + key).digest()
    return (signed + b"." + encoded(hmac.new(derived, signed, hashlib.sha1).digest())).decode()


class Rehearsal:
    """One stack, and what was seen of it."""

    def __init__(self, stack: str, client=boto3.client, ask=fetch, patience: float = 180):
        self.stack, self.client, self.ask, self.patience = stack, client, ask, patience
        self.label = f"rehearsal-{secrets.token_hex(6)}"
        self.rows: list[tuple[str, str, str]] = []
        self.started = time.time()
        self.cookie = ""

    # ---- What is asked

    CHECKS = (
        "stack", "functions", "settings", "users table", "limits table", "key", "sender", "DKIM", "sandbox", "quota", "sending", "alarms", "alarm mail",
        "sign-up", "link", "bounce", "complaint", "logs", "cleaned up",
    )  # fmt: skip

    def run(self) -> bool:
        """Makes every check; whether none failed."""
        return all([self.check(name) for name in self.CHECKS])

    def check(self, name: str) -> bool:
        """Makes one check and notes its row."""
        try:
            found, seen = OK, getattr(self, "check_" + name.lower().replace(" ", "_").replace("-", "_"))()
        except Noted as note:
            found, seen = NOTE, str(note)
        except Failed as failure:
            found, seen = FAIL, str(failure)
        except (ClientError, BotoCoreError, OSError, LookupError) as failure:
            found, seen = FAIL, f"{type(failure).__name__}: {failure}"
        self.rows.append((name, found, seen))
        return found != FAIL

    def table(self) -> str:
        head = ("check", "", "seen")
        widths = [max(len(row[column]) for row in (head, *self.rows)) for column in range(2)]
        lines = [head, ("-" * widths[0], "-" * widths[1], "-" * 4), *self.rows]
        return "\n".join(f"| {name:{widths[0]}} | {found:{widths[1]}} | {seen} |" for name, found, seen in lines)

    # ---- Where things are

    def resource(self, logical_id: str) -> str:
        detail = self.client("cloudformation").describe_stack_resource(StackName=self.stack, LogicalResourceId=logical_id)
        return detail["StackResourceDetail"]["PhysicalResourceId"]

    def resources(self, kind: str) -> dict[str, str]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        every = [one for page in pages for one in page["StackResourceSummaries"]]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in every if one["ResourceType"] == kind}

    def describe(self) -> dict:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return stack

    def parameter(self, name: str) -> str:
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.describe()["Parameters"]}[name]

    def settings(self, function: str = "CreateAccount") -> dict[str, str]:
        """The settings as the function has them."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=self.resource(function))
        return configuration["Environment"]["Variables"]

    def sender(self) -> str:
        return self.settings()["MAIL_FROM"].rpartition("<")[2].rstrip(">")

    def address(self, kind: str) -> str:
        return f"{kind}+{self.label}@{SIMULATOR}"

    def user(self, address: str) -> dict:
        key = {"email": {"S": address}}
        answer = self.client("dynamodb").get_item(TableName=self.settings()["USERS_TABLE"], Key=key, ConsistentRead=True)
        return answer.get("Item", {})

    def wait_for(self, probe):
        """What `probe` gives once it gives something, within the patience; then None."""
        deadline = time.monotonic() + self.patience
        while not (found := probe()):
            if time.monotonic() > deadline:
                return None
            time.sleep(min(2.0, self.patience / 10))
        return found

    # ---- Around it

    def check_stack(self) -> str:
        status = self.describe()["StackStatus"]
        if not status.endswith("_COMPLETE") or status.startswith("ROLLBACK"):
            raise Failed(f"{status}: see its events, and deploy again")
        return status

    def check_functions(self) -> str:
        for function in FUNCTIONS:
            configuration = self.client("lambda").get_function_configuration(FunctionName=self.resource(function))
            state = (configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful"))
            if state != ("Active", "Successful"):
                raise Failed(f"{function} is {state[0]}, its last update {state[1]}")
        concurrency = self.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
        if concurrency < 100:
            raise Noted(f"active; but the account runs {concurrency} instances at once, of all functions together: ask for more")
        return f"active; the account runs {concurrency} instances at once"

    def check_settings(self) -> str:
        if not self.parameter("CanaryRelease"):
            return f"links begin with {self.settings()['BASE_URL']}"
        for function in FUNCTIONS:
            name = self.resource(function)
            published = self.client("lambda").get_function_configuration(FunctionName=name, Qualifier="live")["Environment"]["Variables"]
            if published != self.settings(function):
                raise Failed(f"{function}: changed settings are not published yet. Deploy with another CanaryRelease")
        return f"published; links begin with {self.settings()['BASE_URL']}"

    def check_users_table(self) -> str:
        table = self.settings()["USERS_TABLE"]
        self.expires(table)
        backups = self.client("dynamodb").describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        if backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED":
            raise Failed(f"{table} has no point-in-time recovery")
        if not self.client("dynamodb").describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
            raise Noted("TTL and point-in-time recovery are on. It can be deleted: now that the stack stands, deploy with DeletionProtection=yes")
        return "TTL, point-in-time recovery and deletion protection are on"

    def check_limits_table(self) -> str:
        self.expires(self.settings()["LIMITS_TABLE"])
        return "TTL is on"

    def expires(self, table: str) -> None:
        expiry = self.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if expiry.get("AttributeName") != "expires_at" or expiry["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
            raise Failed(f"{table} has no TTL on expires_at")

    def key(self) -> bytes:
        return self.client("secretsmanager").get_secret_value(SecretId=self.settings()["SECRET_KEY_ARN"])["SecretString"].encode()

    def check_key(self) -> str:
        if len(self.key()) < 16:
            raise Failed("the signing key has fewer than 16 bytes")
        return "there, and long enough"

    def identity(self) -> tuple[str, dict]:
        """The verified identity that the sender's mails leave under: its address, its domain or a parent of that."""
        address = self.sender()
        labels = address.rpartition("@")[2].split(".")
        for name in (address, *(".".join(labels[at:]) for at in range(len(labels) - 1))):
            try:
                identity = self.client("sesv2").get_email_identity(EmailIdentity=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NotFoundException":
                    raise
                continue
            if identity["VerifiedForSendingStatus"]:
                return name, identity
        raise Failed(f"neither {address} nor its domain is a verified identity of SES in this region")

    def check_sender(self) -> str:
        return f"{self.sender()}, by the verified identity {self.identity()[0]}"

    def check_dkim(self) -> str:
        name, identity = self.identity()
        if identity.get("DkimAttributes", {}).get("Status") != "SUCCESS":
            raise Failed(f"{name} has no DKIM: many mailboxes will take the mails for spam")
        origin = identity.get("MailFromAttributes", {})
        if origin.get("MailFromDomainStatus") != "SUCCESS":
            raise Noted(f"{name} signs; a MAIL FROM domain of yours is missing, so that SPF is Amazon's")
        return f"{name} signs, mails come from {origin['MailFromDomain']}"

    def check_sandbox(self) -> str:
        if not self.client("sesv2").get_account()["ProductionAccessEnabled"]:
            raise Failed("SES' sandbox: only verified addresses and its simulator get mail. Ask for production access")
        return "out of it"

    def check_quota(self) -> str:
        account = self.client("sesv2").get_account()
        quota = account["SendQuota"]
        if not account["SendingEnabled"] or account["EnforcementStatus"] != "HEALTHY":
            raise Failed(f"SES has this account at {account['EnforcementStatus']}: see its reputation page")
        if quota["Max24HourSend"] < 0:
            return "without limit"
        left = quota["Max24HourSend"] - quota["SentLast24Hours"]
        seen = f"{quota['SentLast24Hours']:.0f} of {quota['Max24HourSend']:.0f} mails in 24 hours, {quota['MaxSendRate']:.0f} a second"
        if left < quota["Max24HourSend"] / 10:
            raise Failed(f"{seen}: nearly used up")
        if float(self.parameter("DailyMailCeiling")) > quota["Max24HourSend"]:
            raise Noted(f"{seen}: less than DailyMailCeiling")
        return seen

    def check_sending(self) -> str:
        outputs = {one["OutputKey"]: one["OutputValue"] for one in self.describe()["Outputs"]}
        for output in ("MailConfigurationName", "NoticesConfigurationName"):
            name = outputs[output]
            configuration = self.client("sesv2").get_configuration_set(ConfigurationSetName=name)
            if not configuration.get("SendingOptions", {}).get("SendingEnabled", True):
                raise Failed(f"{name} is paused: see which alarm did it")
            destinations = self.client("sesv2").get_configuration_set_event_destinations(ConfigurationSetName=name).get("EventDestinations", [])
            if not [one for one in destinations if one["Enabled"] and "EventBridgeDestination" in one]:
                raise Failed(f"{name} does not tell EventBridge of bounces and complaints")
        return "neither configuration set is paused"

    def check_alarms(self) -> str:
        names = list(self.resources("AWS::CloudWatch::Alarm").values())
        alarms = self.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        raised = sorted(alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM")
        if len(alarms) < len(names) or not names:
            raise Failed(f"{len(names) - len(alarms)} of {len(names)} alarms are missing")
        if raised:
            raise Failed(f"raised: {', '.join(raised)}")
        waiting = sum(alarm["StateValue"] == "INSUFFICIENT_DATA" for alarm in alarms)
        return f"none of {len(names)} is raised" + (f"; {waiting} have no data yet" if waiting else "")

    def check_alarm_mail(self) -> str:
        topic = self.resource("AlarmTopic")
        subscriptions = self.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if not subscriptions:
            raise Noted("nobody is told of an alarm: deploy with AlarmEmail, or subscribe to AlarmTopicArn")
        if all(one["SubscriptionArn"] == "PendingConfirmation" for one in subscriptions):
            raise Failed("nobody has confirmed a subscription to the alarms: look into that inbox")
        return f"{len(subscriptions)} subscribed"

    # ---- A user

    def sign_up(self, kind: str):
        form = json.dumps({"email": self.address(kind), "password": secrets.token_urlsafe(24)}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        status, answered, body = self.ask("POST", self.settings()["BASE_URL"] + "/accounts/create", headers, form)
        if status == 422 and self.parameter("Challenge") != "none":
            raise Failed(
                "Challenge keeps this machine out: while you rehearse, deploy with its address in TrustedNetworks (203.0.113.7/32), "
                "or behind a proxy with Challenge=none"
            )
        if status != 202:
            raise Failed(f"the sign-up was answered {status}: {body.decode(errors='replace')[:200]}")
        return answered

    def check_sign_up(self) -> str:
        answered = self.sign_up("success")
        self.cookie = "; ".join(one.partition(";")[0] for one in answered.get_all("Set-Cookie") or [])
        if self.user(self.address("success")).get("email_confirmed") != {"BOOL": False}:
            raise Failed("the sign-up was accepted, and there is no row for it")
        return "accepted, mailed, and its row waits"

    def check_link(self) -> str:
        made = token(self.key(), self.address("success"), time.time())
        headers = {"Accept": "text/html", **({"Cookie": self.cookie} if self.cookie else {})}
        status, answered, _ = self.ask("GET", f"{self.settings()['BASE_URL']}/accounts/confirm/{made}", headers)
        if status != 303:
            raise Failed(f"the link was answered {status}")
        if self.user(self.address("success")).get("email_confirmed") != {"BOOL": True}:
            raise Failed("the link redirected, and the row is not confirmed")
        return f"confirmed, on to {answered['Location']}"

    def check_bounce(self) -> str:
        return self.comes_back("bounce")

    def check_complaint(self) -> str:
        return self.comes_back("complaint")

    def comes_back(self, kind: str) -> str:
        began = time.monotonic()
        self.sign_up(kind)
        if self.wait_for(lambda: self.user(self.address(kind)).get("undeliverable")) != {"S": kind}:
            raise Failed(f"not marked within {self.patience:.0f} s: see the state machine MarkUndeliverable and its rule")
        return f"marked after {time.monotonic() - began:.0f} s"

    def check_logs(self) -> str:
        for group in ("FunctionLog", "ApiLog"):
            name = self.resource(group)
            (found,) = [
                one for one in self.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"] if one["logGroupName"] == name
            ]  # fmt: skip
            if "retentionInDays" not in found:
                raise Failed(f"{name} is kept for ever")

        def lines():
            since = int(self.started * 1000)
            return self.client("logs").filter_log_events(logGroupName=self.resource("FunctionLog"), startTime=since).get("events")

        if not self.wait_for(lines):
            raise Failed("the functions wrote no log")
        return f"written, and kept for {found['retentionInDays']} days"

    def check_cleaned_up(self) -> str:
        table = self.settings()["USERS_TABLE"]
        for kind in ("success", "bounce", "complaint"):
            self.client("dynamodb").delete_item(TableName=table, Key={"email": {"S": self.address(kind)}})
        if any(self.user(self.address(kind)) for kind in ("success", "bounce", "complaint")):
            raise Failed(f"rows with {self.label} are left")
        return f"the rows with {self.label} are gone; what limits remember of them expires"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="accounts", help="name of the stack (accounts)")
    parser.add_argument("--region", help="its region (that of your AWS configuration)")
    parser.add_argument("--profile", help="profile of your AWS configuration")
    options = parser.parse_args(arguments)
    session = boto3.Session(region_name=options.region, profile_name=options.profile)
    rehearsal = Rehearsal(options.stack, session.client)
    works = rehearsal.run()
    print(rehearsal.table())
    print("\nIt works." if works else "\nIt does not work yet.")
    return 0 if works else 1


if __name__ == "__main__":
    sys.exit(main())
