"""`sam build` and `sam deploy` for real, into a local AWS that runs the functions, and then a user. What that AWS lacks stands in `local_aws.py`."""

import json
import secrets

import pytest
import requests
from deployment import FREE, FUNCTIONS, PASSWORD, SENDER, Deployment, eventually
from itsdangerous import URLSafeTimedSerializer

# What every event of EventBridge has.
ENVELOPE = {
    "id": "1", "account": "1", "source": "test", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail-type": "test",
}  # fmt: skip


@pytest.fixture(scope="module")
def deployment(aws, built):
    deployment = Deployment(aws, built)
    deployment.deploy(**FREE)
    return deployment


@pytest.fixture
def browser():
    return requests.Session()


# ---- A user


def test_a_sign_up_is_confirmed_by_the_link_in_its_mail(deployment, browser):
    link = deployment.sign_up("ada@example.com", browser)
    assert deployment.user("ada@example.com")["email_confirmed"] == {"BOOL": False}

    answer = deployment.request("GET", link, browser)

    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"] == deployment.outputs["ApiEndpoint"] + "/accounts/confirmed"
    user = deployment.user("ada@example.com")
    assert user["email_confirmed"] == {"BOOL": True}
    assert "expires_at" not in user


def test_elsewhere_the_link_asks_for_the_password(deployment, browser):
    link = deployment.sign_up("phone@example.com")

    assert deployment.request("GET", link, browser).status_code == 200
    assert deployment.user("phone@example.com")["email_confirmed"] == {"BOOL": False}

    assert deployment.request("POST", link, browser, data={"password": PASSWORD}).status_code == 303
    assert deployment.user("phone@example.com")["email_confirmed"] == {"BOOL": True}


def test_pages_come_from_their_functions(deployment):
    for path in ("/accounts/create", "/accounts/created", "/accounts/confirmed", "/accounts/email", "/accounts/password"):
        answer = deployment.request("GET", path)
        assert answer.status_code == 200, path
        assert answer.headers["Content-Type"].startswith("text/html"), path
    assert deployment.request("GET", "/elsewhere").status_code == 404


def test_an_account_moves_to_a_new_address(deployment):
    browser = deployment.account("old@example.com")

    form = {"email": "old@example.com", "password": PASSWORD, "new_email": "new@example.com"}
    assert deployment.request("POST", "/accounts/email", browser, data=form).status_code == 303
    mail = eventually(lambda: deployment.aws.mails_to("new@example.com"))[0]
    assert deployment.request("GET", deployment.link_in(mail), browser).status_code == 303

    assert deployment.user("old@example.com") is None
    assert deployment.user("new@example.com")["email_confirmed"] == {"BOOL": True}


def test_a_forgotten_password_is_replaced(deployment):
    deployment.account("forgetful@example.com")
    before = deployment.user("forgetful@example.com")["password_hash"]

    assert deployment.request("POST", "/accounts/password", data={"email": "forgetful@example.com"}).status_code == 303
    link = deployment.link_in(eventually(lambda: deployment.aws.mails_to("forgetful@example.com")[1:])[0])
    assert deployment.request("GET", link).status_code == 200
    assert deployment.request("POST", link, data={"password": "another battery, correct"}).status_code == 303

    user = deployment.user("forgetful@example.com")
    assert user["password_hash"] != before and "password_changed_at" in user


def test_a_link_made_by_flask_confirms(deployment, browser):
    deployment.sign_up("flask@example.com", browser)

    token = URLSafeTimedSerializer(deployment.secret_key()).dumps("flask@example.com", salt="email-confirm-key")
    answer = deployment.request("GET", f"/accounts/confirm/{token}", browser)

    assert answer.status_code == 303, answer.text
    assert deployment.user("flask@example.com")["email_confirmed"] == {"BOOL": True}


def test_a_rotated_key_signs_and_the_previous_one_still_verifies(deployment, browser):
    link = deployment.sign_up("before@example.com", browser)

    new_key = secrets.token_urlsafe(48)
    deployment.aws.client("secretsmanager").put_secret_value(SecretId=deployment.outputs["SecretKeyArn"], SecretString=new_key)
    deployment.restart_functions()

    assert deployment.request("GET", link, browser).status_code == 303
    token = deployment.sign_up("after@example.com").rpartition("/")[2]
    assert URLSafeTimedSerializer(new_key).loads(token, salt="email-confirm-key") == "after@example.com"


