"""Signs requests as the contracts say, without Whimbrel, and runs `verify` on them (through the script `selftest`)."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERIFY = Path(__file__).with_name("verify")
BODY = '{"id":"evt_1","type":"user.created","data":{"name":"Zoë 🐦","n":1.5}}'.encode()
SPACED_BODY = b'{"id": "evt_1"}'
KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = "whpk_" + base64.b64encode(KEY.public_key().public_bytes_raw()).decode()

Headers = list[list[str]]
Sign = Callable[[bytes, list[str], int], Headers]


def mac(secret: str | bytes, content: bytes) -> bytes:
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, content, hashlib.sha256).digest()


def sign_bitbybit(body: bytes, secrets: list[str], at: int) -> Headers:
    signatures = [f"v1={mac(secret, f'{at}.'.encode() + body).hex()}" for secret in secrets]
    return [["X-BitByBit-Webhook-Signature", ",".join([f"t={at}", *signatures])]]


def sign_eightbit(body: bytes, secrets: list[str], _at: int) -> Headers:
    names = ["X-8bit-Signature-256", "X-8bit-Signature-256-Previous"]
    return [[name, "sha256=" + mac(secret, body).hex()] for name, secret in zip(names, secrets)]


def sign_generic(body: bytes, secrets: list[str], _at: int) -> Headers:
    names = ["X-Webhook-Signature", "X-Webhook-Signature-Previous"]
    return [[name, mac(secret, body).hex()] for name, secret in zip(names, secrets)]


def sign_standard(body: bytes, secrets: list[str], at: int) -> Headers:
    signed = f"evt_1.{at}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    signatures = ["v1," + base64.b64encode(mac(key, signed)).decode() for key in keys]
    signatures.append("v1a," + base64.b64encode(KEY.sign(signed)).decode())
    return [["webhook-id", "evt_1"], ["webhook-timestamp", str(at)], ["webhook-signature", " ".join(signatures)]]


SIGNERS: dict[str, Sign] = {
    "bitbybit": sign_bitbybit,
    "eightbit": sign_eightbit,
    "generic": sign_generic,
    "standard": sign_standard,
}
TIMED = ("bitbybit", "standard")


def secret(seed: str) -> str:
    """In the form that every contract takes."""
    return "whsec_" + base64.b64encode(hashlib.sha256(seed.encode()).digest()).decode()


NEW, OLD, OTHER = secret("new"), secret("old"), secret("other")


def request(name: str, contract: str, headers: Headers, expect: object, **changes: object) -> dict:
    body = changes.pop("body", BODY)
    return {
        "name": f"{contract}: {name}",
        "contract": contract,
        "secret": NEW,
        "previous_secret": None,
        "public_key": None,
        "headers": headers,
        "body_base64": base64.b64encode(body).decode(),
        "expect": expect,
    } | changes


def requests_of(contract: str, now: int) -> list[dict]:
    sign = SIGNERS[contract]
    single, both = sign(BODY, [NEW], now), sign(BODY, [NEW, OLD], now)
    tampered = BODY.replace(b"1.5", b"2.5")
    requests = [
        request("genuine", contract, single, "accept"),
        request("another body", contract, single, "refuse", body=tampered),
        request("another secret", contract, single, "refuse", secret=OTHER),
        request("no headers", contract, [], "refuse"),
        request("in rotation", contract, both, "accept", previous_secret=OLD),
        request("in rotation, another body", contract, both, "refuse", previous_secret=OLD, body=tampered),
    ]
    if contract in TIMED:
        for name, at in (("recent", now - 240), ("stale", now - 600)):
            expect = "accept" if name == "recent" else "refuse"
            requests.append(request(name, contract, sign(BODY, [NEW], at), expect))
    return requests


def special_requests(now: int) -> list[dict]:
    spaced = sign_generic(SPACED_BODY, [NEW], now)
    signed = sign_standard(BODY, [NEW], now)
    return [
        # The Node receiver signs what JSON.stringify gives, so only Python takes a body with spaces.
        request("spaces", "generic", spaced, {"node": "refuse", "python": "accept"}, body=SPACED_BODY),
        request("v1a", "standard", signed, "accept", public_key=PUBLIC_KEY),
        request("v1a, another body", "standard", signed, "refuse", public_key=PUBLIC_KEY, body=SPACED_BODY),
    ]


def surprising_requests(now: int) -> list[dict]:
    """Each has one part that no receiver should take, so `verify` has to report every one of them."""
    stranger = "whpk_" + base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    signed = sign_standard(BODY, [NEW], now)
    forged_previous = [
        request("previous by another", contract, sign(BODY, [NEW, OTHER], now), "accept", previous_secret=OLD)
        for contract, sign in SIGNERS.items()
    ]
    return [*forged_previous, request("v1a by another", "standard", signed, "accept", public_key=stranger)]


SURPRISES = [
    "bitbybit: previous by another: node/stripe/previous",
    "bitbybit: previous by another: python/stripe/previous",
    "eightbit: previous by another: node/octokit/previous",
    "generic: previous by another: node/documented-receiver/previous",
    "generic: previous by another: python/documented-receiver/previous",
    "standard: previous by another: node/standardwebhooks/previous",
    "standard: previous by another: python/standardwebhooks/previous",
    "standard: v1a by another: node/ed25519",
    "standard: v1a by another: python/ed25519",
]


def verify(lines: list[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        return subprocess.run([VERIFY, file.name], capture_output=True, text=True, check=False)


def main() -> int:
    now = int(time.time())
    expected = [request for contract in SIGNERS for request in requests_of(contract, now)] + special_requests(now)
    as_expected = verify([json.dumps(request) for request in expected])
    surprised = verify([json.dumps(request) for request in surprising_requests(now)])
    reported = sorted(line.strip().split(" refused it")[0] for line in surprised.stderr.splitlines() if line[0] == " ")
    unknown_field = json.dumps(request("typo", "generic", [], "refuse", expects="accept"))
    outcomes = {
        "every verdict is the expected one": (as_expected.returncode == 0, as_expected.stderr),
        "every surprise is reported": (surprised.returncode == 1 and reported == SURPRISES, surprised.stderr),
        "an unknown field is bad input": (verify([unknown_field]).returncode == 2, ""),
        "a file without requests is bad input": (verify([]).returncode == 2, ""),
    }
    for name, (holds, details) in outcomes.items():
        print(f"{'ok' if holds else 'FAILED'}: {name}" + ("" if holds else f"\n{details}"))
    failed = sum(not holds for holds, _ in outcomes.values())
    print(f"{len(outcomes) - failed} passed, {failed} failed ({len(as_expected.stdout.splitlines())} verdicts)")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
