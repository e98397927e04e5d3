// Compiles one mutant after the other in one warm process: a new one takes twice as long for each.
// A line of stdin is { targets, file, source }, one of stdout { contracts } or { error }.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.dirname + "/../");
const solc = require("solc");
// What forge gave the compiler for the whole of src.
const { input } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const OUTPUT = ["evm.bytecode.object", "evm.deployedBytecode.object"];

/// Bytecode of the contracts named by `targets` ({ file: [contract] }), with `file` replaced.
function compile({ targets, file, source }) {
  const sources = { ...input.sources, [file]: { content: source } };
  const selection = Object.entries(targets).map(([path, names]) => {
    return [path, Object.fromEntries(names.map((name) => [name, OUTPUT]))];
  });
  const settings = { ...input.settings, outputSelection: Object.fromEntries(selection) };
  const output = JSON.parse(
    solc.compile(JSON.stringify({ language: input.language, sources, settings })),
  );
  const error = output.errors?.find(({ severity }) => severity === "error");
  return error ? { error: error.message } : { contracts: output.contracts };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(compile(JSON.parse(line))) + "\n");
}
