"""MiniStack, a local AWS that runs functions as processes, and what it lacks.

Some of it is added here, so that the template is deployed as it is and more of it can be seen at work:

- A stack with an alarm over several metrics, or with CodeDeploy, is refused: the alarm is recorded without its expression, CodeDeploy's resources do nothing.
- A table's TTL and point-in-time recovery are left out: they are switched on as the template says.
- A configuration set whose sending is paused sends: it refuses, as SES does.
- SES tells EventBridge nothing: a mail to the mailbox simulator's `bounce` and `complaint` does.
- CloudWatch tells EventBridge nothing: a changed state of an alarm does.
- Step Functions cannot call SES: it can pause and resume a configuration set.

The rest stays out of reach. It is checked by a rule instead:

- Expressions of alarms are not evaluated: their grammar (`metric_math.py`), and what they count (`test_alarms.py`).
- Gradual updates are not gradual: the deployment groups and their alarms (`test_template.py`).
- IAM permits everything: the list of permissions (`test_template.py`).
- Cookies reach a function in a header, and not in `cookies`, where payload format 2.0 has them: the events of `tests/e2e`.
- Throttles of routes, client certificates and X-Ray are not applied: their settings (`test_template.py`).
- Pipes take every record: the filters, by MiniStack's matcher of events (`test_deployment.py`); the state machine behind them sorts out what they let through.
- Metrics in logs and metric filters are not counted: their names (`test_alarms.py`).
- arm64 needs a processor of that kind: `test_arm64.py`, in an emulator.
"""

import asyncio
import json

from ministack.app import main
from ministack.services import cloudwatch, dynamodb, eventbridge, ses_v2, stepfunctions
from ministack.services.cloudformation import provisioners


def alarm_over_metrics(record):
    """An alarm that computes, recorded as one that waits for a metric that nobody writes."""

    def recorded(name, properties):
        if properties.get("Metrics"):
            properties = {**properties, "Metrics": None, "Namespace": "None", "MetricName": "None"}
        return record(name, properties)

    return recorded


def nothing(logical_id, _properties, stack_name):
    return f"{stack_name}-{logical_id}", {}


def table_with_its_settings(create):
    def created(logical_id, properties, stack_name):
        name, attributes = create(logical_id, properties, stack_name)
        for setting, update in (
            ("TimeToLiveSpecification", dynamodb._update_ttl),
            ("PointInTimeRecoverySpecification", dynamodb._update_continuous_backups),
        ):
            if setting in properties:
                update({"TableName": name, setting: properties[setting]})
        return name, attributes

    return created


def tell(source, detail_type, detail, resources=()):
    """An event of AWS itself."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": list(resources)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def alarm_that_tells(dispatch):
    def dispatched(alarm, old_state, new_state, reason):
        dispatch(alarm, old_state, new_state, reason)
        detail = {"alarmName": alarm["AlarmName"], "state": {"value": new_state}, "previousState": {"value": old_state}}
        tell("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm["AlarmArn"]])

    return dispatched


SIMULATED = {
    "bounce": {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "General"}},
    "complaint": {"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}},
}


def ses_that_pauses_and_tells(handle):
    async def handled(method, path, headers, body, query):
        if method != "POST" or not path.endswith("/outbound-emails"):
            return await handle(method, path, headers, body, query)
        mail = json.loads(body)
        name = mail.get("ConfigurationSetName", "")
        configuration = ses_v2._config_sets.get(name, {})
        if not configuration.get("SendingOptions", {}).get("SendingEnabled", True):
            return ses_v2._json_err("SendingPausedException", f"Email sending for configuration set {name} is currently paused.")
        answer = await handle(method, path, headers, body, query)
        (address,) = mail["Destination"]["ToAddresses"]
        local, _, domain = address.partition("@")
        event = SIMULATED.get(local.partition("+")[0])
        if event and domain == "simulator.amazonses.com" and configuration.get("EventDestinations") and answer[0] == 200:
            detail = {**event, "mail": {"source": mail["FromEmailAddress"], "destination": [address], "tags": {"ses:configuration-set": [name]}}}
            # As SES does, a moment later.
            asyncio.get_running_loop().call_later(0.5, tell, "aws.ses", f"Email {event['eventType']}ed", detail)
        return answer

    return handled


def step_functions_that_pauses_sending(invoke):
    def invoked(resource, arguments):
        if not resource.endswith(":aws-sdk:sesv2:putConfigurationSetSendingOptions"):
            return invoke(resource, arguments)
        configuration = ses_v2._config_sets[arguments["ConfigurationSetName"]]
        ses_v2._put_config_set_option(configuration, "SendingOptions", {"SendingEnabled": arguments["SendingEnabled"]})
        return {}

    return invoked


provisioners._cw_metric_alarm_record = alarm_over_metrics(provisioners._cw_metric_alarm_record)
for kind in ("Application", "DeploymentGroup"):
    provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = {"create": nothing, "delete": lambda _id, _properties: None}
table = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
table["create"] = table_with_its_settings(table["create"])
cloudwatch._dispatch_alarm_actions = alarm_that_tells(cloudwatch._dispatch_alarm_actions)
ses_v2.handle_request = ses_that_pauses_and_tells(ses_v2.handle_request)
stepfunctions._invoke_aws_sdk_integration = step_functions_that_pauses_sending(stepfunctions._invoke_aws_sdk_integration)

if __name__ == "__main__":
    main()
