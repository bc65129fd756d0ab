import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import {
  controlSocketPath,
  createControl,
  OPERATIONS,
  type WarmImage,
  type WarmInput,
  type WarmJob,
} from '../../../admin/index.ts';
import { lockDirectory } from '../../../store/index.ts';
import { formatBars, ImageBars } from './image-bars.ts';
import { type WarmOptions, type WarmSurroundings, warm } from './warm.ts';
import { formatSummary, summarize } from './warm-progress.ts';

const MIB = 1024 ** 2;

function imageOf(name: string, more: Partial<WarmImage> = {}): WarmImage {
  return { image: name, state: 'running', bytes: 0, size: 0, fetched: 0, blobs: 0, blobCount: 0, ...more };
}

function jobOf(id: string, images: readonly WarmImage[], isEnded: boolean): WarmJob {
  const counts = { waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  for (const { state } of images) counts[state] += 1;
  const sum = (field: 'bytes' | 'size' | 'fetched') => images.reduce((before, each) => before + each[field], 0);
  return {
    id,
    by: 'operator',
    startedAt: 1,
    ...(isEnded ? { endedAt: 2 } : {}),
    joined: 0,
    images,
    omitted: 0,
    counts,
    bytes: sum('bytes'),
    size: sum('size'),
    fetched: sum('fetched'),
  };
}

const none = (): never => {
  throw new Error('not asked for here');
};

/** A server that has images after `looks` looks; those whose name has `bad` fail. */
class FakeServer {
  readonly started: WarmInput[] = [];
  readonly cancelled: string[] = [];
  looks = 2;
  #jobs = new Map<string, { names: readonly string[]; left: number }>();

  readonly context = {
    warm: {
      start: async (input: WarmInput) => {
        this.started.push(input);
        const id = `job${this.started.length}`;
        const isRefused = (name: string): boolean => name.includes('!') || name.startsWith('hosted');
        this.#jobs.set(id, { names: input.images.filter((name) => !isRefused(name)), left: this.looks });
        const refused = input.images.filter(isRefused).map((image) => ({
          image,
          error: 'it is no image',
          ...(image.startsWith('hosted') ? { hosted: true as const } : {}),
        }));
        return { ...this.#view(id), refused };
      },
      list: async () =>
        [...this.#jobs].map(([id, job]) => {
          job.left -= 1;
          return this.#view(id);
        }),
      cancel: async (id: string) => {
        this.cancelled.push(id);
        return this.#view(id);
      },
      onChange: none,
    },
  };

  /** Forgets its jobs, as a server that restarts. */
  restart(): void {
    this.#jobs = new Map();
  }

  #view(id: string): WarmJob {
    const { names = [], left = 0 } = this.#jobs.get(id) ?? {};
    const images = names.map((name) => {
      if (left > 0) return imageOf(name, { size: 10 * MIB, bytes: 2 * MIB, fetched: MIB });
      if (name.includes('bad'))
        return imageOf(name, { state: 'failed', error: 'the upstream has no such \u001b[31mtag' });
      return imageOf(name, { state: 'done', size: 10 * MIB, bytes: 10 * MIB, fetched: 8 * MIB });
    });
    return jobOf(id, images, left <= 0);
  }
}

