"""The tables of OPERATIONS.md are those that the script works out, from numbers that the template has."""

import re

import costs
import pytest
from reading import of_type


@pytest.mark.parametrize("name", list(costs.TABLES))
def test_the_page_has_the_table_as_it_is_worked_out(root, name):
    page = (root / "functions/OPERATIONS.md").read_text()

    assert f"<!-- costs.py: {name} -->\n\n{costs.TABLES[name]()}\n" in page


def test_the_alarms_that_are_paid_for_are_those_of_the_template(resources):
    paid = {
        name: max(1, sum("MetricStat" in metric for metric in resource["Properties"].get("Metrics", [])))
        for name, resource in resources.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource
    }

    assert sum(paid.values()) == costs.ALARM_METRICS


def test_the_events_of_ses_that_are_paid_for_are_those_of_the_template(resources):
    counted = [
        event
        for destination in of_type(resources, "AWS::SES::ConfigurationSetEventDestination").values()
        if "CloudWatchDestination" in destination["EventDestination"]
        for event in destination["EventDestination"]["MatchingEventTypes"]
    ]

    assert len(counted) == costs.SES_METRICS


def test_quotas_of_ours_are_the_templates_defaults(template):
    for parameter in ("DailyMailCeiling", "RequestsPerSecond"):
        (limit,) = [quota[1] for name, quota in costs.QUOTAS.items() if parameter in name]
        assert limit == template["Parameters"][parameter]["Default"]


def test_sizes_are_the_templates(resources):
    for function, gigabytes in (("CreateAccount", costs.POST_GB), ("ConfirmEmail", costs.LINK_GB)):
        assert resources[function]["Properties"]["MemorySize"] == gigabytes * 1024


def test_every_price_and_quota_has_a_source():
    for _, _, source in costs.PRICES.values():
        assert re.match("https://aws.amazon.com/", source)
    for _, _, _, source in costs.QUOTAS.values():
        assert source == "template.yaml" or source.startswith("https://docs.aws.amazon.com/")


def test_sums_are_the_sums_of_their_rows():
    for name in ("sign-ups", "flood"):
        *rows, total = costs.TABLES[name]().splitlines()[2:]
        amounts = [float(row.split("|")[3].strip().replace(",", "")) for row in rows]
        assert abs(sum(amounts) - float(total.split("**")[-2].replace(",", ""))) < 0.05, name
