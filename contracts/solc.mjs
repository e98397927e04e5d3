#!/usr/bin/env node
// Lets forge and foundry-compilers drive npm's WebAssembly solc: answers --version, else feeds
// stdin to compile().
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(dirname(fileURLToPath(import.meta.url)) + "/");
const solc = require("solc");
if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
