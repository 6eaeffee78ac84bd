"""The sign-in in Python that the documentation shows, run as it stands there."""

import re
import unicodedata
from pathlib import Path

import argon2
import pytest

PAGE = Path(__file__).resolve().parents[2] / "shared/accounts/README.md"
PASSWORD = "gr\u00fcne B\u00e4ume"
# As the service stores it.
HASH = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)
ADA = {"email": "ada@example.com", "user_id": "1", "email_confirmed": True, "password_hash": HASH}


class Table:
    """Answers as DynamoDB does, which refuses keys that it cannot hold."""

    def __init__(self, *rows):
        self.rows = {row["email"]: row for row in rows}

    def get_item(self, Key, ConsistentRead=False):  # noqa: N803, as boto3 names them
        assert ConsistentRead, "a password that was just changed must count"
        assert list(Key) == ["email"]
        assert 0 < len(Key["email"].encode()) <= 2048
        row = self.rows.get(Key["email"])
        return {} if row is None else {"Item": dict(row)}


@pytest.fixture(scope="module")
def example():
    [block] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    names = {}
    exec(compile(block, PAGE.name, "exec"), names)
    return names


@pytest.fixture
def sign_in(example):
    return example["sign_in"]


def with_row(**attributes):
    return Table({name: value for name, value in {**ADA, **attributes}.items() if value is not None})


def test_the_right_password_of_a_confirmed_address_signs_in(sign_in):
    assert sign_in(Table(ADA), "ada@example.com", PASSWORD) == ADA


def test_any_keyboard_types_the_password(sign_in):
    assert sign_in(Table(ADA), "ada@example.com", unicodedata.normalize("NFD", PASSWORD)) == ADA


@pytest.mark.parametrize(
    "password", ["", "gr\u00fcne B\u00e4um", PASSWORD + " ", "x" * 10_000, "\ud800", "\0"], ids=ascii
)
def test_no_other_password_signs_in(sign_in, password):
    assert sign_in(Table(ADA), "ada@example.com", password) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"email_confirmed": False},
        {"email_confirmed": None},
        {"email_confirmed": "true"},
        {"password_hash": None},
        {"password_hash": ""},
        {"password_hash": b"\x00"},
        {"password_hash": "$2b$12$abcdefghijklmnopqrstuuWj1rTfCGKLr5xYjdGLLHbRPzWuLgz3q"},
        {"password_hash": "scrypt:32768:8:1$salt$abcdef"},
        {"password_hash": "pbkdf2:sha256:600000$salt$abcdef"},
        {"password_hash": "$argon2id$"},
        {"password_hash": "$argon2id$v=19$m=0,t=0,p=0$$"},
        {"password_hash": "$argon2"},
    ],
    ids=str,
)
def test_a_row_that_lets_nobody_in_lets_nobody_in(sign_in, attributes):
    table = with_row(**attributes)

    for password in [PASSWORD, "", "nobody", "nobody's", "None"]:
        assert sign_in(table, "ada@example.com", password) is None


@pytest.mark.parametrize(
    "address",
    [
        "", "@", "a", "a@", "@b", "a@b", "a@b..c", "a@.b.c", "a@b.c.", "a@b@c.de", "a b@c.de", "a@\u2603\ufe0f.example",
        "a@exam_ple.com", "a@xn--a.example", "a@-b.com", "a@127.0.0.1", "a@[::1]", "\u00fcser@example.com",
        "\u212a@example.com", "\ud800@example.com", "a@\ud800.com", "a@\U0001f600\u200d.example", "a@\u0301.com",
        "a@" + "x" * 5_000 + ".com", "x" * 5_000 + "@example.com", "a@" + "\u00fc" * 100 + ".com", "a@" + "." * 5_000,
        "\0", "a\0@example.com", "a@exa\0mple.com", "\u200b\u202a\ufeff",
    ],
    ids=ascii,
)
def test_no_address_raises(sign_in, address):
    assert sign_in(Table(ADA), address, PASSWORD) is None


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("\u200bada@example.com\ufeff", "ada@example.com"),
        ("\u202aada@example.com\u202c\r\n", "ada@example.com"),
        ("user@B\u00fccher.example", "user@xn--bcher-kva.example"),
        ("user@bu\u0308cher.example", "user@xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
        ("user@b\u00fccher\u3002example", "user@xn--bcher-kva.example"),
        ("user@\uff42\u00fccher.example", "user@xn--bcher-kva.example"),
        ("user@fa\u00df.example", "user@xn--fa-hia.example"),
        ("user@\U0001f600.example", "user@xn--e28h.example"),
        ("user@ab--cd.com", "user@ab--cd.com"),
        ("x@r3---sn.example.com", "x@r3---sn.example.com"),
        ("O'Brien+tag@example.com", "o'brien+tag@example.com"),
    ],
    ids=ascii,
)
def test_every_spelling_finds_the_row_of_the_canonical_address(sign_in, typed, canonical):
    row = {**ADA, "email": canonical}

    assert sign_in(Table(row), typed, PASSWORD) == row


@pytest.mark.parametrize(
    ("table", "address"),
    [
        (Table(ADA), "ada@example.com"),
        (Table(), "ada@example.com"),
        (Table(), "a@b..c"),
        (Table(), "\ud800@example.com"),
        (with_row(email_confirmed=False), "ada@example.com"),
        (with_row(password_hash=None), "ada@example.com"),
        (with_row(password_hash="$2b$12$abcdefghijklmnopqrstuuWj1rTfCGKLr5xYjdGLLHbRPzWuLgz3q"), "ada@example.com"),
    ],
    ids=["confirmed", "unknown", "no-address", "no-text", "waiting", "invited", "foreign-hash"],
)
def test_every_attempt_costs_one_argon2_of_the_same_parameters(sign_in, example, monkeypatch, table, address):
    hashed = []
    original = argon2.low_level.verify_secret

    def counted(hash, secret, type):  # noqa: A002, as argon2 names them
        hashed.append(argon2.extract_parameters(hash.decode()))
        return original(hash, secret, type)

    monkeypatch.setattr(argon2._password_hasher, "verify_secret", counted)

    sign_in(table, address, "a wrong password")

    [parameters] = hashed
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (argon2.Type.ID, 19_456, 2, 1)
