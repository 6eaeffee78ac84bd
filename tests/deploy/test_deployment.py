"""`sam build` and `sam deploy` for real, into a local AWS that runs the functions, and then a user."""

import json
import secrets

import pytest
from deployment import SENDER, Deployment, LocalAws, eventually, stream_records
from itsdangerous import URLSafeTimedSerializer
from samtranslator.yaml_helper import yaml_parse

# What every event of EventBridge has.
ENVELOPE = {
    "id": "1", "account": "1", "source": "test", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail-type": "test",
}  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    aws = LocalAws(tmp_path_factory.mktemp("aws"))
    try:
        aws.ready()
        aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        yield aws
    finally:
        aws.stop()


@pytest.fixture(scope="module")
def deployment(aws, root, tmp_path_factory):
    deployment = Deployment(aws, root, tmp_path_factory.mktemp("built"))
    deployment.build()
    deployment.deploy(ResendCooldown="0")
    return deployment


def test_a_sign_up_is_confirmed_by_the_link_in_its_mail(deployment):
    link = deployment.sign_up("ada@example.com")
    assert deployment.user("ada@example.com")["email_confirmed"] == {"BOOL": False}

    answer = deployment.request("GET", link)

    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"] == deployment.outputs["ApiEndpoint"] + "/accounts/confirmed"
    user = deployment.user("ada@example.com")
    assert user["email_confirmed"] == {"BOOL": True}
    assert "expires_at" not in user


def test_pages_come_from_their_functions(deployment):
    for path in ("/accounts/create", "/accounts/created", "/accounts/confirmed", "/accounts/email"):
        answer = deployment.request("GET", path)
        assert answer.status_code == 200, path
        assert answer.headers["Content-Type"].startswith("text/html"), path
    assert deployment.request("GET", "/elsewhere").status_code == 404


def test_an_account_moves_to_a_new_address(deployment):
    deployment.request("GET", deployment.sign_up("old@example.com"))

    form = {"email": "old@example.com", "password": "correct horse battery", "new_email": "new@example.com"}
    assert deployment.request("POST", "/accounts/email", data=form).status_code == 303
    mail = eventually(lambda: deployment.aws.mails_to("new@example.com"))[0]
    assert deployment.request("GET", deployment.link_in(mail)).status_code == 303

    assert deployment.user("old@example.com") is None
    assert deployment.user("new@example.com")["email_confirmed"] == {"BOOL": True}


def test_a_link_made_by_flask_confirms(deployment):
    deployment.sign_up("flask@example.com")

    token = URLSafeTimedSerializer(deployment.secret_key()).dumps("flask@example.com", salt="email-confirm-key")
    answer = deployment.request("GET", f"/accounts/confirm/{token}")

    assert answer.status_code == 303, answer.text
    assert deployment.user("flask@example.com")["email_confirmed"] == {"BOOL": True}


def test_a_rotated_key_signs_and_the_previous_one_still_verifies(deployment):
    link = deployment.sign_up("before@example.com")

    new_key = secrets.token_urlsafe(48)
    deployment.aws.client("secretsmanager").put_secret_value(SecretId=deployment.outputs["SecretKeyArn"], SecretString=new_key)
    deployment.restart_functions()

    assert deployment.request("GET", link).status_code == 303
    token = deployment.sign_up("after@example.com").rpartition("/")[2]
    assert URLSafeTimedSerializer(new_key).loads(token, salt="email-confirm-key") == "after@example.com"


@pytest.mark.parametrize(
    "event",
    [
        {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "General"}},
        {"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}},
    ],
    ids=["bounce", "complaint"],
)
def test_what_comes_back_marks_the_row(deployment, event):
    address = f"{event['eventType'].lower()}@example.com"
    deployment.sign_up(address)

    come_back(deployment, address, event)

    assert deployment.user(address)["undeliverable"] == {"BOOL": True}


