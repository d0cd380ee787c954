// The hashes that npm's sharp-phash gives to files: node sharp_phash.mjs FILE... prints them as JSON, 16 hex digits each.
import { readFileSync } from "node:fs";
import phash from "sharp-phash";

const hashes = [];
for (const file of process.argv.slice(2)) {
  hashes.push(BigInt(`0b${await phash(readFileSync(file))}`).toString(16).padStart(16, "0"));
}
console.log(JSON.stringify(hashes));
