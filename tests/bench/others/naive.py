"""The confirmation in Python: boto3 and itsdangerous, for AWS' own runtime: `python3 -m awslambdaric naive.handler`."""

import json
import os

import boto3
from itsdangerous import BadData, URLSafeTimedSerializer

links = URLSafeTimedSerializer(os.environ["SECRET_KEY"], salt="email-confirm-key")
table = boto3.resource("dynamodb").Table(os.environ["USERS_TABLE"])


def handler(event, context):
    try:
        email = links.loads(event["rawPath"].rsplit("/", 1)[1], max_age=86400)
    except BadData:
        print(json.dumps({"request_id": context.aws_request_id, "outcome": "invalid-link"}))
        return {"statusCode": 404, "body": "This link is not valid"}
    table.update_item(
        Key={"email": email},
        UpdateExpression="SET email_confirmed = :true REMOVE expires_at",
        ConditionExpression="attribute_exists(email)",
        ExpressionAttributeValues={":true": True},
    )
    print(json.dumps({"request_id": context.aws_request_id, "outcome": "confirmed"}))
    return {"statusCode": 303, "headers": {"location": "/"}}
