"""The rehearsal of a deployed stack: what it says of one that works, and that each check fails when what it checks is broken."""

import contextlib
import time

import pytest
import rehearse
from deployment import FREE, FUNCTIONS, SENDER, Deployment, eventually
from itsdangerous import URLSafeTimedSerializer


@pytest.fixture(scope="module")
def deployment(aws, built):
    deployment = Deployment(aws, built, "rehearsal")
    deployment.deploy(**FREE, DeletionProtection="yes", AlarmEmail="ops@example.com")
    return deployment


@pytest.fixture
def rehearsal(deployment):
    rehearsal = rehearse.Rehearsal(deployment.stack, signed(deployment.aws.client), asks(deployment), patience=20)
    yield rehearsal
    rehearsal.check("cleaned up")


def asks(deployment):
    """Asks the API through the local AWS' own port: its name is not in any DNS."""

    def ask(method, url, headers, body=None):
        host, _, path = url.removeprefix("http://").partition("/")
        return rehearse.fetch(method, f"{deployment.aws.endpoint}/{path}", {**headers, "Host": host}, body)

    return ask


def signed(client, **more):
    """The local AWS, but with a sender whose domain signs: its identities never have DKIM."""
    good = {"DkimAttributes": {"Status": "SUCCESS"}, "MailFromAttributes": {"MailFromDomainStatus": "SUCCESS", "MailFromDomain": "mail.example.com"}}
    return answering(client, "sesv2", "get_email_identity", lambda answer: {**answer, **good, **more})


def answering(client, service, call, changed):
    """Clients of which one call is answered otherwise."""

    def clients(name):
        real = client(name)
        if name == service:
            original = getattr(real, call)
            setattr(real, call, lambda **arguments: changed(original(**arguments)))
        return real

    return clients


def test_a_stack_that_works_is_said_to_work(rehearsal, deployment):
    users = deployment.aws.client("dynamodb").scan(TableName=deployment.outputs["UsersTableName"])["Count"]

    works = rehearsal.run()

    print(rehearsal.table())
    assert works, rehearsal.table()
    assert [row[0] for row in rehearsal.rows] == list(rehearsal.CHECKS)
    assert deployment.aws.client("dynamodb").scan(TableName=deployment.outputs["UsersTableName"])["Count"] == users


def test_the_command_prints_the_table_and_says_so_in_its_exit_code(deployment, monkeypatch, capsys):
    class Session:
        def __init__(self, **_):
            self.client = signed(deployment.aws.client)

    monkeypatch.setattr(rehearse.boto3, "Session", Session)
    monkeypatch.setattr(rehearse.Rehearsal.__init__, "__defaults__", (None, asks(deployment), 20))

    assert rehearse.main(["--stack", deployment.stack]) == 0
    assert "| link         | ok" in capsys.readouterr().out
    assert rehearse.main(["--stack", "no-such-stack"]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_the_token_is_that_of_itsdangerous():
    token = rehearse.token(b"a key of sixteen bytes", "ada@example.com", time.time())

    assert URLSafeTimedSerializer(b"a key of sixteen bytes").loads(token, salt="email-confirm-key", max_age=60) == "ada@example.com"


def check(rehearsal, name):
    rehearsal.check(name)
    return rehearsal.rows[-1][1:]


# ---- Each check, broken


@contextlib.contextmanager
def paused(deployment):
    ses = deployment.aws.client("sesv2")
    name = deployment.outputs["MailConfigurationName"]
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=False)
    yield
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=True)


@contextlib.contextmanager
def deaf(deployment):
    ses = deployment.aws.client("sesv2")
    name = deployment.outputs["MailConfigurationName"]
    (events,) = [one for one in ses.get_configuration_set_event_destinations(ConfigurationSetName=name)["EventDestinations"] if one["Name"] == "events"]
    ses.delete_configuration_set_event_destination(ConfigurationSetName=name, EventDestinationName="events")
    yield
    definition = {key: events[key] for key in ("Enabled", "MatchingEventTypes", "EventBridgeDestination")}
    ses.create_configuration_set_event_destination(ConfigurationSetName=name, EventDestinationName="events", EventDestination=definition)


@contextlib.contextmanager
def in_the_sandbox(deployment):
    details = {"MailType": "TRANSACTIONAL", "WebsiteURL": "https://example.com"}
    # The local AWS takes this field, which AWS decides itself.
    account(deployment, {**details, "ProductionAccessEnabled": False})
    yield
    account(deployment, {**details, "ProductionAccessEnabled": True})


