"""Answers questions to Python's itsdangerous: one line of JSON in, one out.

Bytes travel in base64, keys newest first. The clock stands where the question says.
"""

import json
import sys
import zlib
from datetime import datetime, timezone

try:
    from itsdangerous import BadData, Signer, TimestampSigner, URLSafeTimedSerializer
    from itsdangerous.encoding import base64_decode, base64_encode
except ImportError as error:
    sys.exit(f"{sys.executable} cannot import itsdangerous: {error}")

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StoppedClock(TimestampSigner):
    now = 0

    def get_timestamp(self):
        return self.now


def seconds(date):
    return int((date - EPOCH).total_seconds())


def answer(question):
    call = question["call"]
    StoppedClock.now = question.get("now", 0)
    # itsdangerous wants the oldest key first.
    keys = [base64_decode(key) for key in reversed(question.get("keys", []))]
    salt = question.get("salt", "")
    max_age = question.get("max_age")

    if call == "compress":
        dictionary = {"zdict": b"ada"} if question["dictionary"] else {}
        compressor = zlib.compressobj(question["level"], wbits=question["window_bits"], **dictionary)
        return base64_encode(compressor.compress(base64_decode(question["data"])) + compressor.flush()).decode()
    if call == "get_signature":
        return Signer(keys, salt=salt).get_signature(question["value"]).decode()
    if call == "sign":
        return Signer(keys, salt=salt).sign(question["value"]).decode()
    if call == "unsign":
        return Signer(keys, salt=salt).unsign(question["signed"]).decode()
    if call == "stamp":
        return StoppedClock(keys, salt=salt).sign(question["value"]).decode()
    if call == "unstamp":
        signer = StoppedClock(keys, salt=salt)
        value, date = signer.unsign(question["signed"], max_age=max_age, return_timestamp=True)
        return [value.decode(), seconds(date)]

    serializer = URLSafeTimedSerializer(
        keys,
        salt=salt,
        signer=StoppedClock,
        serializer_kwargs={"ensure_ascii": True} if question.get("ascii_only") else {},
    )
    if call == "dumps":
        return serializer.dumps(question["value"])
    if call == "loads":
        value, date = serializer.loads(question["token"], max_age=max_age, return_timestamp=True)
        return [value, seconds(date)]
    raise ValueError(call)


for line in sys.stdin:
    try:
        reply = {"Ok": answer(json.loads(line))}
        # Rust's strings cannot hold the lone surrogates that Python's can.
        json.dumps(reply, ensure_ascii=False).encode()
    except BadData as error:
        reply = {"Err": type(error).__name__}
    except UnicodeError:
        reply = {"Err": "Unicode"}
    print(json.dumps(reply), flush=True)
