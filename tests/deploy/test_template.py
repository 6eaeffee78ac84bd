"""The template, as CloudFormation gets it: translated by SAM, then asked what it permits, keeps and shows."""

import json
import re
import subprocess

import boto3
import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

USERS = "UsersTable.Arn"
STREAM = "UsersTable.StreamArn"
SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"

# Every action that a role of the stack may take, and on what. A change of a permission has to change this list.
PERMISSIONS = {
    "FunctionPolicy": {
        ("secretsmanager:GetSecretValue", "SecretKey"),
        ("ses:SendEmail", SES + "configuration-set/${MailConfiguration}"),
        ("ses:SendEmail", SES + "identity/${MailFrom}"),
        ("ses:SendEmail", SES + "identity/${Domain}"),
        ("ses:SendEmail", SES + "identity/${MailIdentity}"),
        ("logs:CreateLogStream", "FunctionLog.Arn"),
        ("logs:PutLogEvents", "FunctionLog.Arn"),
    },
    "CreateAccountRole": {
        ("dynamodb:PutItem", USERS),
        ("dynamodb:UpdateItem", USERS),
    },
    "ConfirmEmailRole": {
        ("dynamodb:BatchGetItem", USERS),
        ("dynamodb:DeleteItem", USERS),
        ("dynamodb:GetItem", USERS),
        ("dynamodb:PutItem", USERS),
        ("dynamodb:UpdateItem", USERS),
    },
    "ChangeEmailRole": {
        ("dynamodb:GetItem", USERS),
        ("dynamodb:PutItem", USERS),
        ("dynamodb:UpdateItem", USERS),
    },
    "MarkUndeliverableRole": {("dynamodb:UpdateItem", USERS)},
    "SwitchSendingRole": {("ses:PutConfigurationSetSendingOptions", SES + "configuration-set/${MailConfiguration}")},
    "RulesRole": {
        ("states:StartExecution", "MarkUndeliverable"),
        ("states:StartExecution", "SwitchSending"),
    },
    "AddressPipeRole": {
        ("dynamodb:DescribeStream", STREAM),
        ("dynamodb:GetRecords", STREAM),
        ("dynamodb:GetShardIterator", STREAM),
        ("dynamodb:ListStreams", STREAM),
        ("sns:Publish", "AddressTopic"),
    },
}

# Policies that are attached whole. AWS's own one for X-Ray is the narrowest there is: X-Ray has no resources to limit it to.
X_RAY = "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess"
ATTACHED = {
    "CreateAccountRole": {"FunctionPolicy", X_RAY},
    "ConfirmEmailRole": {"FunctionPolicy", X_RAY},
    "ChangeEmailRole": {"FunctionPolicy", X_RAY},
}

# Who may act in each role.
ASSUMED_BY = {
    "CreateAccountRole": "lambda.amazonaws.com",
    "ConfirmEmailRole": "lambda.amazonaws.com",
    "ChangeEmailRole": "lambda.amazonaws.com",
    "MarkUndeliverableRole": "states.amazonaws.com",
    "SwitchSendingRole": "states.amazonaws.com",
    "RulesRole": "events.amazonaws.com",
    "AddressPipeRole": "pipes.amazonaws.com",
}

ROUTES = {
    "ANY /accounts/create": "CreateAccount",
    "ANY /accounts/created": "CreateAccount",
    "ANY /accounts/confirm/{token}": "ConfirmEmail",
    "ANY /accounts/confirmed": "ConfirmEmail",
    "ANY /accounts/email": "ChangeEmail",
}

FUNCTIONS = set(ROUTES.values())


@pytest.fixture(scope="module")
def source(root):
    """The template as it is written, its short functions (`!Ref`) spelt out."""
    return yaml_parse((root / "template.yaml").read_text())


@pytest.fixture(scope="module")
def template(source):
    """The template as SAM translates it."""
    # `sam deploy` puts the address of the built package here.
    source = json.loads(json.dumps(source))
    source["Globals"]["Function"]["CodeUri"] = "s3://artifacts/package"
    parameters = {name: parameter.get("Default", "no-reply@example.com") for name, parameter in source["Parameters"].items()}
    return transform(source, parameters, None, boto3.Session(region_name="us-east-1"))


