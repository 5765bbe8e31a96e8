// What a receiver in Node does with a request, per contract: the published libraries, and for `generic`
// the receiver that its documentation prints. A check throws when the receiver refuses the request.

import { createHmac, createPublicKey, timingSafeEqual, verify as verifyBytes } from "node:crypto";
import { verify as verifyGitHubStyle } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const TOLERANCE_SECONDS = 300;

// `header` carries the signature by the current secret, `previousHeader` the one by the secret rotated out.
const RECEIVERS = {
  bitbybit: {
    verifier: "node/stripe",
    header: "x-bitbybit-webhook-signature",
    previousHeader: "x-bitbybit-webhook-signature",
    check: ({ body }, signature, secret) =>
      Stripe.webhooks.signature.verifyHeader(body, signature, secret, TOLERANCE_SECONDS),
  },
  eightbit: {
    verifier: "node/octokit",
    header: "x-8bit-signature-256",
    previousHeader: "x-8bit-signature-256-previous",
    check: async ({ body }, signature, secret) =>
      refuseUnless(await verifyGitHubStyle(secret, body.toString(), signature)),
  },
  generic: {
    verifier: "node/documented-receiver",
    header: "x-webhook-signature",
    previousHeader: "x-webhook-signature-previous",
    check: ({ body }, signature, secret) => {
      const payload = JSON.stringify(JSON.parse(body.toString()));
      const hmac = createHmac("sha256", secret).update(payload).digest("hex");
      refuseUnless(timingSafeEqual(Buffer.from(signature), Buffer.from(hmac)));
    },
  },
  standard: {
    verifier: "node/standardwebhooks",
    header: "webhook-signature",
    previousHeader: "webhook-signature",
    check: ({ body, headers }, _signature, secret) => new Webhook(secret).verify(body, headers),
  },
};

/** The checks that apply to a request, as `[verifier, run]`; `run` throws, or rejects, on refusal. */
export function checks(request) {
  const { verifier, header, previousHeader, check } = RECEIVERS[request.contract];
  const { headers, secret, previousSecret, publicKey } = request;
  const list = [[verifier, () => check(request, headers[header], secret)]];
  if (previousSecret !== null) {
    list.push([`${verifier}/previous`, () => check(request, headers[previousHeader], previousSecret)]);
  }
  if (publicKey !== null) {
    list.push(["node/ed25519", () => checkEd25519(request)]);
  }
  return list;
}

// No published library reads `v1a`, so this follows the specification with Node's own Ed25519.
function checkEd25519({ body, headers, publicKey }) {
  const timestamp = headers["webhook-timestamp"];
  const age = Math.floor(Date.now() / 1000) - Number(timestamp);
  refuseUnless(Math.abs(age) <= TOLERANCE_SECONDS, "the timestamp is outside the tolerance");

  const x = publicKey.toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${timestamp}.`), body]);
  const signatures = headers["webhook-signature"]
    .split(" ")
    .map((versioned) => versioned.split(","))
    .filter(([version]) => version === "v1a")
    .map(([, signature]) => Buffer.from(signature, "base64"));
  refuseUnless(signatures.length > 0, "there is no v1a signature");
  refuseUnless(signatures.some((signature) => verifyBytes(null, signed, key, signature)));
}

function refuseUnless(accepted, reason = "the signature does not match") {
  if (!accepted) {
    throw new Error(reason);
  }
}
