"""Mail, fuses, alarms, dashboard and announcements: what the template watches, and what it does about it."""

import json
import re

import pytest
from jsonata.jsonata import Jsonata
from metric_math import FUNCTIONS, Invalid, check_query, metrics_of
from reading import of_type, text, the
from test_template import FUNCTIONS as LAMBDAS

# What the code writes (namespace `Accounts`, dimension `Function`).
WRITTEN = {
    "SignedUp", "Confirmed", "ConfirmedAfter", "EmailChanged", "PasswordChanged", "MailSent", "MailFailed", "Refused", "NetworkLimited", "Unavailable",
    "FallbackKey",
}  # fmt: skip


def alarms(resources):
    return of_type(resources, "AWS::CloudWatch::Alarm")


# ---- Mail


def test_ses_neither_tracks_links_nor_mails_the_undeliverable(resources):
    configurations = of_type(resources, "AWS::SES::ConfigurationSet")
    assert set(configurations) == {"MailConfiguration", "NoticesConfiguration"}
    for configuration in configurations.values():
        assert "TrackingOptions" not in configuration
        assert configuration["SuppressionOptions"]["SuppressedReasons"] == ["BOUNCE", "COMPLAINT"]
    for destination in of_type(resources, "AWS::SES::ConfigurationSetEventDestination").values():
        assert not {"OPEN", "CLICK"} & set(destination["EventDestination"]["MatchingEventTypes"])


def test_addresses_are_validated_if_asked(template, resources):
    assert template["Parameters"]["AutoValidation"]["Default"] == "no"
    asked, options, _ = resources["MailConfiguration"]["Properties"]["SuppressionOptions"]["ValidationOptions"]["Fn::If"]
    assert asked == "Validates"
    # https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SuppressionConditionThreshold.html
    assert options["ConditionThreshold"] == {
        "ConditionThresholdEnabled": "ENABLED", "OverallConfidenceThreshold": {"ConfidenceVerdictThreshold": "MANAGED"},
    }  # fmt: skip
    # Whatever SES thinks of an owner's address, a security notice is tried.
    assert "ValidationOptions" not in resources["NoticesConfiguration"]["Properties"]["SuppressionOptions"]


def test_bounces_of_both_configuration_sets_are_told(resources):
    told = {
        text(destination["ConfigurationSetName"])
        for destination in of_type(resources, "AWS::SES::ConfigurationSetEventDestination").values()
        if "EventBridgeDestination" in destination["EventDestination"]
    }
    assert told == {"MailConfiguration", "NoticesConfiguration"}
    (rule,) = [rule for name, rule in of_type(resources, "AWS::Events::Rule").items() if name.startswith("MarkUndeliverable")]
    sets = rule["EventPattern"]["detail"]["mail"]["tags"]["ses:configuration-set"]
    assert [text(one) for one in sets] == ["MailConfiguration", "NoticesConfiguration"]


@pytest.mark.parametrize(("kind", "marked", "keeps"), [("Bounce", "bounce", True), ("Complaint", "complaint", False)])
def test_a_complaint_outlasts_bounces(source, kind, marked, keeps):
    arguments = source["Resources"]["MarkUndeliverable"]["Properties"]["Definition"]["States"]["Mark"]["Arguments"]
    event = {"detail": {"eventType": kind, "mail": {"destination": ["ada@example.com"]}}}

    assert computed(arguments["Key"]["email"]["S"], event) == "ada@example.com"
    assert computed(arguments["ExpressionAttributeValues"][":why"]["S"], event) == marked
    assert ("if_not_exists" in computed(arguments["UpdateExpression"], event)) is keeps


def computed(expression, event, **more):
    jsonata = Jsonata(re.fullmatch(r"\{%(.*)%\}", expression.strip(), re.DOTALL)[1])
    jsonata.assign("states", {"input": event, **more})
    return jsonata.evaluate(None)


# ---- Fuses


def test_the_ceiling_is_counted_by_ses_over_a_day(resources):
    alarm = resources["MailCeilingAlarm"]["Properties"]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("AWS/SES", "Send", "Sum", 86400)
    assert alarm["Threshold"] == {"Ref": "DailyMailCeiling"}


