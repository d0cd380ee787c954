// Makes both JPEGs with sharp, as its documentation shows each: node sharp.mjs FILE ROUNDS OUTPUT
import { readFileSync, writeFileSync } from "node:fs";
import sharp from "sharp";

const [file, rounds, output] = process.argv.slice(2);
sharp.concurrency(1);
sharp.cache(false);
const inside = { fit: "inside", withoutEnlargement: true };
const data = readFileSync(file);
let photo;
for (let round = 0; round < Number(rounds); round++) {
  photo = await sharp(data).rotate().resize(1200, 1200, inside).jpeg({ quality: 85, progressive: true }).toBuffer();
  await sharp(data).rotate().resize(200, 200, { fit: "cover" }).jpeg({ quality: 80 }).toBuffer();
}
writeFileSync(output, photo);
