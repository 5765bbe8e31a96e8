// One line of input, parsed into what a receiver sees. Throws an error that names the field at fault.

const FIELDS = [
  "name",
  "contract",
  "secret",
  "previous_secret",
  "public_key",
  "headers",
  "body_base64",
  "expect",
];
const CONTRACTS = ["bitbybit", "eightbit", "generic", "standard"];
const VERDICTS = ["accept", "refuse"];
const STANDARD_SECRET = /^whsec_[A-Za-z0-9+/]+={0,2}$/;
const PUBLIC_KEY = /^whpk_[A-Za-z0-9+/]{43}=$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function parseRequest(line) {
  const fields = JSON.parse(line);
  must(typeof fields === "object" && fields !== null, "a request must be an object");
  for (const field of Object.keys(fields)) {
    must(FIELDS.includes(field), `unknown field ${field}`);
  }
  const { name, contract, secret, previous_secret: previousSecret = null } = fields;
  must(isText(name), "name must be a string");
  must(CONTRACTS.includes(contract), `contract must be one of ${CONTRACTS.join(", ")}`);
  must(isSecret(secret, contract), "secret must be a string in the contract's form");
  must(
    previousSecret === null || isSecret(previousSecret, contract),
    "previous_secret must be null or a string in the contract's form",
  );
  return {
    name,
    contract,
    secret,
    previousSecret,
    publicKey: parsePublicKey(fields.public_key ?? null, contract),
    headers: parseHeaders(fields.headers),
    body: parseBody(fields.body_base64),
    expect: parseExpect(fields.expect),
  };
}

function isSecret(value, contract) {
  return isText(value) && (contract !== "standard" || STANDARD_SECRET.test(value));
}

function parsePublicKey(value, contract) {
  if (value === null) {
    return null;
  }
  must(contract === "standard", "public_key belongs to the standard contract only");
  must(isText(value) && PUBLIC_KEY.test(value), "public_key must be whpk_ and the base64 of 32 bytes");
  return Buffer.from(value.slice("whpk_".length), "base64");
}

// By lower-case name, a repeated one joined as Node's HTTP server joins it.
function parseHeaders(pairs) {
  must(Array.isArray(pairs), "headers must be a list of [name, value]");
  const headers = {};
  for (const pair of pairs) {
    must(
      Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string"),
      "headers must be a list of [name, value]",
    );
    const [name, value] = [pair[0].toLowerCase(), pair[1]];
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

function parseBody(value) {
  must(typeof value === "string" && BASE64.test(value), "body_base64 must be base64");
  return Buffer.from(value, "base64");
}

function parseExpect(value) {
  const own = typeof value === "object" && value !== null ? value.node : value;
  must(VERDICTS.includes(own), 'expect must be "accept", "refuse" or {"node": …, "python": …} of these');
  return own;
}

function isText(value) {
  return typeof value === "string" && value !== "";
}

function must(holds, complaint) {
  if (!holds) {
    throw new Error(complaint);
  }
}