def account(deployment, details):
    deployment.aws.client("sesv2").put_account_details(**details)


@contextlib.contextmanager
def unverified(deployment):
    deployment.aws.client("sesv2").delete_email_identity(EmailIdentity=SENDER)
    yield
    deployment.aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)


@contextlib.contextmanager
def raised(deployment):
    alarm = {"AlarmName": deployment.resource("ErrorsAlarm"), "StateReason": "test"}
    deployment.aws.client("cloudwatch").set_alarm_state(**alarm, StateValue="ALARM")
    yield
    deployment.aws.client("cloudwatch").set_alarm_state(**alarm, StateValue="OK")


def without_ttl(output):
    @contextlib.contextmanager
    def broken(deployment):
        table = {"TableName": deployment.outputs[output]}
        deployment.aws.client("dynamodb").update_time_to_live(**table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"})
        yield
        deployment.aws.client("dynamodb").update_time_to_live(**table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})

    return broken


@contextlib.contextmanager
def without_recovery(deployment):
    def switch(on):
        deployment.aws.client("dynamodb").update_continuous_backups(
            TableName=deployment.outputs["UsersTableName"], PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
        )

    switch(False)
    yield
    switch(True)


@contextlib.contextmanager
def with_a_short_key(deployment):
    key = deployment.secret_key()
    put = deployment.aws.client("secretsmanager").put_secret_value
    put(SecretId=deployment.outputs["SecretKeyArn"], SecretString="short")
    yield
    put(SecretId=deployment.outputs["SecretKeyArn"], SecretString=key)


@contextlib.contextmanager
def with_logs_for_ever(deployment):
    group = deployment.resource("FunctionLog")
    deployment.aws.client("logs").delete_retention_policy(logGroupName=group)
    yield
    deployment.aws.client("logs").put_retention_policy(logGroupName=group, retentionInDays=30)


@contextlib.contextmanager
def without_a_table(deployment):
    """`confirm-email` looks for users where there are none."""
    client, name = deployment.aws.client("lambda"), deployment.resource("ConfirmEmail")
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, "USERS_TABLE": "nowhere"}})
    yield
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextlib.contextmanager
def with_a_rule_that_sleeps(deployment):
    rule = deployment.resource("MarkUndeliverableUndeliverable")
    deployment.aws.client("events").disable_rule(Name=rule)
    yield
    deployment.aws.client("events").enable_rule(Name=rule)


@pytest.mark.parametrize(("name", "broken", "says"), [
    ("users table", without_ttl("UsersTableName"), "no TTL"),
    ("users table", without_recovery, "no point-in-time recovery"),
    ("limits table", without_ttl("LimitsTableName"), "no TTL"),
    ("key", with_a_short_key, "fewer than 16 bytes"),
    ("sender", unverified, "verified identity"),
    ("DKIM", unverified, "verified identity"),
    ("sandbox", in_the_sandbox, "sandbox"),
    ("sending", paused, "is paused"),
    ("sending", deaf, "does not tell EventBridge"),
    ("alarms", raised, "raised: "),
    ("sign-up", paused, "answered 503"),
    ("bounce", paused, "answered 503"),
    ("bounce", with_a_rule_that_sleeps, "not marked within"),
    ("complaint", with_a_rule_that_sleeps, "not marked within"),
    ("logs", with_logs_for_ever, "kept for ever"),
])  # fmt: skip
def test_a_check_fails_when_something_is_broken(rehearsal, deployment, name, broken, says):
    rehearsal.patience = 3
    with broken(deployment):
        found, seen = check(rehearsal, name)

    assert found == "FAIL" and says in seen, seen


def test_a_link_that_does_not_confirm_fails(rehearsal, deployment):
    assert check(rehearsal, "sign-up")[0] == "ok"
    with without_a_table(deployment):
        found, seen = check(rehearsal, "link")

    # The function's 503, or the local gateway's 502 if it asked while the function was made anew.
    assert found == "FAIL" and "the link was answered 50" in seen, seen
    # The function is made anew, which the local gateway does not wait for.
    eventually(lambda: check(rehearsal, "link")[0] == "ok")


