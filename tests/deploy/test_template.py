"""The template, as CloudFormation gets it: translated by SAM, then asked what it permits, keeps and shows."""

import json
import re
import subprocess

import pytest
from reading import as_list, of_type, text, the, translated

USERS = "UsersTable.Arn or arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${ExistingUsersTable}"
STREAM = "UsersTable.StreamArn or ExistingUsersTableStream"
SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"

# Every action that a role of the stack may take, and on what. A change of a permission has to change this list.
PERMISSIONS = {
    "FunctionPolicy": {
        ("secretsmanager:GetSecretValue", "SecretKey or ExistingSecretArn"),
        ("secretsmanager:GetSecretValue", "ChallengeSecretArn"),
        ("dynamodb:UpdateItem", "LimitsTable.Arn"),
        ("ses:SendEmail", SES + "configuration-set/${MailConfiguration}"),
        ("ses:SendEmail", SES + "configuration-set/${NoticesConfiguration}"),
        ("ses:SendEmail", SES + "identity/*"),
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
        ("dynamodb:UpdateItem", USERS),
    },
    "ResetPasswordRole": {
        ("dynamodb:GetItem", USERS),
        ("dynamodb:UpdateItem", USERS),
    },
    "MarkUndeliverableRole": {("dynamodb:UpdateItem", USERS)},
    "MarkUndeliverableUndeliverableRole": {("states:StartExecution", "MarkUndeliverable")},
    "SwitchSendingRole": {
        ("ses:PutConfigurationSetSendingOptions", SES + "configuration-set/${MailConfiguration}"),
        ("cloudwatch:DescribeAlarms", "BounceFuseAlarm.Arn"),
        ("cloudwatch:DescribeAlarms", "ComplaintFuseAlarm.Arn"),
    },
    "SwitchSendingFuseRole": {("states:StartExecution", "SwitchSending")},
    "AddressPipeRole": {
        ("dynamodb:DescribeStream", STREAM),
        ("dynamodb:GetRecords", STREAM),
        ("dynamodb:GetShardIterator", STREAM),
        ("dynamodb:ListStreams", STREAM),
        ("states:StartSyncExecution", "Announce"),
    },
    "AnnounceRole": {("sns:Publish", "AddressTopic")},
}

# Policies that are attached whole. AWS' own one for X-Ray is the narrowest there is: X-Ray has no resources to limit it to.
X_RAY = "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess"
ATTACHED = {
    **{f"{function}Role": {"FunctionPolicy", X_RAY} for function in ("CreateAccount", "ConfirmEmail", "ChangeEmail", "ResetPassword")},
    "DeploymentRole": {"arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"},
}

# Who may act in each role.
ASSUMED_BY = {
    "CreateAccountRole": "lambda.amazonaws.com",
    "ConfirmEmailRole": "lambda.amazonaws.com",
    "ChangeEmailRole": "lambda.amazonaws.com",
    "ResetPasswordRole": "lambda.amazonaws.com",
    "DeploymentRole": "codedeploy.amazonaws.com",
    "MarkUndeliverableRole": "states.amazonaws.com",
    "MarkUndeliverableUndeliverableRole": "events.amazonaws.com",
    "SwitchSendingRole": "states.amazonaws.com",
    "SwitchSendingFuseRole": "events.amazonaws.com",
    "AnnounceRole": "states.amazonaws.com",
    "AddressPipeRole": "pipes.amazonaws.com",
}

ROUTES = {
    "ANY /accounts/create": "CreateAccount",
    "ANY /accounts/created": "CreateAccount",
    "ANY /accounts/confirm/{token}": "ConfirmEmail",
    "ANY /accounts/confirmed": "ConfirmEmail",
    "ANY /accounts/email": "ChangeEmail",
    "ANY /accounts/password": "ResetPassword",
    "ANY /accounts/password/{token}": "ResetPassword",
}

FUNCTIONS = set(ROUTES.values())


def roles(resources):
    return of_type(resources, "AWS::IAM::Role")


