import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runScript } from './script.ts';

// `node scripts/complete-lock.ts [--check]`, after every change of dependencies.
//
// Tools with a binary come as one optional package for each platform. Where a package registry does not carry them all,
// npm leaves the others out of package-lock.json without a word, and `npm ci` then fails everywhere, because the lock does
// not hold what the packages ask for. This adds what is missing: name and exact version are in the lock already, and the
// platform is in the name.

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const file = fileURLToPath(new URL('../package-lock.json', import.meta.url));

await runScript(main);

function main(args: readonly string[]): number {
  if (args.some((argument) => argument !== '--check')) {
    console.error('usage: node scripts/complete-lock.ts [--check]');
    return 2;
  }
  const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Entry> };

  const missing = Object.entries(lock.packages).flatMap(([path, { dev, optionalDependencies = {} }]) =>
    path === ''
      ? []
      : Object.entries(optionalDependencies)
          .filter(([name]) => lock.packages[`node_modules/${name}`] === undefined)
          .map(([name, version]) => ({ name, version, dev })),
  );

  if (missing.length === 0) {
    console.log('package-lock.json holds every platform');
    return 0;
  }
  if (args.length > 0) {
    console.error(
      `package-lock.json lacks ${missing.length} packages of other platforms, so npm ci fails: run scripts/complete-lock.ts`,
    );
    return 1;
  }
  for (const { name, version, dev } of missing) lock.packages[`node_modules/${name}`] = entryOf(name, version, dev);
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} packages of other platforms added`);
  return 0;
}

function entryOf(name: string, version: string, dev: boolean | undefined): Entry & Record<string, unknown> {
  const words = name.split(/[/-]/);
  const pick = (known: readonly string[]) => words.find((word) => known.includes(word));
  const os = pick([
    'android',
    'darwin',
    'linux',
    'win32',
    'freebsd',
    'netbsd',
    'openbsd',
    'openharmony',
    'aix',
    'sunos',
  ]);
  const cpu = pick(['arm64', 'x64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'wasm32']);
  if (cpu === undefined) throw new Error(`${name}: its name does not say which platform it is for; add it by hand`);
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : '';
  return {
    version,
    cpu: [cpu],
    ...(dev === true ? { dev } : {}),
    ...(libc === '' ? {} : { libc: [libc] }),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}
