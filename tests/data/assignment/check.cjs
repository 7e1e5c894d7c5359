// The assignment function of docs/runtime.md in JavaScript, held to the vectors: node check.cjs vectors.json
// With --write it computes the expected values of the vectors itself.
const { createHash } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");

const SLOTS = 2 ** 32;
const slot = (salt, unit) => createHash("sha256").update(salt, "utf8").update("\0").update(unit, "utf8").digest().readUInt32BE(0);
const arm = (slot, canary, baseline) => (slot < canary ? "canary" : slot >= SLOTS - baseline ? "baseline" : "stable");
const weight = (share) => {
  const [whole, decimals = ""] = share.slice(0, -1).split(".");
  return Number((BigInt(whole + decimals) << 32n) / (100n * 10n ** BigInt(decimals.length)));
};

const path = process.argv[2];
const vectors = JSON.parse(readFileSync(path, "utf8"));
const computed = {
  slots: vectors.slots.map((row) => ({ ...row, slot: slot(row.salt, row.unit) })),
  weights: vectors.weights.map((row) => ({ ...row, weight: weight(row.share) })),
  arms: vectors.arms.map((row) => ({ ...row, arm: arm(row.slot, row.canary, row.baseline) })),
};
if (process.argv[3] === "--write") {
  const rows = Object.entries(computed).map(([name, list]) => ` "${name}": [\n${list.map((row) => "  " + JSON.stringify(row)).join(",\n")}\n ]`);
  writeFileSync(path, `{\n "hash": ${JSON.stringify(vectors.hash)},\n${rows.join(",\n")}\n}\n`);
} else {
  const wrong = Object.keys(computed).flatMap((name) =>
    computed[name].filter((row, index) => JSON.stringify(row) !== JSON.stringify(vectors[name][index])));
  for (const row of wrong) console.error("differs:", JSON.stringify(row));
  console.log(`${vectors.slots.length + vectors.weights.length + vectors.arms.length - wrong.length} vectors agree`);
  process.exitCode = wrong.length ? 1 : 0;
}