def policies(resources):
    """Name of the role or policy, and each of its policy documents."""
    for name, properties in of_type(resources, "AWS::IAM::ManagedPolicy").items():
        yield name, properties["PolicyDocument"]
    for name, properties in roles(resources).items():
        for policy in properties.get("Policies", []):
            yield name, policy["PolicyDocument"]


# ---- Permissions


def test_sam_and_cfn_lint_have_nothing_to_say(root):
    command = ["sam", "validate", "--lint", "--template", "template.yaml"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_template_of_a_gradual_update_has_no_fault_either(source, tmp_path):
    # cfn-lint translates with the defaults, without CodeDeploy: whether all that depends on each other can be made is asked of this one too.
    (tmp_path / "canary.json").write_text(json.dumps(translated(source, CanaryRelease="2", AnnounceAddresses="yes")))
    command = ["cfn-lint", "--ignore-checks", "W", "--", str(tmp_path / "canary.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def reasons(source):
    """What `Metadata` says need not be mended, by check and resource."""
    return {
        (skip["id"], f"{resource['Type']}.{name}"): skip["comment"]
        for name, resource in source["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }


@pytest.fixture(scope="module")
def findings(root, source, checkov, tmp_path_factory):
    """What checkov finds in the template, and in the template without its reasons."""
    bare = json.loads(json.dumps(source))
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)
    without_reasons = tmp_path_factory.mktemp("checkov") / "bare.json"
    without_reasons.write_text(json.dumps(bare))
    files = ["--file", root / "template.yaml", "--file", without_reasons]
    command = [checkov, *files, "--framework", "cloudformation", "--skip-download", "--output", "json"]
    failed = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)["results"]["failed_checks"]
    return {
        name: {(one["check_id"], one["resource"]) for one in failed if one["file_path"].endswith(name)} for name in ("template.yaml", "bare.json")
    }  # fmt: skip


def test_checkov_finds_nothing_but_what_has_a_reason(findings):
    assert findings["template.yaml"] == set()


def test_every_reason_answers_something_that_checkov_finds(findings, reasons):
    assert findings["bare.json"] == set(reasons)
    assert all(reasons.values())


def test_every_permission_is_on_the_list(resources):
    permitted = {}
    for name, document in policies(resources):
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not {"NotAction", "NotResource"} & statement.keys()
            pairs = {(action, text(resource)) for action in as_list(statement["Action"]) for resource in as_list(statement["Resource"])}
            permitted.setdefault(name, set()).update(pairs)

    assert permitted == PERMISSIONS


def test_no_permission_has_a_wildcard_but_that_to_mail_from_any_identity(resources):
    for name, document in policies(resources):
        for statement in document["Statement"]:
            for value in as_list(statement["Action"]) + [text(resource) for resource in as_list(statement["Resource"])]:
                # Its limit is the sender: the next test but three.
                assert "*" not in value or value == SES + "identity/*", name


def test_every_attached_policy_is_on_the_list(canary):
    attached = {
        name: {text(arn) for arn in properties["ManagedPolicyArns"]}
        for name, properties in roles(canary).items()
        if properties.get("ManagedPolicyArns")
    }

    assert attached == ATTACHED


def test_each_role_is_for_one_service(canary):
    assumed = {}
    for name, properties in roles(canary).items():
        (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert as_list(statement["Action"]) == ["sts:AssumeRole"]
        (assumed[name],) = as_list(statement["Principal"]["Service"])

    assert assumed == ASSUMED_BY


def test_an_organizations_boundary_bounds_every_role(canary):
    for name, properties in roles(canary).items():
        assert properties["PermissionsBoundary"]["Fn::If"][:2] == ["HasBoundary", {"Ref": "PermissionsBoundary"}], name


def test_each_function_has_a_role_of_its_own(resources):
    own = {name: text(properties["Role"]) for name, properties in of_type(resources, "AWS::Lambda::Function").items()}

    assert own == {name: f"{name}Role.Arn" for name in FUNCTIONS}


def test_mail_leaves_in_the_senders_name_only(resources):
    statements = resources["FunctionPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (send,) = [statement for statement in statements if statement["Action"] == "ses:SendEmail"]

    assert send["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}


def test_in_the_sandbox_the_recipients_identity_is_permitted_too(resources):
    # There SES asks IAM for the identity of the recipient as well: https://github.com/aws/aws-sdk-js/issues/3641
    statements = resources["FunctionPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (send,) = [statement for statement in statements if statement["Action"] == "ses:SendEmail"]

    assert SES + "identity/*" in {text(resource) for resource in send["Resource"]}


def test_only_this_api_calls_the_functions(resources):
    permissions = of_type(resources, "AWS::Lambda::Permission").values()

    assert {permission["FunctionName"]["Fn::If"][2]["Ref"] for permission in permissions} == FUNCTIONS
    for permission in permissions:
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert text(permission["SourceArn"]).endswith(":${Api}/*")


# ---- Users, limits and the key


@pytest.mark.parametrize("name", ["UsersTable", "SecretKey"])
def test_users_and_key_outlive_the_stack_but_not_a_first_deployment_that_fails(resources, name):
    # `Retain` would hold in the rollback of a creation too, and leave both behind.
    assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_a_first_deployment_that_fails_can_be_cleaned_up(template, resources):
    # DynamoDB refuses to delete a protected table, and the rollback of a creation would fail.
    assert template["Parameters"]["DeletionProtection"]["Default"] == "no"
    assert template["Conditions"]["Protects"] == {"Fn::Equals": [{"Ref": "DeletionProtection"}, "yes"]}
    assert resources["UsersTable"]["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["Protects", True, False]}


def test_the_users_table_is_recoverable_and_forgets_the_unconfirmed(resources):
    table = resources["UsersTable"]["Properties"]

    assert table["KeySchema"] == [{"AttributeName": "email", "KeyType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    # The key of AWS is free. The other one ("SSEEnabled") charges for calls to KMS and protects from nobody else.
    assert "SSESpecification" not in table
    # A name of our own would stand in the way of a second deployment beside a kept table.
    assert "TableName" not in table


def test_the_limits_table_forgets_by_itself_and_dies_with_the_stack(resources):
    table = resources["LimitsTable"]["Properties"]

    assert table["KeySchema"] == [{"AttributeName": "limit", "KeyType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert not {"StreamSpecification", "PointInTimeRecoverySpecification", "TableName"} & table.keys()
    assert "DeletionPolicy" not in resources["LimitsTable"]


def test_the_key_is_generated(resources):
    secret = the(resources, "AWS::SecretsManager::Secret")

    assert "SecretString" not in secret
    assert secret["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}


def test_no_secret_is_shown(template, resources):
    for name, properties in of_type(resources, "AWS::Lambda::Function").items():
        variables = properties["Environment"]["Variables"]
        assert not {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "CHALLENGE_SECRET"} & variables.keys(), name
        assert text(variables["SECRET_KEY_ARN"]) == "SecretKey or ExistingSecretArn"
        assert variables["CHALLENGE_SECRET_ARN"] == {"Ref": "ChallengeSecretArn"}
    # A dynamic reference would write the secret's value into a property.
    assert "{{resolve:" not in json.dumps(template)
    # Parameters hold where a secret is, and never the secret. (A site key is public.)
    for name in set(template["Parameters"]) - {"ChallengeSiteKey"}:
        assert not re.search("secret|password|key", name, re.IGNORECASE) or name.endswith("Arn"), name


@pytest.mark.parametrize(("parameter", "condition", "resource"), [
    ("ExistingUsersTable", "MakesTable", "UsersTable"),
    ("ExistingSecretArn", "MakesKey", "SecretKey"),
])  # fmt: skip
def test_a_table_and_a_key_can_be_adopted(template, resources, parameter, condition, resource):
    assert template["Conditions"][condition] == {"Fn::Equals": [{"Ref": parameter}, ""]}
    assert resources[resource]["Condition"] == condition
    # Whoever refers to the one that is not made, without a choice, fails.
    assert f'"{resource}"' not in json.dumps([without_choices(other, condition) for other in resources.values()])


def without_choices(value, condition):
    """A value without what depends on a condition."""
    if isinstance(value, dict):
        if value.get("Fn::If", [None])[0] == condition:
            return None
        return {key: without_choices(one, condition) for key, one in value.items()}
    return [without_choices(one, condition) for one in value] if isinstance(value, list) else value


# ---- Functions


def test_the_processor_is_named_in_one_place(root, template, resources):
    assert (root / "template.yaml").read_text().count("arm64]") == 1
    # As a parameter it could differ between `sam build` and `sam deploy`, and nothing would start.
    assert not [name for name in template["Parameters"] if "rchitecture" in name]
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["Architectures"] == ["arm64"]
        assert properties["Runtime"] == "provided.al2023"


def test_each_function_is_a_package_of_its_own_name(root, source):
    for name in FUNCTIONS:
        package = re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower()
        assert source["Resources"][name]["Metadata"]["BuildProperties"]["Binary"] == package


def test_functions_are_traced_only_if_asked(template, resources):
    assert template["Parameters"]["Tracing"]["Default"] == "no"
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["TracingConfig"] == {"Mode": {"Fn::If": ["Traces", "Active", "PassThrough"]}}
    for function in FUNCTIONS:
        attached = resources[f"{function}Role"]["Properties"]["ManagedPolicyArns"]
        assert attached[1]["Fn::If"][0] == "Traces"


def test_functions_can_be_bounded(resources):
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["ReservedConcurrentExecutions"]["Fn::If"][1] == {"Ref": "ReservedConcurrency"}


COMMON = {
    "USERS_TABLE", "LIMITS_TABLE", "SECRET_KEY_ARN", "SES_CONFIGURATION_SET", "MAIL_FROM", "SUPPORT_EMAIL", "APP_NAME", "ACCENT_COLOR", "LOGO_URL", "LANGUAGE",
    "BASE_URL", "INDEX_URL", "SIGN_IN_URL", "ALLOWED_ORIGINS", "CONFIRM_MAX_AGE", "RESEND_COOLDOWN", "REQUESTS_PER_NETWORK", "TRUSTED_NETWORKS",
    "TRUSTED_PROXIES", "CHALLENGE", "CHALLENGE_SITE_KEY", "CHALLENGE_SECRET_ARN",
}  # fmt: skip


@pytest.mark.parametrize(("function", "own"), [
    ("CreateAccount", set()),
    ("ConfirmEmail", {"CONFIRM_ON", "SES_NOTICES_CONFIGURATION_SET"}),
    ("ChangeEmail", {"SES_NOTICES_CONFIGURATION_SET"}),
    ("ResetPassword", {"RESET_MAX_AGE", "SES_NOTICES_CONFIGURATION_SET"}),
])  # fmt: skip
def test_each_function_has_the_settings_that_it_uses(resources, function, own):
    assert set(resources[function]["Properties"]["Environment"]["Variables"]) == COMMON | own


def test_only_the_sender_must_be_given(template):
    required = {name for name, parameter in template["Parameters"].items() if "Default" not in parameter}

    assert required == {"MailFrom"}


def test_each_parameter_says_what_it_is_and_is_used(root, template):
    text_of_all = (root / "template.yaml").read_text()
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert f"!Ref {name}" in text_of_all or f"${{{name}}}" in text_of_all, name
        if parameter["Type"] == "String" and name != "AppName":
            assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name


def test_every_parameter_is_documented(root, template, resources):
    pages = (root / "functions/OPERATIONS.md").read_text() + (root / "functions/README.md").read_text()
    settings = {name for function in FUNCTIONS for name in resources[function]["Properties"]["Environment"]["Variables"]}
    # A parameter that is a setting's is described with it.
    undocumented = {
        name for name in template["Parameters"] if re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper() not in settings and not re.search(rf"\b{name}\b", pages)
    }  # fmt: skip

    assert undocumented == set()


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("MailFrom", ["no-reply@myapp.com", "a.b+c@mail.my-app.co.uk"], ["", "myapp.com", "App <a@myapp.com>", "a@myapp", "a@b.c d"]),
        ("MailFromName", ["", "My App", "Łódź"], ["My <App>", "a@b", 'My "App"', "two\nlines"]),
        ("AccentColor", ["", "#0a7Bff"], ["red", "#fff", "#0a7bff;"]),
        ("LogoUrl", ["", "https://myapp.com/logo.png"], ["http://myapp.com/logo.png", "logo.png"]),
        ("Language", ["en", "pt-BR", "zh-Hans"], ["", "e", "english language"]),
        ("BaseUrl", ["", "https://myapp.com", "https://myapp.com/auth"], ["http://myapp.com", "https://myapp.com/", "https://a?b"]),
        ("DomainName", ["", "accounts.myapp.com"], ["https://myapp.com", "myapp"]),
        ("ClientCertificates", ["", "s3://my-bucket/authorities.pem"], ["https://my-bucket/a.pem", "s3://my-bucket"]),
        ("AllowedOrigins", ["", "https://a.com", "https://a.com,http://localhost:3000"], ["*", "null", "https://a.com/"]),
        ("SignInUrl", ["", "https://myapp.com/sign-in?new=1"], ["/sign-in", "javascript:alert(1)"]),
        ("TrustedNetworks", ["", "192.0.2.0/24", "2001:db8::/56,198.51.100.7/32"], ["192.0.2.7", "everybody", "192.0.2.0/24, 192.0.3.0/24"]),
        ("ChallengeSecretArn", ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:turnstile-a1b2c3"], ["0x4AAAAAAA", "turnstile"]),
        ("ExistingUsersTable", ["", "accounts-UsersTable-1ABC"], ["a", "arn:aws:dynamodb:eu-west-1:123456789012:table/users"]),
        ("PermissionsBoundary", ["", "arn:aws:iam::123456789012:policy/boundary"], ["boundary", "arn:aws:iam::123456789012:role/a"]),
        ("CanaryRelease", ["", "1764000000", "v2.1"], ["a b", "x" * 65]),
    ],
)
def test_patterns_take_the_good_and_refuse_the_bad(template, parameter, good, bad):
    pattern = template["Parameters"][parameter]["AllowedPattern"]

    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


def test_what_belongs_together_is_given_together(template):
    demanded = {rule["Assertions"][0]["AssertDescription"] for rule in template["Rules"].values()}

    assert demanded == {
        "DomainName needs CertificateArn",
        "CloseApiEndpoint needs BaseUrl, or no link would lead anywhere",
        "Challenge needs ChallengeSiteKey and ChallengeSecretArn",
        "AnnounceAddresses with ExistingUsersTable needs ExistingUsersTableStream",
    }


# ---- Updates


def test_updates_are_made_at_once_unless_asked_otherwise(template, resources):
    assert template["Parameters"]["CanaryRelease"]["Default"] == ""
    assert not [name for name, resource in resources.items() if resource["Type"].startswith("AWS::CodeDeploy::")]


def test_a_canary_is_rolled_back_by_our_alarms(canary):
    groups = of_type(canary, "AWS::CodeDeploy::DeploymentGroup")

    assert len(groups) == len(FUNCTIONS)
    for group in groups.values():
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent5Minutes"}
        assert group["AlarmConfiguration"]["Enabled"] is True
        alarms = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        assert alarms == {"ErrorsAlarm", "UnavailableAlarm", "MailFailuresAlarm"}
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}


def test_with_a_canary_every_deployment_publishes_its_settings(source):
    # SAM names a version by its code and by its settings before parameters are put in. A changed parameter alone would publish nothing, and the API,
    # which calls the published version, would go on with the old settings for ever.
    one, other = (translated(source, CanaryRelease="2", AppName=name)["Resources"] for name in ("One", "Other"))
    assert set(one) == set(other)

    for function in FUNCTIONS:
        (version,) = [properties for name, properties in of_type(one, "AWS::Lambda::Version").items() if name.startswith(function)]
        # Another description replaces the version, and another description of the function lets Lambda publish it.
        assert version["Description"] == {"Ref": "CanaryRelease"}
        assert "${CanaryRelease}" in text(one[function]["Properties"]["Description"])


def test_the_api_calls_functions_or_with_a_canary_their_aliases(canary):
    for integration in of_type(canary, "AWS::ApiGatewayV2::Integration").values():
        condition, alias, function = integration["IntegrationUri"]["Fn::If"]
        assert condition == "IsCanary"
        assert canary[alias["Ref"]]["Properties"]["FunctionName"] == {"Ref": function["Fn::GetAtt"][0]}


# ---- API


def test_each_route_reaches_its_function(resources):
    integrations = of_type(resources, "AWS::ApiGatewayV2::Integration")
    reached = {}
    for route in of_type(resources, "AWS::ApiGatewayV2::Route").values():
        (integration,) = re.fullmatch(r"integrations/\$\{(\w+)\}", text(route["Target"])).groups()
        properties = integrations[integration]
        assert properties["PayloadFormatVersion"] == "2.0"
        reached[route["RouteKey"]] = properties["IntegrationUri"]["Fn::If"][2]["Fn::GetAtt"][0]

    assert reached == ROUTES


def test_each_route_has_a_throttle_of_its_own(resources):
    stage = the(resources, "AWS::ApiGatewayV2::Stage")

    assert set(stage["RouteSettings"]) == set(ROUTES)
    for settings in stage["RouteSettings"].values():
        assert settings == {"ThrottlingRateLimit": {"Ref": "RequestsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "RequestBurst"}}
    # API Gateway refuses settings of a route that does not exist yet.
    assert set(resources["ApiStage"]["DependsOn"]) == set(of_type(resources, "AWS::ApiGatewayV2::Route"))


def test_a_function_has_twice_the_time_that_a_request_may_take(root, source):
    code = (root / "shared/accounts/src/lambda.rs").read_text()
    deadline = int(re.search(r"DEADLINE: Duration = Duration::from_secs\((\d+)\)", code)[1])

    # API Gateway waits 30 seconds.
    assert 2 * deadline <= source["Globals"]["Function"]["Timeout"] < 30


def test_access_logs_name_the_route_and_never_the_path(resources):
    log_format = the(resources, "AWS::ApiGatewayV2::Stage")["AccessLogSettings"]["Format"]

    fields = set(json.loads(log_format).values())
    assert "$context.routeKey" in fields
    # Neither the path, which holds tokens, nor who asked.
    assert not {field for field in fields if re.search(r"path|identity|\$context\.authorizer", field, re.IGNORECASE)}


def test_access_logs_are_where_they_need_no_resource_policy(resources):
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html: other names are added to a policy of 5,120 characters.
    assert text(resources["ApiLog"]["Properties"]["LogGroupName"]).startswith("/aws/vendedlogs/")


def test_what_the_filter_of_throttled_requests_reads_is_in_the_log(resources):
    fields = json.loads(the(resources, "AWS::ApiGatewayV2::Stage")["AccessLogSettings"]["Format"])
    read = set(re.findall(r"\$\.(\w+)", resources["ApiThrottled"]["Properties"]["FilterPattern"]))

    assert read == {"status", "functionLatency"}
    assert read <= set(fields)


def test_the_apis_own_address_can_be_closed(template, resources):
    assert resources["Domain"]["Condition"] == resources["DomainMapping"]["Condition"] == "HasDomain"
    assert the(resources, "AWS::ApiGatewayV2::Api")["DisableExecuteApiEndpoint"] == {"Fn::If": ["ClosesApiEndpoint", True, False]}
    assert template["Conditions"]["ClosesApiEndpoint"] == {
        "Fn::Or": [{"Condition": "HasDomain"}, {"Fn::Equals": [{"Ref": "CloseApiEndpoint"}, "yes"]}]
    }


def test_only_a_proxy_with_a_certificate_reaches_a_closed_domain(resources):
    only = the(resources, "AWS::ApiGatewayV2::DomainName")["MutualTlsAuthentication"]

    assert only["Fn::If"][:2] == ["HasClientCertificates", {"TruststoreUri": {"Ref": "ClientCertificates"}}]


def test_logs_are_kept_for_a_while_and_not_for_ever(resources):
    groups = of_type(resources, "AWS::Logs::LogGroup")

    assert set(groups) == {"FunctionLog", "ApiLog"}
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert properties["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionLog"}
