import { readFileSync } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MEDIA_TYPES } from '../src/oci/index.ts';
import { type Content, content, noise } from '../test/support/image.ts';
import { check, readIfThere, type Workspace } from '../test/support/processes.ts';
import type { Figure } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { warmPageCache } from './lib/page-cache.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { BIN, startEntrepot } from './lib/subjects.ts';

const LAYERS = 20;
/** The image is five times as large as the blob of other benches: 5 GiB with `--size 1GiB`. */
const TIMES = 5;
const NAME = 'origin/library/app:1';
const MiB = 2 ** 20;

/** What it costs to write an image into a bundle, which hashes every byte, beside `tar` of the same files, which hashes none. */
export const bundles: Bench = {
  id: 'B15',
  title: 'export of an image',
  async measure({ settings, progress, ...place }) {
    const { workspace } = place;
    const dir = workspace.path('exported');
    const size = Math.floor((settings.size * TIMES) / LAYERS);
    progress(`storing ${((size * LAYERS) / GiB).toFixed(1)} GiB`);
    await store(workspace, { dir, size });
    const server = await startEntrepot(place, { upstream: 'http://127.0.0.1:9', dir, config: { offline: true } });
    const bundle = workspace.path('bundle.tar');
    const commands = {
      tar: ['tar', '-cf', bundle, '-C', join(dir, 'blobs'), '.'],
      entrepot: ['sh', BIN, 'export', NAME, '-o', bundle, '--cache-dir', dir],
      'node alone': ['sh', join(BIN, '..', 'pinned-node'), '-e', '0'],
    } as const;
    const [cpu, peak, own] = [new Samples(), new Samples(), new Samples()];
    // The first run compiles the code.
    for (let run = 0; run <= settings.runs; run++) {
      for (const [name, command] of Object.entries(commands)) {
        progress(run === 0 ? `warming ${name}` : `run ${run} of ${settings.runs}, ${name}`);
        if (name !== 'node alone') await warmPageCache(workspace, size);
        const used = await measureCommand(workspace, command);
        const written = name === 'node alone' ? size * LAYERS : (await stat(bundle)).size;
        if (written < size * LAYERS) throw new Error(`${name} wrote ${written} bytes, less than the layers have`);
        await rm(bundle, { force: true });
        if (run === 0) continue;
        cpu.add(name, (used.cpu / written) * GiB);
        peak.add(name, used.peak / MiB);
        own.add(name, used.own / MiB);
      }
    }
    await server.process.stop();
    const work = `export of ${((size * LAYERS) / GiB).toFixed(2)} GiB, CPU`;
    const common = { bench: 'B15', subject: 'entrepot' } as const;
    return [
      ...(['entrepot', 'tar'] as const).map(
        (subject): Figure => ({ bench: 'B15', work, subject, unit: 's/GiB', samples: cpu.of(subject) }),
      ),
      {
        ...common,
        work,
        unit: '× tar',
        samples: cpu.of('entrepot').map((value, run) => value / (cpu.of('tar')[run] ?? Number.NaN)),
        goals: [{ bound: 'at most', value: 1.2 }],
      },
      {
        ...common,
        work: 'most memory of its own',
        unit: 'MiB',
        samples: own.of('entrepot'),
        goals: [{ bound: 'at most', value: 64 }],
        note: "without pages of files, which are those of Node's program",
      },
      {
        ...common,
        work: 'most memory resident',
        unit: 'MiB',
        samples: peak.of('entrepot'),
        goals: [{ bound: 'at most', value: 64, later: true }],
      },
      ...(['tar', 'node alone'] as const).map(
        (subject): Figure => ({
          bench: 'B15',
          work: 'most memory resident',
          subject,
          unit: 'MiB',
          samples: peak.of(subject),
        }),
      ),
    ];
  },
};

/** Puts an image into a cache directory, as another site's bundle brings it. */
async function store(workspace: Workspace, { dir, size }: { dir: string; size: number }): Promise<void> {
  const layout = workspace.path('layout');
  await mkdir(join(layout, 'blobs', 'sha256'), { recursive: true });
  const put = async ({ bytes, ...descriptor }: Content): Promise<Omit<Content, 'bytes'>> => {
    await writeFile(join(layout, 'blobs', descriptor.digest.replace(':', '/')), bytes);
    return descriptor;
  };
  const layers: Omit<Content, 'bytes'>[] = [];
  for (let index = 0; index < LAYERS; index++) {
    layers.push(await put(content('application/vnd.oci.image.layer.v1.tar+gzip', noise(`export/${index}`, size))));
  }
  const config = await put(content('application/vnd.oci.image.config.v1+json', Buffer.from('{}')));
  const mediaType = MEDIA_TYPES.ociManifest;
  const manifest = content(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })));
  const entry = { ...(await put(manifest)), annotations: { 'io.containerd.image.name': NAME } };
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  const settings = { registries: { origin: { upstreams: ['http://127.0.0.1:9'] } } };
  const file = await workspace.file('import.yaml', JSON.stringify(settings));
  const pipe = 'tar -C "$1" -c . | sh "$2" import - --config "$3" --cache-dir "$4"';
  await check(['sh', '-c', pipe, 'sh', layout, BIN, file, dir], {
    env: { ...process.env, HOME: workspace.dir },
    timeout: 600_000,
  });
  await rm(layout, { recursive: true });
}

interface Used {
  /** Seconds, user and system. */
  readonly cpu: number;
  /** The most bytes resident, and of them those that are pages of no file. */
  readonly peak: number;
  readonly own: number;
}

/** Runs a command to its end. A shell waits for it, and then says what it used (proc(5), /proc/pid/stat, cutime and cstime). */
async function measureCommand(workspace: Workspace, command: readonly string[]): Promise<Used> {
  const log = workspace.path('command.log');
  const script = 'log=$1; shift; "$@" >"$log" 2>&1; code=$?; cat "/proc/$$/stat"; exit $code';
  const shell = await workspace.start(['sh', '-c', script, 'sh', log, ...command], {
    env: { ...process.env, HOME: workspace.dir },
    ready: () => true,
  });
  let [peak, own] = [0, 0];
  let code: number | undefined;
  while (code === undefined) {
    const memory = memoryOfChild(shell.pid);
    peak = Math.max(peak, memory?.peak ?? 0);
    own = Math.max(own, memory?.own ?? 0);
    code = await Promise.race([shell.exited, sleep(5, undefined)]);
  }
  if (code !== 0) throw new Error(`${command.join(' ')} failed:\n${await readIfThere(log)}`);
  const line = shell.output();
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return { cpu: (Number(fields[13]) + Number(fields[14])) / 100, peak, own };
}

/** Of the only child of a shell; undefined where there is none. */
function memoryOfChild(shell: number): { readonly peak: number; readonly own: number } | undefined {
  try {
    const child = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim();
    const text = readFileSync(`/proc/${child}/status`, 'utf8');
    const read = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
    return { peak: read('VmHWM'), own: read('RssAnon') };
  } catch {
    return undefined;
  }
}
