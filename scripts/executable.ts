import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildInfo, licenceText } from './build-info.ts';
import { bundleSingle, THREADS } from './bundle.ts';
import { partsList } from './parts-list.ts';
import { outputOf, runScript } from './script.ts';

// `npm run executable`: makes dist/executable/entrepot-linux-x64, one file that needs neither Node nor node_modules.
//
// It is the pinned Node with the program in it (nodejs.org, "Single executable applications"). Beside it lie its SHA-256,
// the licences of what it holds, and its parts list (SBOM).

const USAGE = `usage: npm run executable -- [--arch x64,arm64] [--out DIRECTORY]
  --arch ARCH    processors, separated by commas (default: the one of this machine)
  --out DIR      where the files go (default dist/executable)
The Node of another processor is fetched from the package registry, and checked by its hash.`;

const ARCHITECTURES = ['x64', 'arm64'] as const;
type Architecture = (typeof ARCHITECTURES)[number];

const root = fileURLToPath(new URL('..', import.meta.url));

await runScript(main);

async function main(args: readonly string[]): Promise<number> {
  let wanted: readonly Architecture[];
  let out: string;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { arch: { type: 'string', default: process.arch }, out: { type: 'string' } },
    });
    wanted = values.arch.split(',').map(readArchitecture);
    out = values.out ?? join(root, 'dist', 'executable');
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'entrepot-executable-'));
  try {
    const packages = await bundleSingle(work);
    writeFileSync(join(work, 'build.json'), buildInfo());
    const parts = new Set(packages.keys());
    let nodeLicence = '';
    for (const architecture of wanted) {
      const node = nodePackage(architecture, work);
      nodeLicence = readFileSync(join(node.directory, 'LICENSE'), 'utf8').trim();
      parts.add(`${node.name} ${node.version}`);
      const output = join(out, `entrepot-linux-${architecture}`);
      const isNative = process.platform === 'linux' && architecture === process.arch;
      assemble({ work, node: join(node.directory, 'bin', 'node'), output, isNative });
      const digest = createHash('sha256').update(readFileSync(output)).digest('hex');
      writeFileSync(`${output}.sha256`, `${digest}  entrepot-linux-${architecture}\n`);
      console.log(`${output}: sha256 ${digest}`);
    }
    const all = new Map([...packages, [`Node.js ${process.versions.node}`, nodeLicence] as const]);
    writeFileSync(join(out, 'THIRD-PARTY-LICENSES'), licenceText(all));
    writeFileSync(join(out, 'sbom.cdx.json'), partsList(parts));
    return 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function readArchitecture(text: string): Architecture {
  const found = ARCHITECTURES.find((each) => each === text);
  if (found === undefined) throw new RangeError(`Cannot build for ${text}: use ${ARCHITECTURES.join(' or ')}`);
  return found;
}

interface Assembly {
  /** Where the bundle is. */
  readonly work: string;
  /** The Node that the program goes into. */
  readonly node: string;
  readonly output: string;
  /** Whether this machine runs it: only then can its code be compiled beforehand. */
  readonly isNative: boolean;
}

function assemble({ work, node, output, isNative }: Assembly): void {
  const config = join(work, 'executable.json');
  const settings = {
    main: join(work, 'main.mjs'),
    mainFormat: 'module',
    executable: node,
    output,
    disableExperimentalSEAWarning: true,
    useCodeCache: isNative,
    // As bin/entrepot starts Node. Options for Node still come from NODE_OPTIONS.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    execArgvExtension: 'env',
    assets: {
      'package.json': join(root, 'package.json'),
      'build.json': join(work, 'build.json'),
      ...Object.fromEntries(Object.keys(THREADS).map((name) => [`${name}.cjs`, join(work, `${name}.cjs`)])),
    },
  };
  writeFileSync(config, JSON.stringify(settings));
  execFileSync(process.execPath, ['--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] });
}

interface NodePackage {
  readonly name: string;
  readonly version: string;
  /** Where it lies, with `bin/node` and `LICENSE`. */
  readonly directory: string;
}

/** The pinned Node of a processor: from node_modules, else from the package registry. */
function nodePackage(architecture: Architecture, work: string): NodePackage {
  const name = `node-linux-${architecture}`;
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly optionalDependencies: Readonly<Record<string, string>>;
  };
  const version = optionalDependencies[name] ?? '';
  const installed = join(root, 'node_modules', name);
  if (existsSync(join(installed, 'bin', 'node'))) return { name, version, directory: installed };
  const directory = join(work, name);
  mkdirSync(directory);
  // npm checks the hash that the registry gives, and leaves the file where it is told to.
  const packed = outputOf(['npm', 'pack', '--silent', '--pack-destination', work, `${name}@${version}`], {
    cwd: root,
    remedy: `Let npm reach the package registry, or leave ${architecture} out of --arch`,
  });
  outputOf(['tar', '-xzf', join(work, packed.trim()), '-C', directory, '--strip-components=1'], {
    cwd: root,
    remedy: 'Install tar',
  });
  return { name, version, directory };
}
