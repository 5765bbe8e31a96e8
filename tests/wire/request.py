"""One line of input, parsed into what a receiver sees. Raises a ValueError that names the field at fault."""

import base64
import json
import re
from dataclasses import dataclass

FIELDS = {"name", "contract", "secret", "previous_secret", "public_key", "headers", "body_base64", "expect"}
CONTRACTS = ("bitbybit", "eightbit", "generic", "standard")
VERDICTS = ("accept", "refuse")
STANDARD_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+={0,2}")
PUBLIC_KEY = re.compile(r"whpk_[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True)
class Request:
    """`headers` by lower-case name; `public_key` as 32 bytes; `expect` is "accept" or "refuse"."""

    name: str
    contract: str
    secret: str
    previous_secret: str | None
    public_key: bytes | None
    headers: dict[str, str]
    body: bytes
    expect: str


def parse_request(line: str) -> Request:
    fields = json.loads(line)
    must(isinstance(fields, dict), "a request must be an object")
    for field in fields:
        must(field in FIELDS, f"unknown field {field}")
    name, contract, secret = (fields.get(field) for field in ("name", "contract", "secret"))
    previous_secret = fields.get("previous_secret")
    must(is_text(name), "name must be a string")
    must(contract in CONTRACTS, f"contract must be one of {', '.join(CONTRACTS)}")
    must(is_secret(secret, contract), "secret must be a string in the contract's form")
    must(
        previous_secret is None or is_secret(previous_secret, contract),
        "previous_secret must be null or a string in the contract's form",
    )
    return Request(
        name=name,
        contract=contract,
        secret=secret,
        previous_secret=previous_secret,
        public_key=parse_public_key(fields.get("public_key"), contract),
        headers=parse_headers(fields.get("headers")),
        body=parse_body(fields.get("body_base64")),
        expect=parse_expect(fields.get("expect")),
    )


def is_secret(value: object, contract: str) -> bool:
    return is_text(value) and (contract != "standard" or STANDARD_SECRET.fullmatch(value) is not None)


def parse_public_key(value: object, contract: str) -> bytes | None:
    if value is None:
        return None
    must(contract == "standard", "public_key belongs to the standard contract only")
    must(is_text(value) and PUBLIC_KEY.fullmatch(value), "public_key must be whpk_ and the base64 of 32 bytes")
    return base64.b64decode(value.removeprefix("whpk_"))


def parse_headers(pairs: object) -> dict[str, str]:
    """By lower-case name, a repeated one joined as a WSGI server joins it."""
    must(isinstance(pairs, list), "headers must be a list of [name, value]")
    headers: dict[str, str] = {}
    for pair in pairs:
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        must(is_pair, "headers must be a list of [name, value]")
        name, value = pair[0].lower(), pair[1]
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def parse_body(value: object) -> bytes:
    must(isinstance(value, str), "body_base64 must be base64")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise ValueError("body_base64 must be base64") from error


def parse_expect(value: object) -> str:
    own = value.get("python") if isinstance(value, dict) else value
    must(own in VERDICTS, 'expect must be "accept", "refuse" or {"node": …, "python": …} of these')
    return own


def is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def must(holds: object, complaint: str) -> None:
    if not holds:
        raise ValueError(complaint)
