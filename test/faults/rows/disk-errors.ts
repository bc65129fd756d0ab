import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, platformOf } from '../../support/image.ts';
import { run } from '../../support/processes.ts';
import { becomesTidy, isStoredRight } from '../lib/disk.ts';
import { type Pulled, pull } from '../lib/pull.ts';
import { Misses, type Row, skipped } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY, type Stage } from '../lib/stage.ts';

/** Calls of the system that fail from one moment on. Files are written with an offset, sockets without one. */
const FAULTS: readonly {
  readonly calls: string;
  readonly error: string;
  /** Which of the calls, as strace(1) has it. @default all */
  readonly when?: string;
  /** How often a client may ask. @default once */
  readonly tries?: number;
}[] = [
  { calls: 'fsync,fdatasync', error: 'EIO' },
  { calls: 'pwrite64,pwritev', error: 'ENOSPC' },
  { calls: 'pwrite64,pwritev', error: 'EIO' },
  { calls: 'rename,renameat,renameat2', error: 'EIO' },
  // A part of a disk that cannot be read: who asked is cut, or told so, and has it when asking again.
  { calls: 'pread64,preadv', error: 'EIO', when: '3+9', tries: 4 },
  { calls: 'openat', error: 'EMFILE' },
];

/** A disk that fails, or answers that it is full, at whatever the server asks of it. */
export const diskErrors: Row = {
  id: 'disk',
  what: 'system calls that fail: EIO, ENOSPC, EMFILE',
  reach: '100 % of pulls, nothing wrong stored, it lives on',
  async run(stage) {
    if ((await run(['strace', '-f', '-o', '/dev/null', 'true']).catch(() => ({ code: 127 }))).code !== 0) {
      return skipped('strace is not here, or may not trace: apt-get install strace, and allow ptrace');
    }
    const misses = new Misses();
    const counts = { pulls: 0, failed: 0, struck: 0, askedAgain: 0 };
    for (const fault of FAULTS) {
      stage.progress(`${fault.calls}: ${fault.error}`);
      await suffer(stage, fault, { misses, counts });
    }
    return {
      figure: `${FAULTS.length} faults struck ${counts.struck} times, ${counts.pulls} pulls, ${counts.failed} failed`,
      misses: misses.list(),
      figures: { faults: FAULTS.length, ...counts },
      notes: [`${counts.askedAgain} times a client had to ask again, where the disk could not be read`],
    };
  },
};

interface Findings {
  readonly misses: Misses;
  readonly counts: { pulls: number; failed: number; struck: number; askedAgain: number };
}

async function suffer(
  stage: Stage,
  { calls, error, when, tries = 1 }: (typeof FAULTS)[number],
  { misses, counts }: Findings,
): Promise<void> {
  const name = `${calls} ${error}`;
  const upstream = await stage.upstream();
  const server = await stage.server(upstream);
  const kept = stage.blob(upstream, 300_000);
  await pull(blobUrl(server, kept), { expected: kept.bytes });

  async function ask(url: string, expected: Buffer): Promise<Pulled> {
    const pulled = await pull(url, { expected, timeout: 20_000 });
    misses.expect(!pulled.wrong, `${name}: a complete wrong body`);
    return pulled;
  }

  const trace = stage.workspace.path(`${error}-${calls.split(',')[0]}.trace`);
  const strace = spawn(
    'strace',
    [
      '-f',
      '-p',
      String(server.process.pid),
      '-o',
      trace,
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:error=${error}${when === undefined ? '' : `:when=${when}`}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  strace.on('error', () => undefined);
  const left = once(strace, 'exit');
  // It says "Process N attached" for each thread.
  await Promise.race([once(strace.stderr, 'data'), left, sleep(5000)]);
  await sleep(100);
  try {
    for (let i = 0; i < 4; i += 1) {
      const tag = `broken-${i}`;
      const image = buildImage({ seed: `${name} ${i}`, layers: [200_000, 1000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [tag]);
      const { manifest, config, layers } = platformOf(image, 'amd64');
      const asked = [
        { url: manifestUrl(server, tag), content: image.index },
        { url: manifestUrl(server, manifest.digest), content: manifest },
        ...[config, ...layers, kept].map((blob) => ({ url: blobUrl(server, blob), content: blob })),
      ];
      for (const { url, content } of [...asked, ...asked]) {
        let pulled = await ask(url, content.bytes);
        for (let turn = 1; turn < tries && !pulled.ok; turn += 1) {
          counts.askedAgain += 1;
          pulled = await ask(url, content.bytes);
        }
        counts.pulls += 1;
        if (pulled.ok) continue;
        counts.failed += 1;
        misses.add(`${name}: ${url.split('/').slice(-2, -1)[0]}: ${pulled.ending}`);
      }
      for (const blob of [config, ...layers]) {
        misses.expect((await isStoredRight(server.dir, blob)) !== false, `${name}: a wrong blob is stored`);
      }
    }
  } finally {
    strace.kill('SIGTERM');
    await Promise.race([left, sleep(2000)]);
    if (strace.exitCode === null && strace.signalCode === null) strace.kill('SIGKILL');
  }
  const struck = readFileSync(trace, 'utf8').split('(INJECTED)').length - 1;
  counts.struck += struck;
  misses.expect(struck > 0, `${name} never struck`);
  const after = stage.blob(upstream, 50_000);
  const healed = await pull(blobUrl(server, after), { expected: after.bytes });
  misses.expect(healed.ok, `${name}, afterwards: ${healed.ending}`);
  misses.expect(await becomesTidy(server.dir), `${name}: something is left in ingest/`);
  misses.expect((await server.stop()) === 0, `${name}: it did not stop cleanly`);
}