async function stage(t: TestContext, server: FakeServer | undefined) {
  const dir = await mkdtemp(join(tmpdir(), 'warm-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const lock = await lockDirectory(dir);
  t.after(() => lock.release());
  const control = createControl({
    path: controlSocketPath(dir),
    operations: [OPERATIONS.warm, OPERATIONS.warmJobs, OPERATIONS.warmCancel],
    context: (server ?? new FakeServer()).context,
  });
  if (server !== undefined) await control.start();
  t.after(() => control.close());
  return {
    dir,
    control,
    run: async (options: Partial<WarmOptions> = {}, surroundings: WarmSurroundings = {}) => {
      const { output, said } = captureOutput();
      const code = await warm(
        { flags: { cacheDir: dir }, images: [], ...options },
        { output, isTerminal: false, lookEvery: 1, patience: 5000, cwd: dir, ...surroundings },
      );
      return { code, ...said };
    },
  };
}

describe('entrepot warm', () => {
  test('takes images from its arguments and files, and sums up', async (t) => {
    const server = new FakeServer();
    const { dir, run } = await stage(t, server);
    await writeFile(join(dir, 'compose.yaml'), 'services:\n  a: {image: redis}\n  b: {build: .}\n');
    const stdin = Readable.from(['apiVersion: v1\nkind: Pod\nspec: {containers: [{image: "busybox:1"}]}\n']);
    const { code, out, err } = await run(
      { images: ['nginx', 'redis'], from: ['compose.yaml', '-'], platform: ['linux/amd64'] },
      { stdin },
    );
    assert.equal(code, 0, err);
    assert.deepEqual(server.started, [
      { images: ['nginx', 'redis', 'busybox:1'], platforms: ['linux/amd64'], partial: true },
    ]);
    assert.equal(out, '3 images are in the cache: 24.0 MiB fetched, 6.0 MiB were there.\n');
    assert.deepEqual(err.trimEnd().split('\n'), [
      'compose.yaml:3: left out: the service b is built; name its Dockerfile with --from for what it builds on',
      'nginx: fetching',
      'redis: fetching',
      'busybox:1: fetching',
      'nginx: done, 8.0 MiB fetched, 2.0 MiB were there',
      'redis: done, 8.0 MiB fetched, 2.0 MiB were there',
      'busybox:1: done, 8.0 MiB fetched, 2.0 MiB were there',
    ]);
  });

  test('ends with 1 where an image failed or names none, and with 0 for a hosted one', async (t) => {
    const { run } = await stage(t, new FakeServer());
    const failed = await run({ images: ['good', 'bad', '!'] });
    assert.equal(failed.code, 1);
    assert.match(
      failed.out,
      /^!: it is no image\nbad: the upstream has no such \\u001b\[31mtag\n1 image is in the cache/,
    );
    assert.match(failed.out, /2 images failed\. Repeat the command/);
    const hosted = await run({ images: ['good', 'hosted/app'] });
    assert.equal(hosted.code, 0);
    assert.match(hosted.out, /1 image hosted here: nothing to fetch\.\n$/);
  });

  test('with --json prints the result alone', async (t) => {
    const { run } = await stage(t, new FakeServer());
    const { code, out, err } = await run({ images: ['good', 'bad'], json: true });
    assert.equal(code, 1);
    assert.equal(err, '');
    const { done, failed, fetched, jobs } = JSON.parse(out);
    assert.deepEqual([done, failed.length, fetched, jobs.length], [1, 1, 8 * MIB, 1]);
  });

  test('a long list becomes several jobs', async (t) => {
    const server = new FakeServer();
    const { run } = await stage(t, server);
    const images = Array.from(
      { length: 5000 },
      (_, index) => `registry.example.com/team/project-${index}/application:${index}`,
    );
    const { code, out } = await run({ images, json: true });
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).done, 5000);
    assert.deepEqual(
      server.started.flatMap((each) => each.images),
      images,
    );
    assert.ok(server.started.length <= 20, String(server.started.length));
  });

  test('a job that the server has forgotten is asked for again', async (t) => {
    const server = new FakeServer();
    server.looks = 3;
    const { run } = await stage(t, server);
    const { list } = server.context.warm;
    let looks = 0;
    server.context.warm.list = () => {
      looks += 1;
      if (looks === 2) server.restart();
      return list();
    };
    const { code } = await run({ images: ['nginx'] });
    assert.equal(code, 0);
    assert.deepEqual(
      server.started.map(({ images }) => images),
      [['nginx'], ['nginx']],
    );
  });

  test('a server that ends while a long list is handed over is waited for', async (t) => {
    const server = new FakeServer();
    const { dir, control, run } = await stage(t, server);
    const again = createControl({
      path: controlSocketPath(dir),
      operations: [OPERATIONS.warm, OPERATIONS.warmJobs],
      context: server.context,
    });
    t.after(() => again.close());
    const { start } = server.context.warm;
    const handedOver: number[] = [];
    server.context.warm.start = (input) => {
      handedOver.push(input.images.length);
      if (handedOver.length !== 2) return start(input);
      setImmediate(() => void control.close().then(() => again.start()));
      return new Promise(() => undefined);
    };
    const images = Array.from({ length: 150 }, (_, index) => `app:${index}`);
    const { code, out, err } = await run({ images, json: true });
    assert.equal(code, 0, err);
    assert.equal(JSON.parse(out).done, 150);
    assert.deepEqual(handedOver, [100, 50, 50]);
    assert.match(err, /^The server has stopped\. Waiting for it to start again\.\n$/);
  });

  test('Ctrl-C leaves the job to the server, and says how to see and stop it', async (t) => {
    const server = new FakeServer();
    server.looks = Number.POSITIVE_INFINITY;
    const { run } = await stage(t, server);
    const interrupt = new AbortController();
    const { list } = server.context.warm;
    server.context.warm.list = () => {
      interrupt.abort();
      return list();
    };
    const { code, err, out } = await run({ images: ['nginx'] }, { interrupt: interrupt.signal });
    assert.equal(code, 130);
    assert.equal(out, '');
    assert.match(err, /The server goes on with 1 job: `entrepot warm` shows it/);
    assert.deepEqual(server.cancelled, []);
    const again = new AbortController();
    server.context.warm.list = () => {
      again.abort();
      return list();
    };
    const cancelled = await run({ images: ['nginx'], cancelOnInterrupt: true }, { interrupt: again.signal });
    assert.equal(cancelled.code, 130);
    assert.match(cancelled.err, /Cancelled\. What was fetched stays/);
    assert.equal(server.cancelled.length, 1);
  });

  test('without an image shows the jobs, and --stop stops them', async (t) => {
    const server = new FakeServer();
    server.looks = Number.POSITIVE_INFINITY;
    const { run } = await stage(t, server);
    assert.match((await run()).out, /^No images are being fetched/);
    await server.context.warm.start({ images: ['nginx'], platforms: [], partial: true });
    assert.match(
      (await run()).out,
      /^JOB +STATE +IMAGES +STORED +FETCHED +BY\njob1 +runs +0 of 1 +2\.0 MiB of 10\.0 MiB/,
    );
    assert.equal((await run({ stop: true })).code, 0);
    assert.deepEqual(server.cancelled, ['job1']);
  });

  test('says what is wrong with its files, and that no server runs', async (t) => {
    const { dir, run } = await stage(t, undefined);
    await writeFile(join(dir, 'broken.yaml'), 'services: [}\n');
    await writeFile(join(dir, 'empty.yaml'), '# nothing\n');
    const rows: readonly (readonly [Partial<WarmOptions>, number, RegExp])[] = [
      [{ from: ['gone.yaml'] }, 1, /^gone\.yaml: there is no such file\n$/],
      [{ from: ['.'] }, 1, /^\.: found a directory/],
      [{ from: ['broken.yaml'] }, 65, /^broken\.yaml:1: it cannot be read as YAML/],
      [{ from: ['empty.yaml'] }, 2, /left out: it names no image.*\nerror: the files name no image\n$/],
      [{ from: ['-', '-'] }, 2, /standard input can be read once/],
      [{ images: ['nginx'] }, 1, /No server runs on the cache directory|another process/],
    ];
    for (const [options, code, message] of rows) {
      const result = await run(options);
      assert.match(result.err, message);
      assert.equal(result.code, code, result.err);
    }
  });
});

describe('bars', () => {
  const images = [
    imageOf('docker.io/library/nginx:1.27', { state: 'done', bytes: 70 * MIB, size: 70 * MIB }),
    imageOf('docker.io/library/redis:7', { bytes: 5 * MIB, size: 40 * MIB }),
    imageOf('ghcr.io/owner/app:1.2', { state: 'failed', error: 'no such\u001b[2J tag' }),
    imageOf('quay.io/a/b:1', { state: 'waiting' }),
  ];
  const view = { images, total: 4, ended: 2, bytes: 75 * MIB, moved: 'fetched' } as const;

  test('are one for each image, and a line for all', () => {
    assert.deepEqual(formatBars(view, { rows: 24, columns: 120 }).map(stripVTControlCharacters), [
      'docker.io/library/nginx:1.27  [####################] 100% of 70.0 MiB',
      'docker.io/library/redis:7     [##------------------]  12% of 40.0 MiB',
      'ghcr.io/owner/app:1.2         failed: no such\\u001b[2J tag',
      'quay.io/a/b:1                 waiting',
      '2 of 4 images done, 75.0 MiB fetched',
    ]);
  });

  test('are at most as many and as wide as fit, those that move first', () => {
    const lines = formatBars(view, { rows: 4, columns: 50 }).map(stripVTControlCharacters);
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /redis/);
    assert.match(lines[1] ?? '', /app/);
    assert.match(lines[2] ?? '', /2 not shown/);
    for (const columns of [1, 10, 30]) {
      for (const line of formatBars(view, { rows: 1, columns })) {
        assert.ok(stripVTControlCharacters(line).length <= Math.max(1, columns), line);
      }
    }
  });

  test('are drawn over, and leave nothing behind', () => {
    const { output, said } = captureOutput();
    const bars = new ImageBars(output, () => ({ rows: 0, columns: undefined }));
    bars.draw({ ...view, images: images.slice(0, 1) });
    assert.ok(!said.err.includes('\u001b[2A'));
    bars.draw(view);
    assert.ok(said.err.includes('\u001b[2A\r\u001b[J'));
    bars.clear();
    assert.ok(said.err.endsWith('\u001b[5A\r\u001b[J'));
    const before = said.err;
    bars.clear();
    assert.equal(said.err, before);
  });
});

test('a summary counts failures that a long job does not list', () => {
  const job = { ...jobOf('a', [imageOf('x', { state: 'failed', error: 'why' })], true), omitted: 3 };
  const summary = summarize([{ ...job, counts: { ...job.counts, failed: 4 } }], []);
  assert.equal(summary.failedCount, 4);
  assert.match(formatSummary(summary), /^x: why\nand 3 more\n0 images are in the cache/);
});
