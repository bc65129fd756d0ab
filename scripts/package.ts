import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildInfo, licenceText } from './build-info.ts';
import { bundle } from './bundle.ts';
import { runScript } from './script.ts';

// `npm run package`: makes dist/, the folder that is published (`npm publish ./dist`).
//
// It differs from the checkout in two ways. It holds the program in a few files, with what it needs of other packages, and
// so depends on none. And it brings no Node with it: the pinned one comes as a package whose `node` would take the place of its user's own in their
// npm scripts. The installed package runs on the `node` of the machine, and says so where that is too old.

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}dist`;

await runScript(main);

async function main(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    console.error('usage: npm run package');
    return 2;
  }
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(`${dist}/bin`, { recursive: true });
  const packages = await bundle(`${dist}/lib`);
  writeFileSync(`${dist}/THIRD-PARTY-LICENSES`, licenceText(packages));
  for (const file of ['LICENSE', 'README.md', 'README.zh-CN.md']) cpSync(`${root}${file}`, `${dist}/${file}`);
  for (const folder of ['deploy', 'docs', 'examples', 'schema'])
    cpSync(`${root}${folder}`, `${dist}/${folder}`, { recursive: true });
  // Types alone, so the same text is a declaration.
  cpSync(`${root}src/upstream/plugin/contract.ts`, `${dist}/routing.d.ts`);
  for (const program of ['entrepot', 'pinned-node']) {
    cpSync(`${root}bin/${program}`, `${dist}/bin/${program}`);
    chmodSync(`${dist}/bin/${program}`, 0o755);
  }

  const { name, version, description, license, type, bin } = JSON.parse(
    readFileSync(`${root}package.json`, 'utf8'),
  ) as Record<string, unknown>;
  const manifest = {
    name,
    version,
    description,
    license,
    type,
    bin,
    exports: { './package.json': './package.json', './routing': { types: './routing.d.ts' } },
    engines: { node: '>=24' },
    files: [
      'bin',
      'lib',
      'deploy',
      'docs',
      'examples',
      'schema',
      'build.json',
      'routing.d.ts',
      'README.zh-CN.md',
      'THIRD-PARTY-LICENSES',
    ],
  };
  writeFileSync(`${dist}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(`${dist}/build.json`, buildInfo());
  console.log(`dist/ holds ${String(name)} ${String(version)}: publish it with "npm publish ./dist"`);
  return 0;
}
