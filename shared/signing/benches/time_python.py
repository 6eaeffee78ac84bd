"""Times Python's itsdangerous on the address of signing.rs: `python3 benches/time_python.py`."""

import timeit

from itsdangerous import URLSafeTimedSerializer

serializer = URLSafeTimedSerializer(
    "0123456789abcdef0123456789abcdef", salt="email-confirm-key"
)
address = "grace.hopper1@example.com"
token = serializer.dumps(address)


def nanoseconds(work):
    rounds = 5000

    return min(timeit.repeat(work, number=rounds, repeat=7)) / rounds * 1e9


print(f"sign    {nanoseconds(lambda: serializer.dumps(address)):8.0f} ns")
print(f"verify  {nanoseconds(lambda: serializer.loads(token, max_age=86400)):8.0f} ns")