def test_half_the_ceiling_is_told_in_time(resources):
    alarm = resources["MailCeilingNearAlarm"]["Properties"]

    assert alarm["Metrics"][0]["Expression"] == {"Fn::Sub": "100 * sent / ${DailyMailCeiling}"}
    assert alarm["Threshold"] == 50


@pytest.mark.parametrize(("alarm", "metric", "limit", "default"), [
    ("BounceFuseAlarm", "Bounce", "MaxBounceRate", 8),
    ("ComplaintFuseAlarm", "Complaint", "MaxComplaintRate", 0.4),
])  # fmt: skip
def test_rates_pause_sending_before_ses_suspends_the_account(template, resources, alarm, metric, limit, default):
    properties = resources[alarm]["Properties"]

    assert properties["Threshold"] == {"Ref": limit}
    assert template["Parameters"][limit]["Default"] == default
    assert template["Parameters"]["RateMinimumMails"]["Default"] == 50
    counted = {one["MetricStat"]["Metric"]["MetricName"] for one in properties["Metrics"][1:]}
    assert counted == {"Send", metric}
    # Of the mails that can be paused, not of the notices.
    assert {text(one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]) for one in properties["Metrics"][1:]} == {"MailConfiguration"}


@pytest.mark.parametrize(("alarm", "state", "switched"), [
    ("MailCeilingAlarm", "ALARM", True),
    ("MailCeilingAlarm", "OK", True),
    ("BounceFuseAlarm", "ALARM", True),
    ("BounceFuseAlarm", "OK", False),
    ("ComplaintFuseAlarm", "ALARM", True),
    ("ComplaintFuseAlarm", "OK", False),
])  # fmt: skip
def test_only_the_ceiling_resumes_by_itself(resources, alarm, state, switched):
    (rule,) = [rule for name, rule in of_type(resources, "AWS::Events::Rule").items() if name.startswith("SwitchSending")]

    assert any(
        alarm in [text(resource).removesuffix(".Arn") for resource in one["resources"]] and state in one["detail"]["state"]["value"]
        for one in rule["EventPattern"]["$or"]
    ) is switched  # fmt: skip


@pytest.mark.parametrize(("alarms_now", "sending"), [(["OK", "OK"], True), (["ALARM", "OK"], False), (["OK", "ALARM"], False)])
def test_the_ceilings_end_resumes_sending_unless_a_fuse_blew(source, alarms_now, sending):
    states = source["Resources"]["SwitchSending"]["Properties"]["Definition"]["States"]
    result = {"MetricAlarms": [{"StateValue": state} for state in alarms_now]}

    assert computed(states["LookAtFuses"]["Output"]["blown"], {}, result=result) is not sending
    assert states["LookAtFuses"]["Output"]["sending"] is True
    # What a person did meanwhile is left as it is.
    assert [states["PauseOrResume"]["Default"], states["LookAtFuses"]["Next"], states["Blown"]["Default"]] == ["LookAtFuses", "Blown", "Switch"]
    assert states["Blown"]["Choices"] == [{"Condition": "{% $states.input.blown %}", "Next": "LeaveIt"}]


def test_an_alarm_pauses_sending_at_once(source):
    (choice,) = source["Resources"]["SwitchSending"]["Properties"]["Definition"]["States"]["PauseOrResume"]["Choices"]

    assert computed(choice["Condition"], {"detail": {"state": {"value": "ALARM"}}}) is True
    assert computed(choice["Condition"], {"detail": {"state": {"value": "OK"}}}) is False
    assert (choice["Output"], choice["Next"]) == ({"sending": False}, "Switch")


def test_nothing_pauses_security_notices(resources):
    may_be_switched = [
        text(statement["Resource"])
        for role in of_type(resources, "AWS::IAM::Role").values()
        for policy in role.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "ses:PutConfigurationSetSendingOptions"
    ]

    assert [name.rpartition("/")[2] for name in may_be_switched] == ["${MailConfiguration}"]


# ---- Alarms


def test_every_alarm_reaches_the_topic_and_none_is_raised_by_silence(resources):
    for name, alarm in alarms(resources).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"], name


