#!/usr/bin/env python3
"""What a deployment costs and how far it scales, worked out. Prints the tables of OPERATIONS.md: python3 functions/costs.py

List prices of us-east-1 in USD, read in November 2026. Prices and quotas change: change them here, and every table follows.
"""

MILLION = 1_000_000
DAY = 86_400

# What one person does who signs up and confirms: opens the form, posts it, is shown "look into your inbox", follows the link, is shown the last page.
REQUESTS = 5
ROUTE_REQUESTS = 2  # the busiest route, /accounts/create: the form, and its post
MAILS = 1
WRITES = 5  # a sign-up: request limit, mail limit, row, contested mark; a confirmation: the row. Rows are below 1 KB; a refused condition counts
USERS_WRITES = 3  # of these to the busier table: row, contested mark, confirmation
POST_SECONDS, POST_GB = 0.2, 0.5  # with the password's hash and SES' answer
LINK_SECONDS, LINK_GB = 0.03, 0.25
PAGE_SECONDS, PAGE_GB = 0.005, 0.5
LOG_KB = 1.4  # a request: our line, Lambda's own three, and the access log's
PAGE_KB = 5

PRICES = {
    # name: (USD, for how many, source)
    "mail, Essentials": (0.16, 1_000, "https://aws.amazon.com/ses/pricing/"),
    "mail, à la carte": (0.10, 1_000, "https://aws.amazon.com/ses/pricing/"),
    "API request": (1.00, MILLION, "https://aws.amazon.com/api-gateway/pricing/"),
    "function call": (0.20, MILLION, "https://aws.amazon.com/lambda/pricing/"),
    "GB-second, arm64": (0.0000133334, 1, "https://aws.amazon.com/lambda/pricing/"),
    "write": (0.625, MILLION, "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "GB of logs": (0.50, 1, "https://aws.amazon.com/cloudwatch/pricing/"),
    "alarm's metric": (0.10, 1, "https://aws.amazon.com/cloudwatch/pricing/"),
    "custom metric": (0.30, 1, "https://aws.amazon.com/cloudwatch/pricing/"),
    "secret": (0.40, 1, "https://aws.amazon.com/secrets-manager/pricing/"),
    "secret read": (0.05, 10_000, "https://aws.amazon.com/secrets-manager/pricing/"),
    "trace": (5.00, MILLION, "https://aws.amazon.com/xray/pricing/"),
    "GB sent": (0.09, 1, "https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer"),
    "GB stored and recoverable": (0.45, 1, "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
}

ALARM_METRICS = 33  # alarms are billed by the metrics in them; a test counts them in the template
SES_METRICS = 5  # Send, Delivery, Bounce, Complaint, Reject
OWN_METRICS = (8, 28)  # written in a quiet month, and if everything happens to every function; metrics are billed for the hours in which they are written
SECRET_READS = 12 * 24 * 30  # one instance that is warm all month, every five minutes

QUOTAS = {
    # name: (how much one sign-up a second needs, the default, what to ask for, source)
    "`DailyMailCeiling`, ours": (MAILS * DAY, 10_000, "`DailyMailCeiling`", "template.yaml"),
    "Lambda, a new account's instances": (POST_SECONDS + LINK_SECONDS + 3 * PAGE_SECONDS, 10, "Lambda concurrency",
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"),
    "SES, mails a day": (MAILS * DAY, 50_000, "SES' daily quota", "https://docs.aws.amazon.com/ses/latest/dg/quotas.html"),
    "SES, mails a second": (MAILS, 14, "SES' rate", "https://docs.aws.amazon.com/ses/latest/dg/quotas.html"),
    "`RequestsPerSecond` of a route, ours": (ROUTE_REQUESTS, 50, "`RequestsPerSecond`", "template.yaml"),
    "DynamoDB, writes a second of a fresh table": (USERS_WRITES, 4_000, "DynamoDB's warm throughput",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"),
    "API Gateway, requests a second": (REQUESTS, 10_000, "the throttle of API Gateway's account", "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"),
    "Lambda, instances": (POST_SECONDS + LINK_SECONDS + 3 * PAGE_SECONDS, 1_000, "Lambda concurrency",
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"),
}  # fmt: skip

RATES = (0.1, 1, 10, 100, 1_000, 10_000)
# What a stranger can have done without a limit of ours in the way: every request that a route lets through, for a day.
FLOOD = 50 * DAY


def price(name: str, amount: float) -> float:
    usd, units, _ = PRICES[name]
    return usd * amount / units


def table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def usd(amount: float) -> str:
    return f"{amount:,.2f}"


def amount(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def source(name: str) -> str:
    return f"[{name}]({PRICES[name][2]})"


def sign_ups(count: int = MILLION) -> str:
    """What so many confirmed sign-ups cost once."""
    seconds = {
        "posts": count * POST_SECONDS * POST_GB, "links": count * LINK_SECONDS * LINK_GB, "pages": 3 * count * PAGE_SECONDS * PAGE_GB,
    }  # fmt: skip
    gigabytes = sum(seconds.values())
    log = REQUESTS * count * LOG_KB / MILLION
    parts = [
        ("mail, Essentials", f"{MAILS} M mails × 0.16 per 1,000; 0.10 on the à-la-carte plan", MAILS * count),
        ("API request", f"{REQUESTS} M requests × 1.00 per M", REQUESTS * count),
        ("function call", f"{REQUESTS} M × 0.20 per M", REQUESTS * count),
        ("GB-second, arm64", f"{POST_GB} GB × {POST_SECONDS} s, {LINK_GB} × {LINK_SECONDS}, 3 × {PAGE_GB} × {PAGE_SECONDS}: {gigabytes:,.0f} GB-s", gigabytes),
        ("write", f"{WRITES} writes × 0.625 per M", WRITES * count),
        ("GB of logs", f"{REQUESTS} M × {LOG_KB} KB = {log:.0f} GB × 0.50", log),
        ("GB sent", f"3 M pages × {PAGE_KB} KB = {3 * PAGE_KB} GB × 0.09; the first 100 GB a month are free", 3 * count * PAGE_KB / MILLION),
    ]
    rows = [[source(name), worked, usd(price(name, quantity))] for name, worked, quantity in parts]
    total = sum(price(name, amount) for name, _, amount in parts)
    saved = price("mail, Essentials", count) - price("mail, à la carte", count)
    rows.append(["", f"**sum** ({usd(total - saved)} with mail à la carte)", f"**{usd(total)}**"])
    return table(["part", "worked out", "USD"], rows)


def months() -> str:
    """What a stack costs each month, whatever the traffic."""
    low, high = (price("custom metric", SES_METRICS + own) for own in OWN_METRICS)
    reads = price("secret read", SECRET_READS)
    rows = [
        [source("alarm's metric"), f"{ALARM_METRICS} metrics in alarms × 0.10", usd(price("alarm's metric", ALARM_METRICS))],
        [source("custom metric"), f"{SES_METRICS} of SES and {OWN_METRICS[0]} to {OWN_METRICS[1]} of ours × 0.30", f"{usd(low)} to {usd(high)}"],
        [source("secret"), f"0.40, and {SECRET_READS:,} reads of each instance that is always warm × 0.05 per 10,000", usd(0.40 + reads)],
        [source("GB stored and recoverable"), "a million users are about 0.5 GB × (0.25 + 0.20 for point-in-time recovery)", usd(0.225)],
    ]
    fixed = price("alarm's metric", ALARM_METRICS) + 0.40 + reads + 0.225
    rows.append(["", "**sum**; the dashboard is among the three that are free", f"**{usd(fixed + low)} to {usd(fixed + high)}**"])
    return table(["part", "worked out", "USD a month"], rows)


def options() -> str:
    """What the parameters that cost something add."""
    requests = REQUESTS * MILLION
    traces = (0.05 * requests, 0.05 * requests + 30 * DAY)
    rows = [
        ["`Tracing=yes`", "5 % of 5 M requests, and the first of each second (at most 2.6 M a month) × 5.00 per M",
         f"{usd(price('trace', traces[0]))} to {usd(price('trace', traces[1]))} for a million sign-ups in a month"],
        ["`AnnounceAddresses=yes`", "per million: Pipes 0.40, Step Functions Express 1.00 + 0.10, SNS 0.50, KMS below 0.10", "2.10 a million users"],
        ["`AutoValidation=yes`", "[SES' price per address](https://aws.amazon.com/ses/pricing/); look it up before you switch it on", ""],
        ["CloudFront and AWS WAF", "[WAF](https://aws.amazon.com/waf/pricing/): 5.00 a month, 4 rules × 1.00, 0.60 per M requests", "9.00 and 3.00 a million sign-ups"],
    ]  # fmt: skip
    return table(["option", "worked out", "USD"], rows)


def flood() -> str:
    """What a day of 50 requests a second to one route costs, which is what it lets through."""
    log = FLOOD * LOG_KB / MILLION
    parts = [
        ("API request", FLOOD), ("function call", FLOOD), ("GB-second, arm64", FLOOD * PAGE_SECONDS * PAGE_GB), ("GB of logs", log), ("write", FLOOD),
        ("mail, Essentials", 10_000),
    ]  # fmt: skip
    worked = {
        "API request": f"50 a second = {FLOOD / MILLION:.2f} M", "function call": "the same", "GB-second, arm64": "5 ms each: refused before the hash",
        "GB of logs": f"{LOG_KB} KB each", "write": "the count of the network, one each", "mail, Essentials": "`DailyMailCeiling`, 10,000",
    }  # fmt: skip
    rows = [[source(name), worked[name], usd(price(name, amount))] for name, amount in parts]
    rows.append(["", "**sum**", f"**{usd(sum(price(name, amount) for name, amount in parts))}**"])
    return table(["part", "worked out", "USD a day"], rows)


def scale() -> str:
    """Which quota each rate of sign-ups is past."""
    rows = []
    before: list[str] = []
    for rate in RATES:
        past = [f"{name}: {amount(rate * need)} of {limit:,}" for name, (need, limit, _, _) in QUOTAS.items() if rate * need > limit]
        asks = list(dict.fromkeys(ask for need, limit, ask, _ in QUOTAS.values() if rate * need > limit))
        new = [one for one in past if one.partition(":")[0] not in before]
        before += [one.partition(":")[0] for one in new]
        rows.append([f"{rate:,}", f"{rate * DAY:,.0f}", "<br>".join(new) or "–", ", ".join(asks) or "–"])
    return table(["sign-ups a second", "a day", "past its default from here on", "to be raised in all"], rows)


def sources() -> str:
    rows = [
        [name, f"{limit:,}", "the template" if where == "template.yaml" else f"[AWS]({where})", amount(limit / need)]
        for name, (need, limit, _, where) in sorted(QUOTAS.items(), key=lambda one: one[1][1] / one[1][0])
    ]
    return table(["quota", "default", "source", "met at sign-ups a second"], rows)


TABLES = {"sign-ups": sign_ups, "months": months, "options": options, "flood": flood, "quotas": sources, "scale": scale}


def main() -> None:
    for name, make in TABLES.items():
        print(f"## {name}\n\n{make()}\n")


if __name__ == "__main__":
    main()
