// Usage: verify.mjs FILE (through the script `verify`, which also runs its Python counterpart)
// Prints one JSON line per request and verifier: {"name", "verifier", "accepted", "detail"}.

import { readFileSync } from "node:fs";
import { checks } from "./receivers.mjs";
import { parseRequest } from "./request.mjs";

function readRequests(path) {
  const requests = readFileSync(path, "utf8")
    .split("\n")
    .map((line, index) => [line, index + 1])
    .filter(([line]) => line.trim() !== "")
    .map(([line, number]) => {
      try {
        return parseRequest(line);
      } catch (error) {
        throw new Error(`${path}:${number}: ${error.message}`);
      }
    });
  if (requests.length === 0) {
    throw new Error(`${path} has no requests`);
  }
  return requests;
}

async function ask(run) {
  try {
    await run();
    return { accepted: true, detail: "" };
  } catch (error) {
    return { accepted: false, detail: `${error.name}: ${error.message.split("\n")[0]}` };
  }
}

/** Prints every verdict and returns a sentence for each that is not the expected one, and how many there were. */
async function judge(requests) {
  const surprises = [];
  let asked = 0;
  for (const request of requests) {
    for (const [verifier, run] of checks(request)) {
      const { accepted, detail } = await ask(run);
      console.log(JSON.stringify({ name: request.name, verifier, accepted, detail }));
      asked += 1;
      if (accepted !== (request.expect === "accept")) {
        const verdict = accepted ? "accepted it" : `refused it (${detail})`;
        surprises.push(`${request.name}: ${verifier} ${verdict}`);
      }
    }
  }
  return { asked, surprises };
}

async function main([path]) {
  let requests;
  try {
    requests = readRequests(path);
  } catch (error) {
    console.error(`verify.mjs: ${error.message}`);
    return 2;
  }
  const { asked, surprises } = await judge(requests);
  if (surprises.length > 0) {
    console.error(`node: ${surprises.length} of ${asked} checks went against what was expected`);
    surprises.forEach((surprise) => console.error(`  ${surprise}`));
    return 1;
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