def test_every_expression_of_an_alarm_is_one_that_cloudwatch_takes(template, resources):
    defaults = {name: str(parameter.get("Default")) for name, parameter in template["Parameters"].items()}
    for name, alarm in alarms(resources).items():
        if "Metrics" not in alarm:
            continue
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: ten metrics, one that is returned, one period.
        shown = [metric["Id"] for metric in alarm["Metrics"] if metric.get("ReturnData", True)]
        stats = {metric["Id"]: metric["MetricStat"] for metric in alarm["Metrics"] if "MetricStat" in metric}
        expressions = {metric["Id"]: text(metric["Expression"]) for metric in alarm["Metrics"] if "Expression" in metric}
        assert len(shown) == 1 and len(stats) <= 10, name
        assert all(re.fullmatch(r"[a-z]\w*", one) for one in (*stats, *expressions)), name
        assert len({stat["Period"] for stat in stats.values()}) == 1, name
        used = set()
        for expression in expressions.values():
            used |= metrics_of(re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], expression))
        # Every metric is paid for, and used.
        assert used == set(stats), name
        assert alarm["EvaluationPeriods"] * next(iter(stats.values()))["Period"] <= 86400, name


def test_sums_are_over_all_functions(resources):
    for name in ("ErrorsAlarm", "ThrottlesAlarm", "MailFailuresAlarm", "NetworkLimitedAlarm", "UnavailableAlarm"):
        watched = {text(one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]) for one in resources[name]["Properties"]["Metrics"][1:]}
        assert watched == LAMBDAS, name


@pytest.mark.parametrize("expression", ["a + b", "FILL(a, 0) + FILL(b, 0)", "IF(a >= 20, 100 * FILL(b, 0) / a, 100)", "IF(a > 1 AND b > 1, 1, 0)"])
def test_the_grammar_takes_metric_math(expression):
    assert metrics_of(expression) == ({"a", "b"})


@pytest.mark.parametrize("expression", [
    "a +", "a b", "FILL(a)", "FILL(a, 0", "IF(a)", "Total + 1", "MEDIAN(a)", "a >=", "SELECT SUM(Errors) FROM \"AWS/Lambda\"", "100 % a", "a ? b : c",
])  # fmt: skip
def test_the_grammar_refuses_the_rest(expression):
    with pytest.raises(Invalid):
        metrics_of(expression)


def test_the_grammar_of_metrics_insights_has_no_or():
    query = """SELECT SUM("Errors") FROM SCHEMA("AWS/Lambda", "FunctionName") WHERE "FunctionName" = 'a'"""
    check_query(query)
    check_query(f"{query} AND \"Resource\" != 'b'")
    with pytest.raises(Invalid):
        # As three alarms of the first version had it.
        check_query(f"{query} OR \"FunctionName\" = 'b'")


def test_the_grammar_names_functions_of_cloudwatch_only():
    assert all(name.isupper() for name in FUNCTIONS)


def test_the_page_on_operations_says_what_to_do_about_every_alarm(root, resources):
    page = (root / "functions/OPERATIONS.md").read_text()

    assert [name for name in alarms(resources) if f"`{name}`" not in page] == []


# ---- Dashboard


def test_the_dashboard_is_json(resources):
    body = the(resources, "AWS::CloudWatch::Dashboard")["DashboardBody"]

    assert len(json.loads(body["Fn::Sub"])["widgets"]) == 8


def test_every_metric_that_is_watched_is_written(root, template):
    watched = set(re.findall(r'\[\\"Accounts\\", \\"(\w+)\\"', json.dumps(template)))
    for alarm in alarms(template["Resources"]).values():
        stats = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] + [alarm]
        watched |= {stat["MetricName"] for stat in stats if stat.get("Namespace") == "Accounts"}

    assert watched == WRITTEN - {"MailSent"}
    code = "".join(path.read_text() for folder in ("functions", "shared") for path in (root / folder).rglob("src/**/*.rs"))
    assert {name for name in watched if name not in code} == set()