def test_a_soft_bounce_and_an_unknown_address_mark_nothing(deployment):
    deployment.sign_up("full-inbox@example.com")

    come_back(deployment, "full-inbox@example.com", {"eventType": "Bounce", "bounce": {"bounceType": "Transient"}})
    come_back(deployment, "unknown@example.com", {"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}})

    assert "undeliverable" not in deployment.user("full-inbox@example.com")
    assert deployment.user("unknown@example.com") is None


def come_back(deployment, address, event):
    """What SES tells EventBridge about a mail, and what follows if the rule takes it. Nobody but SES may send such an event."""
    mail = {"source": SENDER, "destination": [address], "tags": {"ses:configuration-set": [deployment.outputs["MailConfigurationName"]]}}
    event = {**ENVELOPE, "source": "aws.ses", "detail": {**event, "mail": mail}}
    rule = deployment.aws.client("events").describe_rule(Name=deployment.resource("Undeliverable"))
    if matches(deployment.aws, json.loads(rule["EventPattern"]), event):
        execution = deployment.aws.client("stepfunctions").start_sync_execution(
            stateMachineArn=deployment.resource("MarkUndeliverable"), input=json.dumps(event)
        )
        assert execution["status"] == "SUCCEEDED", execution


def test_each_request_is_logged_and_counted_and_names_nobody(deployment):
    link = deployment.sign_up("private@example.com")
    deployment.request("GET", link)

    eventually(lambda: any("Confirmed" in line for line in deployment.log()))
    lines = deployment.log()
    requests = [json.loads(line) for line in lines if line.startswith("{")]
    functions = {deployment.resource(name) for name in ("CreateAccount", "ConfirmEmail", "ChangeEmail")}
    # The name that the alarms and the dashboard ask for: the deployed one, so that two stacks do not count for each other.
    assert {request["Function"] for request in requests} <= functions
    text = "".join(lines)
    assert "private" not in text and link.rpartition("/")[2] not in text


def test_deploying_again_keeps_users_key_and_links(deployment):
    link = deployment.sign_up("patient@example.com")
    table, key = deployment.outputs["UsersTableName"], deployment.secret_key()

    deployment.deploy(ResendCooldown="0", AppName="Another-Name", SignInUrl="https://app.example.com/sign-in", AnnounceAddresses="yes")

    assert deployment.outputs["UsersTableName"] == table
    assert deployment.secret_key() == key
    assert deployment.user("patient@example.com") is not None
    answer = deployment.request("GET", link)
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://app.example.com/sign-in")
    assert "Another-Name" in deployment.request("GET", "/accounts/create").text


def test_confirmed_and_changed_addresses_are_announced_once_and_nothing_else_is(deployment, root):
    # MiniStack's pipes neither filter nor transform: its matcher of events is asked what the pipe's filters take.
    deployment.deploy(ResendCooldown="0", AnnounceAddresses="yes")
    confirmed = deployment.sign_up("first@example.com")
    deployment.sign_up("never@example.com")
    deployment.request("GET", confirmed)
    # A notice to the confirmed address: another write to its row.
    form = {"email": "first@example.com", "password": "correct horse battery"}
    deployment.request("POST", "/accounts/create", data=form)
    form = {"email": "first@example.com", "password": "correct horse battery", "new_email": "second@example.com"}
    deployment.request("POST", "/accounts/email", data=form)
    mail = eventually(lambda: deployment.aws.mails_to("second@example.com"))[0]
    deployment.request("GET", deployment.link_in(mail))

    template = yaml_parse((root / "template.yaml").read_text())
    filters = template["Resources"]["AddressPipe"]["Properties"]["SourceParameters"]["FilterCriteria"]["Filters"]
    patterns = [json.loads(one["Pattern"]) for one in filters]
    table = deployment.aws.client("dynamodb").describe_table(TableName=deployment.outputs["UsersTableName"])["Table"]
    announced = [
        record["dynamodb"]["NewImage"]["email"]["S"]
        for record in stream_records(deployment.aws, table["LatestStreamArn"])
        if any(matches(deployment.aws, {"detail": pattern}, {**ENVELOPE, "detail": record}) for pattern in patterns)
    ]
    mine = [address for address in announced if address in ("first@example.com", "never@example.com", "second@example.com")]
    assert mine == ["first@example.com", "second@example.com"]


def matches(aws, pattern, event) -> bool:
    return aws.client("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]


def test_a_custom_domain_is_a_parameter_away(deployment):
    certificate = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"

    deployment.deploy(ResendCooldown="0", DomainName="accounts.example.com", CertificateArn=certificate)

    api = deployment.aws.client("apigatewayv2").get_api(ApiId=deployment.resource("Api"))
    assert api["DisableExecuteApiEndpoint"] is True
    assert deployment.outputs["SignUpUrl"] == "https://accounts.example.com/accounts/create"
    answer = deployment.request("GET", "/accounts/create", headers={"Host": "accounts.example.com"})
    assert answer.status_code == 200, answer.text
