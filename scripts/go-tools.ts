/**
 * Builds the programs written in Go that the end-to-end tests compare with: `bin/pinned-node scripts/go-tools.ts [name…]`.
 *
 * What is built already is left alone, so that a folder kept between runs makes this take no time. The folder is
 * `~/.cache/entrepot-tools`, or the one that `TEST_TOOLS` names. Exits with 1 where a program could not be built.
 */
import { buildGoTool, GO_TOOLS, type GoToolName, goTool, isBuilt } from '../test/support/go-tools.ts';
import { isInstalled } from '../test/support/processes.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const known = Object.keys(GO_TOOLS) as GoToolName[];
  const unknown = words.find((word) => !Object.hasOwn(GO_TOOLS, word));
  if (unknown !== undefined) {
    console.error(`unknown program ${unknown}; known: ${known.join(', ')}`);
    return 2;
  }
  const missing = known.filter((name) => (words.length === 0 || words.includes(name)) && !isBuilt(name));
  if (missing.length > 0 && !isInstalled('go')) {
    console.error(
      `Cannot build ${missing.join(', ')}: go is not installed. Install Go 1.26 or newer: https://go.dev/dl`,
    );
    return 1;
  }
  let failed = 0;
  // One after another: go uses every core by itself.
  for (const name of missing) {
    try {
      await buildGoTool(name);
      console.log(`${name}: ${goTool(name)}`);
    } catch (error) {
      failed += 1;
      console.error(`Cannot build ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failed === 0 ? 0 : 1;
}