@pytest.mark.parametrize(("filter_", "alarm", "counts"), [
    ("ApiThrottled", "ApiThrottledAlarm", '$.status = "429"'),
    ("ChallengeUnanswered", "ChallengeUnansweredAlarm", '$.outcome = "challenge-unanswered"'),
])  # fmt: skip
def test_what_only_the_logs_tell_is_watched(resources, filter_, alarm, counts):
    filter_, alarm = (resources[name] for name in (filter_, alarm))
    transformation = filter_["Properties"]["MetricTransformations"][0]

    assert counts in filter_["Properties"]["FilterPattern"]
    # A filter cannot name the stack in a dimension, so the namespace does.
    assert alarm["Properties"]["Namespace"] == transformation["MetricNamespace"] == {"Fn::Sub": "Accounts/${AWS::StackName}"}
    assert alarm["Properties"]["MetricName"] == transformation["MetricName"]
    assert alarm.get("Condition") == filter_.get("Condition")


def test_the_line_that_is_counted_is_the_one_that_is_written(root, resources):
    counted = re.search(r'"(.+)"', resources["ChallengeUnanswered"]["Properties"]["FilterPattern"])[1]

    assert f'"{counted}"' in (root / "shared/accounts/src/service.rs").read_text()


# ---- Announcements


def test_nothing_is_announced_unless_asked_for(template, resources):
    assert template["Parameters"]["AnnounceAddresses"]["Default"] == "no"
    for name in ("AddressTopic", "AddressPipe", "AddressPipeRole", "Announce", "AnnounceRole", "AddressPipeAlarm"):
        assert resources[name]["Condition"] == "Announces"
    assert resources["UsersTable"]["Properties"]["StreamSpecification"]["Fn::If"][0] == "Announces"


def test_the_topic_that_carries_addresses_is_encrypted(resources):
    assert resources["AddressTopic"]["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"


WAITING = {"email": {"S": "ada@example.com"}, "user_id": {"S": "1"}, "email_confirmed": {"BOOL": False}, "password_hash": {"S": "$argon2id$"}}
CONFIRMED = {**WAITING, "email_confirmed": {"BOOL": True}, "confirmed_at": {"S": "2026-01-01T00:00:00Z"}}
CHANGED = {**CONFIRMED, "password_changed_at": {"S": "2026-01-02T00:00:00Z"}}
CHANGED_AGAIN = {**CONFIRMED, "password_changed_at": {"S": "2026-01-03T00:00:00Z"}}


@pytest.mark.parametrize(("old", "new", "announced"), [
    (None, WAITING, False),
    (WAITING, {**WAITING, "contested": {"BOOL": True}}, False),
    (WAITING, CONFIRMED, True),
    (WAITING, CHANGED, True),
    (None, CONFIRMED, True),
    (None, CHANGED, True),
    (CONFIRMED, {**CONFIRMED, "seen_at": {"S": "today"}}, False),
    (CONFIRMED, CHANGED, True),
    (CHANGED, {**CHANGED, "seen_at": {"S": "today"}}, False),
    (CHANGED, CHANGED_AGAIN, True),
    (WAITING, {**WAITING, "password_changed_at": {"S": "2026-01-02T00:00:00Z"}}, False),
    (CONFIRMED, None, False),
])  # fmt: skip
def test_confirmed_and_changed_users_are_announced_once_and_without_a_hash(source, old, new, announced):
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image}
    items = source["Resources"]["Announce"]["Properties"]["Definition"]["States"]["EachUser"]["Items"]

    found = list(computed(items, [{"eventName": "MODIFY", "dynamodb": images}]) or [])

    wanted = {name: new[name]["S"] for name in ("user_id", "email", "confirmed_at", "password_changed_at") if name in new} if announced else None
    assert found == ([wanted] if announced else [])


def test_each_user_of_a_batch_is_announced(source):
    items = source["Resources"]["Announce"]["Properties"]["Definition"]["States"]["EachUser"]["Items"]
    batch = [{"dynamodb": {"OldImage": WAITING, "NewImage": {**CONFIRMED, "email": {"S": f"{name}@example.com"}}}} for name in "abc"]

    assert [one["email"] for one in computed(items, batch)] == ["a@example.com", "b@example.com", "c@example.com"]