@pytest.fixture(scope="module")
def resources(template):
    return template["Resources"]


def of_type(resources, kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def the(resources, kind):
    """The properties of the one resource of a kind."""
    (properties,) = of_type(resources, kind).values()
    return properties


def as_list(value):
    return value if isinstance(value, list) else [value]


def text(value):
    """A reference as text: `Table`, `Table.Arn`, or the pattern of a `Fn::Sub`."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": [pattern, _]} | {"Fn::Sub": pattern}:
            return pattern
        case {"Fn::If": [_, yes, {"Ref": "AWS::NoValue"}]}:
            return text(yes)
    raise AssertionError(f"a resource that this test cannot read: {value}")


def policies(resources):
    """Name of the role or policy, and each of its policy documents."""
    for name, properties in of_type(resources, "AWS::IAM::ManagedPolicy").items():
        yield name, properties["PolicyDocument"]
    for name, properties in of_type(resources, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            yield name, policy["PolicyDocument"]


# ---- Permissions


def test_sam_and_cfn_lint_have_nothing_to_say(root):
    for command in (["sam", "validate", "--lint", "--template", "template.yaml"], ["cfn-lint", "template.yaml"]):
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_permission_is_on_the_list(resources):
    permitted = {}
    for name, document in policies(resources):
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not {"NotAction", "NotResource"} & statement.keys()
            pairs = {(action, text(resource)) for action in as_list(statement["Action"]) for resource in as_list(statement["Resource"])}
            permitted.setdefault(name, set()).update(pairs)

    assert permitted == PERMISSIONS


def test_no_permission_has_a_wildcard():
    # The resources of a log group, which CloudFormation names `arn:…:log-group:name:*`, are its streams.
    for pairs in PERMISSIONS.values():
        for action, resource in pairs:
            assert "*" not in action + resource


def test_every_attached_policy_is_on_the_list(resources):
    attached = {
        name: {text(arn) for arn in properties["ManagedPolicyArns"]}
        for name, properties in of_type(resources, "AWS::IAM::Role").items()
        if "ManagedPolicyArns" in properties
    }

    assert attached == ATTACHED


def test_each_role_is_for_one_service(resources):
    assumed = {}
    for name, properties in of_type(resources, "AWS::IAM::Role").items():
        (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        assumed[name] = statement["Principal"]["Service"]

    assert assumed == ASSUMED_BY


def test_each_function_has_a_role_of_its_own(resources):
    roles = {name: text(properties["Role"]) for name, properties in of_type(resources, "AWS::Lambda::Function").items()}

    assert roles == {name: f"{name}Role.Arn" for name in FUNCTIONS}


def test_mail_leaves_in_the_senders_name_only(resources):
    statements = resources["FunctionPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (send,) = [statement for statement in statements if statement["Action"] == "ses:SendEmail"]

    assert send["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}


def test_only_this_api_calls_the_functions(resources):
    permissions = of_type(resources, "AWS::Lambda::Permission").values()

    assert {text(permission["FunctionName"]) for permission in permissions} == FUNCTIONS
    for permission in permissions:
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert text(permission["SourceArn"]).endswith(":${Api}/*")


# ---- Users and the key


def test_users_and_key_outlive_the_stack(resources):
    for name in ("UsersTable", "SecretKey"):
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_the_table_is_encrypted_recoverable_and_forgets_the_unconfirmed(resources):
    table = the(resources, "AWS::DynamoDB::Table")

    assert table["KeySchema"] == [{"AttributeName": "email", "KeyType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["DeletionProtectionEnabled"] is True
    # A name of our own would stand in the way of a second deployment beside a kept table.
    assert "TableName" not in table


def test_the_key_is_generated(resources):
    secret = the(resources, "AWS::SecretsManager::Secret")

    assert "SecretString" not in secret
    assert secret["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}


def test_no_secret_is_shown(template, resources):
    for name, properties in of_type(resources, "AWS::Lambda::Function").items():
        variables = properties["Environment"]["Variables"]
        assert "SECRET_KEY" not in variables and "SECRET_KEY_FALLBACKS" not in variables, name
        assert variables["SECRET_KEY_ARN"] == {"Ref": "SecretKey"}
    # A dynamic reference would write the secret's value into a property.
    assert "{{resolve:" not in json.dumps(template)
    for name, parameter in template["Parameters"].items():
        assert not re.search("secret|password|key", name, re.IGNORECASE), name


# ---- Functions


def test_functions_run_on_arm64_unless_asked_otherwise(template, resources):
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["Runtime"] == "provided.al2023"


def test_functions_wait_longer_than_the_sdk_and_shorter_than_the_api(root, resources):
    aws = (root / "shared/accounts/src/aws.rs").read_text()
    (milliseconds,) = re.search(r"OPERATION_TIMEOUT: Duration = Duration::from_millis\(([\d_]+)\)", aws).groups()
    # The key, two writes, a mail, and the claim lifted if that failed.
    longest_wait = 5 * int(milliseconds) / 1000

    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert longest_wait < properties["Timeout"] < 30


def test_functions_are_traced_and_can_be_bounded(resources):
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert properties["ReservedConcurrentExecutions"]["Fn::If"][1] == {"Ref": "ReservedConcurrency"}


def test_the_settings_are_all_there(resources):
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert set(properties["Environment"]["Variables"]) == {
            "USERS_TABLE", "SECRET_KEY_ARN", "SES_CONFIGURATION_SET", "MAIL_FROM", "SUPPORT_EMAIL", "APP_NAME", "BASE_URL",
            "INDEX_URL", "SIGN_IN_URL", "ALLOWED_ORIGINS", "CONFIRM_MAX_AGE", "CONFIRM_ON", "RESEND_COOLDOWN",
        }  # fmt: skip


def test_only_the_sender_must_be_given(template):
    required = {name for name, parameter in template["Parameters"].items() if "Default" not in parameter}

    assert required == {"MailFrom"}


def test_each_parameter_says_what_it_is(template):
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        if parameter["Type"] == "String" and name != "AppName":
            assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("MailFrom", ["no-reply@myapp.com", "a.b+c@mail.my-app.co.uk"], ["", "myapp.com", "App <a@myapp.com>", "a@myapp", "a@b.c d"]),
        ("MailFromName", ["", "My App", "Łódź"], ["My <App>", "a@b", 'My "App"', "two\nlines"]),
        ("BaseUrl", ["", "https://myapp.com", "https://myapp.com/auth"], ["http://myapp.com", "https://myapp.com/", "https://a?b"]),
        ("DomainName", ["", "accounts.myapp.com"], ["https://myapp.com", "myapp"]),
        ("AllowedOrigins", ["", "https://a.com", "https://a.com,http://localhost:3000"], ["*", "null", "https://a.com/"]),
        ("SignInUrl", ["", "https://myapp.com/sign-in?new=1"], ["/sign-in", "javascript:alert(1)"]),
    ],
)
def test_patterns_take_the_good_and_refuse_the_bad(template, parameter, good, bad):
    pattern = template["Parameters"][parameter]["AllowedPattern"]

    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


# ---- API


def test_each_route_reaches_its_function(resources):
    integrations = of_type(resources, "AWS::ApiGatewayV2::Integration")
    reached = {}
    for route in of_type(resources, "AWS::ApiGatewayV2::Route").values():
        (integration,) = re.fullmatch(r"integrations/\$\{(\w+)\}", text(route["Target"])).groups()
        properties = integrations[integration]
        assert properties["PayloadFormatVersion"] == "2.0"
        reached[route["RouteKey"]] = text(properties["IntegrationUri"]).removesuffix(".Arn")

    assert reached == ROUTES


def test_the_api_is_throttled(resources):
    assert the(resources, "AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
    }


def test_access_logs_name_the_route_and_never_the_path(resources):
    log_format = the(resources, "AWS::ApiGatewayV2::Stage")["AccessLogSettings"]["Format"]

    fields = set(json.loads(log_format).values())
    assert "$context.routeKey" in fields
    # Neither the path, which holds tokens, nor who asked.
    assert not {field for field in fields if re.search(r"path|identity|\$context\.authorizer", field, re.IGNORECASE)}


def test_a_custom_domain_switches_the_apis_own_address_off(resources):
    assert resources["Domain"]["Condition"] == resources["DomainMapping"]["Condition"] == "HasDomain"
    assert the(resources, "AWS::ApiGatewayV2::Api")["DisableExecuteApiEndpoint"] == {"Fn::If": ["HasDomain", True, False]}


def test_logs_are_kept_for_a_while_and_not_for_ever(resources):
    groups = of_type(resources, "AWS::Logs::LogGroup")

    assert set(groups) == {"FunctionLog", "ApiLog"}
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionLog"}


# ---- Mail


def test_ses_neither_tracks_links_nor_mails_the_undeliverable(resources):
    configuration = the(resources, "AWS::SES::ConfigurationSet")
    assert "TrackingOptions" not in configuration
    assert configuration["SuppressionOptions"] == {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}
    for destination in of_type(resources, "AWS::SES::ConfigurationSetEventDestination").values():
        assert not {"OPEN", "CLICK"} & set(destination["EventDestination"]["MatchingEventTypes"])


def test_the_ceiling_is_counted_by_ses_over_a_day(resources):
    alarm = resources["MailCeilingAlarm"]["Properties"]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("AWS/SES", "Send", "Sum", 86400)
    assert alarm["Threshold"] == {"Ref": "DailyMailCeiling"}
    assert resources["MailCeiling"]["Properties"]["EventPattern"]["resources"] == [{"Fn::GetAtt": ["MailCeilingAlarm", "Arn"]}]


@pytest.mark.parametrize(("state", "sending"), [("ALARM", False), ("OK", True)])
def test_the_ceilings_alarm_pauses_sending_and_its_end_resumes_it(resources, state, sending):
    from jsonata.jsonata import Jsonata

    task = resources["SwitchSending"]["Properties"]["Definition"]["States"]["Switch"]
    expression = Jsonata(task["Arguments"]["SendingEnabled"].removeprefix("{%").removesuffix("%}"))
    expression.assign("states", {"input": {"detail": {"state": {"value": state}}}})

    assert expression.evaluate(None) is sending


# ---- Announcements and alarms


def test_no_password_hash_is_announced(resources):
    pipe = the(resources, "AWS::Pipes::Pipe")
    announced = json.loads(pipe["TargetParameters"]["InputTemplate"])

    assert set(announced) == {"user_id", "email", "confirmed_at"}
    assert set(announced.values()) == {f"<$.dynamodb.NewImage.{name}.S>" for name in announced}


def test_nothing_is_announced_unless_asked_for(template, resources):
    assert template["Parameters"]["AnnounceAddresses"]["Default"] == "no"
    for name in ("AddressTopic", "AddressPipe", "AddressPipeRole", "AddressPipeAlarm"):
        assert resources[name]["Condition"] == "Announces"
    assert the(resources, "AWS::DynamoDB::Table")["StreamSpecification"]["Fn::If"][0] == "Announces"


def test_every_alarm_reaches_the_topic_and_none_is_raised_by_silence(resources):
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_the_dashboard_is_json(resources):
    body = the(resources, "AWS::CloudWatch::Dashboard")["DashboardBody"]

    assert len(json.loads(body["Fn::Sub"])["widgets"]) == 8


def test_every_metric_that_is_watched_is_written(root, template):
    text = json.dumps(template)
    watched = {
        *re.findall(r'\[\\"Accounts\\", \\"(\w+)\\"', text),
        *re.findall(r'SUM\(\\"(\w+)\\"\) FROM SCHEMA\(\\"Accounts\\", \\"Function\\"', text),
        *re.findall(r'"Namespace": "Accounts", "MetricName": "(\w+)"', text),
    }
    code = "".join(path.read_text() for folder in ("functions", "shared") for path in (root / folder).rglob("src/*.rs"))

    assert watched == {"SignedUp", "Confirmed", "ConfirmedAfter", "EmailChanged", "MailFailed", "Refused", "Unavailable", "FallbackKey"}
    assert {name for name in watched if f'"{name}"' not in code} == set()
