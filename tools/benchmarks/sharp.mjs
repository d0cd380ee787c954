// One measurement of sharp in a process of its own: node sharp.mjs FILE ROUNDS OUTPUT-PREFIX documented|single
// Prints {"cpu": [milliseconds of each round], "baseline": MB with sharp loaded, "firstPeak": MB, "peak": MB}.
import { readFileSync, writeFileSync } from "node:fs";
import sharp from "sharp";

const [file, rounds, output, how] = process.argv.slice(2);
sharp.concurrency(1);
sharp.cache(false);

const inside = { fit: "inside", withoutEnlargement: true };

const pipelines = {
  // As the documentation shows each of the two.
  async documented(data) {
    return [
      await sharp(data).rotate().resize(1200, 1200, inside).jpeg({ quality: 85, progressive: true }).toBuffer(),
      await sharp(data).rotate().resize(200, 200, { fit: "cover" }).jpeg({ quality: 80 }).toBuffer(),
    ];
  },
  // Decoded and shrunk once; both JPEGs come from the uncompressed result.
  async single(data) {
    const small = await sharp(data).rotate().resize(1200, 1200, inside).raw().toBuffer({ resolveWithObject: true });
    const { width, height, channels } = small.info;
    const raw = { raw: { width, height, channels } };
    return [
      await sharp(small.data, raw).jpeg({ quality: 85, progressive: true }).toBuffer(),
      await sharp(small.data, raw).resize(200, 200, { fit: "cover" }).jpeg({ quality: 80 }).toBuffer(),
    ];
  },
};

const peak = () => process.resourceUsage().maxRSS / 1024;
const data = readFileSync(file);
const baseline = peak();
const cpu = [];
let firstPeak;
let results;
for (let round = 0; round < Number(rounds); round++) {
  const before = process.cpuUsage();
  results = await pipelines[how](data);
  const used = process.cpuUsage(before);
  cpu.push((used.user + used.system) / 1000);
  firstPeak ??= peak();
}
writeFileSync(`${output}.jpg`, results[0]);
console.log(JSON.stringify({ cpu, baseline, firstPeak, peak: peak() }));