# ---- Mail that comes back


@pytest.mark.parametrize("why", ["bounce", "complaint"])
def test_what_comes_back_marks_the_row(deployment, why):
    address = f"{why}@simulator.amazonses.com"

    deployment.sign_up(address)

    assert eventually(lambda: deployment.user(address).get("undeliverable")) == {"S": why}


def test_a_later_bounce_does_not_hide_a_complaint(deployment):
    address = "complaint+bounce@simulator.amazonses.com"
    deployment.sign_up(address)
    eventually(lambda: deployment.user(address).get("undeliverable"))

    come_back(deployment, address, {"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}})

    assert deployment.user(address)["undeliverable"] == {"S": "complaint"}


def test_a_soft_bounce_and_an_unknown_address_mark_nothing(deployment):
    deployment.sign_up("full-inbox@example.com")

    come_back(deployment, "full-inbox@example.com", {"eventType": "Bounce", "bounce": {"bounceType": "Transient"}})
    come_back(deployment, "unknown@example.com", {"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}})

    assert "undeliverable" not in deployment.user("full-inbox@example.com")
    assert deployment.user("unknown@example.com") is None


def come_back(deployment, address, event):
    """What SES tells EventBridge about a mail, and what follows if the rule takes it. Nobody but SES may send such an event."""
    mail = {"source": SENDER, "destination": [address], "tags": {"ses:configuration-set": [deployment.outputs["NoticesConfigurationName"]]}}
    event = {**ENVELOPE, "source": "aws.ses", "detail": {**event, "mail": mail}}
    rule = deployment.aws.client("events").describe_rule(Name=deployment.resource("MarkUndeliverableUndeliverable"))
    if matches(deployment.aws, json.loads(rule["EventPattern"]), event):
        execution = deployment.aws.client("stepfunctions").start_sync_execution(
            stateMachineArn=deployment.resource("MarkUndeliverable"), input=json.dumps(event)
        )
        assert execution["status"] == "SUCCEEDED", execution


def matches(aws, pattern, event) -> bool:
    return aws.client("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]


# ---- Fuses


def set_alarm(deployment, name, state):
    deployment.aws.client("cloudwatch").set_alarm_state(AlarmName=deployment.resource(name), StateValue=state, StateReason="test")


def sending(deployment, configuration="MailConfigurationName"):
    configuration = deployment.aws.client("sesv2").get_configuration_set(ConfigurationSetName=deployment.outputs[configuration])
    return configuration["SendingOptions"]["SendingEnabled"]


def finished(deployment, executions):
    """Waits until the state machine has run so many times."""
    machine = deployment.resource("SwitchSending")
    client = deployment.aws.client("stepfunctions")
    eventually(lambda: len(client.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]) >= executions)


def test_fuses_pause_sending_and_only_the_ceilings_end_resumes_it(deployment):
    set_alarm(deployment, "MailCeilingAlarm", "ALARM")
    eventually(lambda: not sending(deployment))
    assert deployment.request("POST", "/accounts/create", data={"email": "late@example.com", "password": PASSWORD}).status_code == 503
    set_alarm(deployment, "MailCeilingAlarm", "OK")
    eventually(lambda: sending(deployment))

    # A fuse of bounces: neither its own end nor the ceiling's resumes.
    set_alarm(deployment, "MailCeilingAlarm", "ALARM")
    set_alarm(deployment, "BounceFuseAlarm", "ALARM")
    finished(deployment, 4)
    set_alarm(deployment, "MailCeilingAlarm", "OK")
    finished(deployment, 5)
    set_alarm(deployment, "BounceFuseAlarm", "OK")
    assert not sending(deployment)
    assert sending(deployment, "NoticesConfigurationName")

    # By hand, as OPERATIONS.md says.
    deployment.aws.client("sesv2").put_configuration_set_sending_options(
        ConfigurationSetName=deployment.outputs["MailConfigurationName"], SendingEnabled=True
    )
    deployment.sign_up("late@example.com")


# ---- Logs and announcements


def test_each_request_is_logged_and_counted_and_names_nobody(deployment, browser):
    link = deployment.sign_up("private@example.com", browser)
    deployment.request("GET", link, browser)

    eventually(lambda: any("Confirmed" in line for line in deployment.log()))
    lines = deployment.log()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    functions = {deployment.resource(name) for name in ("CreateAccount", "ConfirmEmail", "ChangeEmail", "ResetPassword")}
    # The name that the alarms and the dashboard ask for: the deployed one, so that two stacks do not count for each other.
    assert {line["Function"] for line in logged if "Function" in line} <= functions
    text = "".join(lines)
    assert "private" not in text and link.rpartition("/")[2] not in text


def test_confirmed_and_changed_users_are_announced_and_nothing_else_is(deployment):
    deployment.deploy(**FREE, AnnounceAddresses="yes")
    queue = deployment.aws.client("sqs").create_queue(QueueName="announced")["QueueUrl"]
    arn = deployment.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployment.aws.client("sns").subscribe(TopicArn=deployment.outputs["AddressTopicArn"], Protocol="sqs", Endpoint=arn)

    browser = deployment.account("first@example.com")
    deployment.sign_up("never@example.com")
    # Another write to the confirmed row.
    change = {"UpdateExpression": "SET seen_at = :now", "ExpressionAttributeValues": {":now": {"S": "now"}}}
    key = {"TableName": deployment.outputs["UsersTableName"], "Key": {"email": {"S": "first@example.com"}}}
    deployment.aws.client("dynamodb").update_item(**key, **change)
    form = {"email": "first@example.com", "password": PASSWORD, "new_email": "second@example.com"}
    deployment.request("POST", "/accounts/email", browser, data=form)
    mail = eventually(lambda: deployment.aws.mails_to("second@example.com"))[0]
    deployment.request("GET", deployment.link_in(mail), browser)
    deployment.request("POST", "/accounts/password", data={"email": "second@example.com"})
    link = eventually(lambda: [path for path in map(deployment.link_in, deployment.aws.mails_to("second@example.com")[1:]) if "/password/" in path])[0]
    deployment.request("POST", link, data={"password": "another battery, correct"})

    received = []

    def receive():
        messages = deployment.aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        received.extend(json.loads(json.loads(message["Body"])["Message"]) for message in messages)
        return len(received) >= 3

    eventually(receive)
    assert [(one["email"], "password_changed_at" in one) for one in received] == [
        ("first@example.com", False), ("second@example.com", False), ("second@example.com", True),
    ]  # fmt: skip
    assert len({one["user_id"] for one in received}) == 1
    assert all(set(one) <= {"user_id", "email", "confirmed_at", "password_changed_at"} for one in received)


def test_the_pipes_filters_let_through_what_the_state_machine_looks_for(deployment, source):
    # MiniStack's pipes take everything: its matcher of events is asked what the filters take.
    filters = source["Resources"]["AddressPipe"]["Properties"]["SourceParameters"]["FilterCriteria"]["Filters"]
    waiting, confirmed = {"email_confirmed": {"BOOL": False}}, {"email_confirmed": {"BOOL": True}}
    changed = {**confirmed, "password_changed_at": {"S": "2026-01-01T00:00:00Z"}}

    def taken(name, old, new):
        record = {"eventName": name, "dynamodb": {key: image for key, image in (("OldImage", old), ("NewImage", new)) if image is not None}}
        patterns = [{"detail": json.loads(one["Pattern"])} for one in filters]
        return any(matches(deployment.aws, pattern, {**ENVELOPE, "detail": record}) for pattern in patterns)

    assert taken("MODIFY", waiting, confirmed)
    assert taken("MODIFY", {}, confirmed)
    assert taken("INSERT", None, confirmed)
    assert taken("MODIFY", confirmed, changed)
    assert not taken("INSERT", None, waiting)
    assert not taken("MODIFY", confirmed, confirmed)
    assert not taken("REMOVE", confirmed, None)


# ---- Updates


def test_deploying_again_keeps_users_key_and_links(deployment, browser):
    link = deployment.sign_up("patient@example.com", browser)
    table, key = deployment.outputs["UsersTableName"], deployment.secret_key()

    deployment.deploy(**FREE, AppName="Another-Name", SignInUrl="https://app.example.com/sign-in", DeletionProtection="yes")

    assert deployment.outputs["UsersTableName"] == table
    assert deployment.secret_key() == key
    assert deployment.user("patient@example.com") is not None
    answer = deployment.request("GET", link, browser)
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://app.example.com/sign-in")
    assert "Another-Name" in deployment.request("GET", "/accounts/create").text
    protected = deployment.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    assert protected["DeletionProtectionEnabled"] is True


def test_a_canary_brings_new_settings(deployment):
    deployment.deploy(**FREE, AppName="Before-Canary", CanaryRelease="1")
    assert "Before-Canary" in deployment.request("GET", "/accounts/create").text

    deployment.deploy(**FREE, AppName="After-Canary", CanaryRelease="2")
    assert "After-Canary" in deployment.request("GET", "/accounts/create").text

    deployment.deploy(**FREE, AppName="At-Once", CanaryRelease="")
    assert "At-Once" in deployment.request("GET", "/accounts/create").text


def test_a_custom_domain_is_a_parameter_away(deployment):
    certificate = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"

    deployment.deploy(**FREE, DomainName="accounts.example.com", CertificateArn=certificate)

    api = deployment.aws.client("apigatewayv2").get_api(ApiId=deployment.resource("Api"))
    assert api["DisableExecuteApiEndpoint"] is True
    assert deployment.outputs["SignUpUrl"] == "https://accounts.example.com/accounts/create"
    answer = deployment.request("GET", "/accounts/create", headers={"Host": "accounts.example.com"})
    assert answer.status_code == 200, answer.text


def test_what_belongs_together_must_be_given_together(deployment):
    with pytest.raises(AssertionError, match="Challenge needs ChallengeSiteKey and ChallengeSecretArn"):
        deployment.deploy(**FREE, DomainName="", CertificateArn="", Challenge="turnstile")


def test_a_first_deployment_that_fails_leaves_nothing_behind(deployment, built, tmp_path):
    template = json.loads((built / "template.yaml").read_text())
    for name in FUNCTIONS:
        template["Resources"][name]["Properties"]["CodeUri"] = str(built / name)
    # Made last, and refused: an alarm without a threshold.
    refused = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Namespace": "None", "MetricName": "None"}}
    template["Resources"]["Broken"] = {**refused, "DependsOn": ["Dashboard", "UsersTable", "SecretKey"]}
    (tmp_path / "template.yaml").write_text(json.dumps(template))

    with pytest.raises(AssertionError, match="ROLLBACK"):
        Deployment(deployment.aws, tmp_path, "broken").deploy()

    assert not [name for name in deployment.aws.client("dynamodb").list_tables()["TableNames"] if name.startswith("broken-")]
    secrets_left = deployment.aws.client("secretsmanager").list_secrets()["SecretList"]
    assert not [secret for secret in secrets_left if secret["Name"].startswith("broken-")]


def test_a_stack_made_anew_adopts_users_and_key(deployment, built, browser):
    deployment.deploy(**FREE, DomainName="", CertificateArn="", DeletionProtection="no")
    deployment.account("faithful@example.com")
    waiting = deployment.sign_up("waiting@example.com", browser)
    table = deployment.outputs["UsersTableName"]
    key = deployment.aws.client("secretsmanager").describe_secret(SecretId=deployment.outputs["SecretKeyArn"])["ARN"]
    limits = deployment.outputs["LimitsTableName"]

    deployment.delete()
    tables = deployment.aws.client("dynamodb").list_tables()["TableNames"]
    assert table in tables and limits not in tables
    anew = Deployment(deployment.aws, built, "anew")
    anew.deploy(**FREE, ExistingUsersTable=table, ExistingSecretArn=key)

    assert anew.outputs["UsersTableName"] == table
    # A link that the old stack mailed. No browser has a cookie for the new address of the API.
    assert anew.request("GET", waiting, browser).status_code == 200
    assert anew.request("POST", waiting, browser, data={"password": PASSWORD}).status_code == 303
    assert anew.user("waiting@example.com")["email_confirmed"] == {"BOOL": True}
    form = {"email": "faithful@example.com", "password": PASSWORD, "new_email": "elsewhere@example.com"}
    assert anew.request("POST", "/accounts/email", data=form).status_code == 303
    # Nothing was made beside it, and the second deletion keeps them too.
    assert not [name for name in anew.aws.client("dynamodb").list_tables()["TableNames"] if "anew-UsersTable" in name]
    anew.delete()
    assert table in deployment.aws.client("dynamodb").list_tables()["TableNames"]
