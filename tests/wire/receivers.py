"""What a receiver in Python does with a request, per contract.

The published libraries, and for `generic` the receiver that its documentation prints. No library in Python is
the counterpart of GitHub's for Node, so `eightbit` has no check here. A check raises when the receiver refuses.
"""

import base64
import functools
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import standardwebhooks
import stripe
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from request import Request

TOLERANCE_SECONDS = 300

Check = Callable[[], object]


class Refused(Exception):
    """The receiver answers that the request is not genuine."""


@dataclass(frozen=True)
class Receiver:
    """`header` carries the signature by the current secret, `previous_header` the one by the secret rotated out."""

    verifier: str
    header: str
    previous_header: str
    check: Callable[[Request, str | None, str], object]


def check_stripe(request: Request, signature: str | None, secret: str) -> None:
    stripe.WebhookSignature.verify_header(request.body, signature, secret, tolerance=TOLERANCE_SECONDS)


def check_documented_receiver(request: Request, signature: str | None, secret: str) -> None:
    expected = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, expected):
        raise Refused("the signature does not match")
    json.loads(request.body)


def check_standardwebhooks(request: Request, _signature: str | None, secret: str) -> None:
    standardwebhooks.Webhook(secret).verify(request.body, request.headers)


def check_ed25519(request: Request) -> None:
    """No published library reads `v1a`, so this follows the specification with `cryptography`."""
    timestamp = request.headers["webhook-timestamp"]
    if abs(int(time.time()) - int(timestamp)) > TOLERANCE_SECONDS:
        raise Refused("the timestamp is outside the tolerance")

    key = Ed25519PublicKey.from_public_bytes(request.public_key)
    signed = f"{request.headers['webhook-id']}.{timestamp}.".encode() + request.body
    for versioned in request.headers["webhook-signature"].split(" "):
        version, _, signature = versioned.partition(",")
        if version == "v1a" and is_signed(key, base64.b64decode(signature), signed):
            return
    raise Refused("no v1a signature matches")


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


RECEIVERS = {
    "bitbybit": Receiver(
        verifier="python/stripe",
        header="x-bitbybit-webhook-signature",
        previous_header="x-bitbybit-webhook-signature",
        check=check_stripe,
    ),
    "generic": Receiver(
        verifier="python/documented-receiver",
        header="x-webhook-signature",
        previous_header="x-webhook-signature-previous",
        check=check_documented_receiver,
    ),
    "standard": Receiver(
        verifier="python/standardwebhooks",
        header="webhook-signature",
        previous_header="webhook-signature",
        check=check_standardwebhooks,
    ),
}


def checks(request: Request) -> Iterator[tuple[str, Check]]:
    """The checks that apply to a request, by verifier; none for a contract without a library in Python."""
    receiver = RECEIVERS.get(request.contract)
    if receiver is None:
        return
    signature = request.headers.get(receiver.header)
    yield receiver.verifier, functools.partial(receiver.check, request, signature, request.secret)
    if request.previous_secret is not None:
        previous = request.headers.get(receiver.previous_header)
        run = functools.partial(receiver.check, request, previous, request.previous_secret)
        yield f"{receiver.verifier}/previous", run
    if request.public_key is not None:
        yield "python/ed25519", functools.partial(check_ed25519, request)
