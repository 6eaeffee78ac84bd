"""The confirmation in Python: boto3 and itsdangerous, and the least loop that talks to Lambda's Runtime API."""

import json
import os
from http.client import HTTPConnection

import boto3
from itsdangerous import BadData, URLSafeTimedSerializer

links = URLSafeTimedSerializer(os.environ["SECRET_KEY"], salt="email-confirm-key")
table = boto3.resource("dynamodb").Table(os.environ["USERS_TABLE"])


def answer(event):
    try:
        email = links.loads(event["rawPath"].rsplit("/", 1)[1], max_age=86400)
    except BadData:
        return {"statusCode": 404, "body": "This link is not valid"}
    table.update_item(
        Key={"email": email},
        UpdateExpression="SET email_confirmed = :true REMOVE expires_at",
        ConditionExpression="attribute_exists(email)",
        ExpressionAttributeValues={":true": True},
    )
    return {"statusCode": 303, "headers": {"location": "/"}}


lambda_ = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    lambda_.request("GET", "/2018-06-01/runtime/invocation/next")
    invocation = lambda_.getresponse()
    reply = json.dumps(answer(json.load(invocation)))
    request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
    lambda_.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", reply)
    lambda_.getresponse().read()
