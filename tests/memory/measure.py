#!/usr/bin/env python3
"""Measures each function at the shares of a processor that Lambda gives to memory sizes, and prints a table and a plot (SVG).

    sam build && tests/memory/measure.py .aws-sam/build > table.md        # needs root, and Linux' cgroup "cpu" (version 1 or 2)

Lambda gives a whole processor at 1,769 MB and parts of it in proportion (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). DynamoDB and SES are
stand-ins here that take 5 and 60 ms. The processor is this machine's and not Lambda's: compare rows, not days.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

sys.path.append(str(Path(__file__).resolve().parents[1] / "rehearsal"))

SIZES = (128, 256, 512, 1024, 1769)
WHOLE = 1769
PERIOD = 20_000
DYNAMODB, SES = 0.005, 0.060
REQUEST_PRICE, SECOND_PRICE = 0.20, 0.0000133334
KEY = "a key for measuring, of many bytes"
BASE = "https://accounts.example.com"
ADDRESS, PASSWORD = "ada@example.com", "correct horse battery"


class Aws(BaseHTTPRequestHandler):
    """DynamoDB, SES and nothing else; remembers the last row that was put."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    row: dict = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        answer: dict = {}
        if self.path.startswith("/v2/email"):
            time.sleep(SES)
            answer = {"MessageId": "1"}
        else:
            time.sleep(DYNAMODB)
            if operation == "PutItem" and "password_hash" in json.loads(body)["Item"]:
                Aws.row = json.loads(body)["Item"]
            elif operation == "GetItem":
                answer = {"Item": {**Aws.row, "email_confirmed": {"BOOL": True}}}
        self.reply(200, json.dumps(answer).encode())

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Runtime(Aws):
    """The API that a function asks for events. Each function has a subclass of its own."""

    polled, events, answers = threading.Event(), queue.Queue(), queue.Queue()

    def do_GET(self):
        self.polled.set()
        event = self.events.get()
        headers = [("Lambda-Runtime-Aws-Request-Id", "1"), ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 29_000)),
                   ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f"), ("Content-Type", "application/json")]  # fmt: skip
        self.reply(200, json.dumps(event).encode(), headers)

    def do_POST(self):
        self.answers.put((time.perf_counter(), self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        self.reply(202, b"{}")


class Share:
    """A part of a processor."""

    def __init__(self, megabytes: int):
        quota = max(1_000, round(PERIOD * megabytes / WHOLE))
        first = Path("/sys/fs/cgroup/cpu")
        self.folder = (first if first.is_dir() else Path("/sys/fs/cgroup")) / f"accounts-{megabytes}"
        self.folder.mkdir(exist_ok=True)
        if first.is_dir():
            (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (self.folder / "cpu.max").write_text(f"{quota} {PERIOD}")

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)


def event(method: str, path: str, form: dict[str, str] | None = None, cookie: str = "") -> dict:
    body = "&".join(f"{name}={quote(value)}" for name, value in (form or {}).items())
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html", "host": "accounts.example.com"}
    http_part = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "measure"}
    context = {
        "accountId": "1", "apiId": "a", "domainName": "accounts.example.com", "domainPrefix": "accounts", "requestId": "1", "routeKey": "$default",
        "stage": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 0, "http": http_part,
    }  # fmt: skip
    cookies = {"cookies": [cookie]} if cookie else {}
    return {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers, **cookies,
            "requestContext": context, "body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}  # fmt: skip


def measured(bootstrap: Path, share: Share, environment: dict[str, str], events: list[dict]):
    """Milliseconds of the start, of the first event and of the median of the others; and the last answer."""
    runtime = type("Runtime", (Runtime,), {"polled": threading.Event(), "events": queue.Queue(), "answers": queue.Queue()})
    environment = {**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{serve(runtime)}"}
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment, preexec_fn=share.enter, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not runtime.polled.wait(60):
            raise SystemExit(f"{bootstrap} does not start")
        start = time.perf_counter() - began
        times = []
        for one in events:
            # A share that was saved up by waiting would make the first event cheap.
            time.sleep(0.05)
            sent = time.perf_counter()
            runtime.events.put(one)
            ended, answer = runtime.answers.get(timeout=60)
            times.append(ended - sent)
        return start * 1000, times[0] * 1000, statistics.median(times[1:]) * 1000, json.loads(answer)
    finally:
        process.kill()
        process.wait()


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A function that is ended hangs up."""


def serve(handler):
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def header(answer: dict, name: str) -> str:
    found = {**{key: values[0] for key, values in answer.get("multiValueHeaders", {}).items() if values}, **answer.get("headers", {})}
    return {key.lower(): value for key, value in found.items()}.get(name, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("built", type=Path, help="the folder that sam build made, for this machine's processor")
    parser.add_argument("--warm", type=int, default=15, help="requests after the first (15)")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each function at each size, of which the median counts (3)")
    parser.add_argument("--plot", type=Path, help="where the plot is written (SVG)")
    options = parser.parse_args()
    from rehearse import token

    aws = serve(Aws)
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws}", "USERS_TABLE": "users", "LIMITS_TABLE": "limits", "SECRET_KEY": KEY, "BASE_URL": BASE,
        "MAIL_FROM": "no-reply@example.com", "RESEND_COOLDOWN": "0", "REQUESTS_PER_NETWORK": "0",
    }  # fmt: skip

    def signed(route: str, salt: str) -> str:
        # Of after the last sign-up, since a link is for rows that are no younger.
        return f"{route}/{token(KEY.encode(), ADDRESS, time.time() + 2, salt)}"

    form = {"email": ADDRESS, "password": PASSWORD}
    whole = Share(WHOLE)
    *_, answer = measured(options.built / "CreateAccount/bootstrap", whole, environment, [event("POST", "/accounts/create", form)] * 2)
    cookie = (answer.get("cookies") or [header(answer, "set-cookie")])[0].partition(";")[0]
    cases = {
        "create-account: a sign-up": ("CreateAccount", lambda: event("POST", "/accounts/create", form)),
        "confirm-email: the link": ("ConfirmEmail", lambda: event("GET", signed("/accounts/confirm", "email-confirm-key"), cookie=cookie)),
        "change-email: asked for": ("ChangeEmail", lambda: event("POST", "/accounts/email", {**form, "new_email": "ada@example.org"})),
        "reset-password: asked for": ("ResetPassword", lambda: event("POST", "/accounts/password", {"email": ADDRESS})),
        "reset-password: set": ("ResetPassword",
            lambda: event("POST", signed("/accounts/password", "recover-key"), {"password": "another battery, correct"})),
    }  # fmt: skip
    print("| | MB | start, ms | first, ms | warm, ms | USD a million, warm |\n|---|---|---|---|---|---|")
    lines: dict[str, list] = {}
    for name, (function, make) in cases.items():
        if not (options.built / function).is_dir():
            continue
        for size in SIZES:
            share = Share(size)
            rounds = [measured(options.built / function / "bootstrap", share, environment, [make()] * (options.warm + 1)) for _ in range(options.rounds)]
            start, first, warm = (statistics.median(column) for column in list(zip(*rounds))[:3])
            status = {round_[3]["statusCode"] for round_ in rounds}
            if status - {200, 202, 303}:
                raise SystemExit(f"{name} was answered {status}: {rounds[0][3]}")
            cost = REQUEST_PRICE + 1_000_000 * SECOND_PRICE * size / 1024 * -(-warm // 1) / 1000
            print(f"| {name} | {size:,} | {start:.0f} | {first:.0f} | {warm:.0f} | {cost:.2f} |", flush=True)
            lines.setdefault(name, []).append((size, warm, cost))
            if share.folder != whole.folder:
                share.remove()
    whole.remove()
    if options.plot:
        options.plot.write_text(plot(lines))


def plot(lines: dict[str, list]) -> str:
    """Milliseconds of a warm request (solid) and USD a million (dashed) over memory, on a logarithmic scale."""
    import math

    colors = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")
    across = {size: 60 + 130 * at for at, size in enumerate(SIZES)}

    def up(value: float, low: float, high: float) -> float:
        return 300 - 260 * (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 400" font-family="sans-serif" font-size="12">',
             '<rect width="860" height="400" fill="white"/>']  # fmt: skip
    for size, x in across.items():
        parts.append(f'<line x1="{x}" y1="40" x2="{x}" y2="300" stroke="#ddd"/><text x="{x}" y="318" text-anchor="middle">{size:,} MB</text>')
    for milliseconds in (5, 10, 50, 100, 500, 1000):
        y = up(milliseconds, 3, 1500)
        parts.append(f'<line x1="60" y1="{y:.0f}" x2="580" y2="{y:.0f}" stroke="#eee"/><text x="52" y="{y + 4:.0f}" text-anchor="end">{milliseconds} ms</text>')
    for dollars in (0.25, 0.5, 1, 2, 4):
        parts.append(f'<text x="590" y="{up(dollars, 0.2, 6) + 4:.0f}">{dollars} USD</text>')
    for at, (name, points) in enumerate(lines.items()):
        for dash, low, high, column in (("", 3, 1500, 1), (' stroke-dasharray="5 4"', 0.2, 6, 2)):
            path = " ".join(f"{across[point[0]]},{up(point[column], low, high):.0f}" for point in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colors[at]}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="650" y="{60 + 22 * at}" fill="{colors[at]}">{name}</text>')
    parts.append('<text x="60" y="345">solid: a warm request, milliseconds; dashed: USD for a million of them (arm64 prices); both logarithmic</text></svg>')
    return "\n".join(parts)


if __name__ == "__main__":
    main()
