"""Makes itsdangerous.json, the known answers of Python's itsdangerous:

    python3 make.py > itsdangerous.json
"""

import json
import zlib
from importlib.metadata import version

from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

KEY = "a secret key"


def at(now):
    """A TimestampSigner whose clock stands still."""

    class Stopped(TimestampSigner):
        def get_timestamp(self):
            return now

    return Stopped


def signed(value, salt, key=KEY):
    return {
        "value": value,
        "salt": salt,
        "key": key,
        "signature": Signer(key, salt=salt).get_signature(value).decode(),
        "token": Signer(key, salt=salt).sign(value).decode(),
    }


def stamped(value, now, salt="itsdangerous.Signer", key=KEY):
    return {
        "value": value,
        "salt": salt,
        "key": key,
        "now": now,
        "token": at(now)(key, salt=salt).sign(value).decode(),
    }


def dumped(value, salt="itsdangerous", now=1_700_000_000, key=KEY, ascii_only=False):
    serializer = URLSafeTimedSerializer(
        key,
        salt=salt,
        signer=at(now),
        serializer_kwargs={"ensure_ascii": ascii_only},
    )
    return {
        "value": value,
        "salt": salt,
        "key": key,
        "now": now,
        "ascii_only": ascii_only,
        "token": serializer.dumps(value),
    }


def payload(json_bytes, compress=None):
    """A token over JSON that Python reads but would not write itself."""
    part = base64_encode(json_bytes)
    if compress:
        part = b"." + base64_encode(compress(json_bytes))
    now = 1_700_000_000
    token = at(now)(KEY, salt="itsdangerous").sign(part).decode()
    value = URLSafeTimedSerializer(KEY, salt="itsdangerous").loads(token)
    return {"value": value, "salt": "itsdangerous", "key": KEY, "now": now, "token": token}


answers = {
    "made_by": f"itsdangerous {version('itsdangerous')}",
    "signer": [
        signed("my string", "activate"),
        signed("", ""),
        signed("a.b.c", "dots"),
        signed("grüße 🦀", "Salz ä"),
        signed("a long key", "k", key="k" * 200),
        signed("an empty key", "k", key=""),
    ],
    "timestamp_signer": [
        stamped("my string", 1_700_000_000, "activate"),
        stamped("", 1_700_000_000),
        stamped("the epoch", 0),
        stamped("one byte", 255),
        stamped("two bytes", 256),
        stamped("five bytes", 1 << 32),
        stamped("the last second that Python can name", 253402300799),
    ],
    "serializer": [
        dumped("ada@example.com", "email-confirm-key"),
        dumped(["ada@example.com", "bob@mail.test"], "email-update-key"),
        dumped("grüße 🦀 \x7f \u2028"),
        dumped("grüße 🦀 \x7f \u2028", ascii_only=True),
        dumped('"\\/\b\f\n\r\t\x00\x1f'),
        dumped({"nested": [None, True, False, -1, 1.5, 1e16, 1e-5, 5e-324, {"": []}]}),
        dumped(""),
        dumped(None),
        dumped("x" * 10, now=0),
    ],
    "single_precision": dumped([-1.5, 1e-5, 1e16, 0.1]),
    "short_and_compressed": [
        dumped(["ada@example.com", "ada@example.org"], "email-update-key"),
        dumped("a" * 100),
    ],
    "compressed": [
        dumped("a" * 126),
        dumped("a" * 1000),
        dumped([f"user{number}@example.com" for number in range(100)]),
    ],
    "unusual": [
        payload(b' \t\r\n"spaced" \n'),
        payload(rb'"\u0061\/\u00fC\ud83e\udd80"'),
        payload(b'"best"', lambda data: zlib.compress(data, 9)),
        payload(b'"stored"', lambda data: zlib.compress(data, 0)),
        payload(b'"with a tail"', lambda data: zlib.compress(data) + b"tail"),
    ],
}

print(json.dumps(answers, indent=2))
