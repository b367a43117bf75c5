// Bundles the player and three.js into ../assets/player.js, stamped with a digest of the sources.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, copyFileSync } from "node:fs";
import { build } from "esbuild";

const sources = readdirSync(".").filter((name) => name.endsWith(".js") || name === "package.json").sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(readFileSync(name));

await build({
  entryPoints: ["main.js"],
  outfile: "../assets/player.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  banner: { js: `/* mdtool player, sources sha256 ${digest.digest("hex")}; contains three.js, see three-LICENSE.txt */` },
});
copyFileSync("node_modules/three/LICENSE", "../assets/three-LICENSE.txt");
