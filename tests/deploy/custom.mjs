// Holds custom resources against the schemas and types of the packages that carry them.
//
//   node --preserve-symlinks --preserve-symlinks-main custom.mjs OBJECTS.json
//
// Prints one line for each object: `ok KIND NAME`. The schemas let unknown fields pass, so the compiler has a second look
// at each object as a literal of its type, where they are errors.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as gateway from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";
import * as prometheus from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const groups = {
  "gateway.networking.k8s.io/v1": [gateway, "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1"],
  "keda.sh/v1alpha1": [keda, "@kubernetes-models/keda/keda.sh/v1alpha1"],
  "monitoring.coreos.com/v1": [prometheus, "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"],
};

const home = dirname(process.argv[1]);
const objects = JSON.parse(readFileSync(process.argv[2], "utf8"));

function byTheSchema(object) {
  const group = groups[object.apiVersion];
  const Model = group?.[0][object.kind];
  if (!Model) throw new Error(`no package knows ${object.apiVersion} ${object.kind}`);
  new Model(object).validate();
}

function byTheTypes(objects) {
  const lines = objects.map(
    (object, place) =>
      `import type { I${object.kind} as T${place} } from "${groups[object.apiVersion][1]}"; ` +
      `export const o${place}: T${place} = ${JSON.stringify(object)};`,
  );
  const folder = mkdtempSync(join(home, "types-"));
  try {
    const file = join(folder, "objects.ts");
    writeFileSync(file, lines.join("\n"));
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"];
    const compiler = join(home, "node_modules/typescript/bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...options, file], { encoding: "utf8" });
    if (status !== 0) throw new Error(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const object of objects) {
  try {
    byTheSchema(object);
  } catch (error) {
    console.error(`${object.kind} ${object.metadata?.name}: ${error.message}`);
    process.exit(1);
  }
}
try {
  byTheTypes(objects);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
for (const object of objects) console.log(`ok ${object.kind} ${object.metadata.name}`);