@pytest.mark.parametrize(("name", "service", "call", "changed", "found", "says"), [
    ("stack", "cloudformation", "describe_stacks", {"Stacks": [{"StackStatus": "UPDATE_ROLLBACK_FAILED"}]}, "FAIL", "UPDATE_ROLLBACK_FAILED"),
    ("stack", "cloudformation", "describe_stacks", {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]}, "FAIL", "ROLLBACK_COMPLETE"),
    ("functions", "lambda", "get_function_configuration", {"State": "Failed"}, "FAIL", "CreateAccount is Failed"),
    ("functions", "lambda", "get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 10}}, "note", "10 instances"),
    ("users table", "dynamodb", "describe_table", {"Table": {}}, "note", "DeletionProtection=yes"),
    ("DKIM", "sesv2", "get_email_identity", {"DkimAttributes": {"Status": "NOT_STARTED"}}, "FAIL", "has no DKIM"),
    ("DKIM", "sesv2", "get_email_identity", {"MailFromAttributes": {}}, "note", "MAIL FROM"),
    ("quota", "sesv2", "get_account", {"EnforcementStatus": "PROBATION"}, "FAIL", "PROBATION"),
    ("quota", "sesv2", "get_account", {"SendQuota": {"Max24HourSend": 200.0, "SentLast24Hours": 199.0, "MaxSendRate": 1.0}}, "FAIL", "nearly used up"),
    ("quota", "sesv2", "get_account", {"SendQuota": {"Max24HourSend": 200.0, "SentLast24Hours": 0.0, "MaxSendRate": 1.0}}, "note", "less than"),
    ("quota", "sesv2", "get_account", {"SendQuota": {"Max24HourSend": -1.0, "SentLast24Hours": 5.0, "MaxSendRate": 100.0}}, "ok", "without limit"),
    ("alarms", "cloudwatch", "describe_alarms", {"MetricAlarms": []}, "FAIL", "are missing"),
    ("alarm mail", "sns", "list_subscriptions_by_topic", {"Subscriptions": []}, "note", "nobody is told"),
    ("alarm mail", "sns", "list_subscriptions_by_topic", {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}, "FAIL", "nobody has confirmed"),
    ("logs", "logs", "filter_log_events", {"events": []}, "FAIL", "wrote no log"),
    ("cleaned up", "dynamodb", "get_item", {"Item": {"email": {"S": "left"}}}, "FAIL", "are left"),
])  # fmt: skip
def test_a_check_tells_what_the_local_aws_cannot_be_made_to_do(rehearsal, name, service, call, changed, found, says):
    rehearsal.patience = 1
    rehearsal.client = answering(rehearsal.client, service, call, lambda answer: {**answer, **changed})

    seen = check(rehearsal, name)

    assert seen[0] == found and says in seen[1], seen


def test_settings_that_a_canary_has_not_published_fail(rehearsal, deployment):
    assert check(rehearsal, "settings")[0] == "ok"

    published = {"Environment": {"Variables": {"APP_NAME": "of-yesterday"}}}

    def outdated(service):
        client = deployment.aws.client(service)
        if service == "lambda":
            original = client.get_function_configuration
            client.get_function_configuration = lambda **given: published if given.get("Qualifier") == "live" else original(**given)
        return client

    rehearsal.client = outdated
    rehearsal.parameter = {"CanaryRelease": "2"}.__getitem__
    found, seen = check(rehearsal, "settings")
    assert found == "FAIL" and "another CanaryRelease" in seen, seen


def test_a_challenge_that_keeps_the_rehearsal_out_is_explained(rehearsal):
    rehearsal.parameter = {"Challenge": "turnstile"}.__getitem__
    rehearsal.ask = lambda *_: (422, {}, b"")

    found, seen = check(rehearsal, "sign-up")

    assert found == "FAIL" and "TrustedNetworks (203.0.113.7/32)" in seen and "Challenge=none" in seen, seen


def test_what_permissions_forbid_is_a_failed_check_and_no_crash(rehearsal):
    def forbidden(service):
        raise rehearse.ClientError({"Error": {"Code": "AccessDenied", "Message": f"no {service}"}}, "Anything")

    rehearsal.client = forbidden

    assert rehearsal.run() is False
    assert {row[1] for row in rehearsal.rows} == {"FAIL"}
    rehearsal.rows.clear()


def test_every_check_has_a_test_that_breaks_it():
    broken = {
        case.values[0] if hasattr(case, "values") else case[0]
        for test in (test_a_check_fails_when_something_is_broken, test_a_check_tells_what_the_local_aws_cannot_be_made_to_do)
        for mark in test.pytestmark
        if mark.name == "parametrize"
        for case in mark.args[1]
    }

    assert broken | {"link", "settings"} == set(rehearse.Rehearsal.CHECKS)
    assert FUNCTIONS == rehearse.FUNCTIONS
