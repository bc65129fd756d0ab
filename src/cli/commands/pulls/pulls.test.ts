import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import {
  controlSocketPath,
  createControl,
  type ExplainInput,
  OPERATIONS,
  PULL_OUTCOMES,
  type PullSummary,
  type PullsAnswer,
  type PullsInput,
} from '../../../admin/index.ts';
import { OUTCOMES } from './commands.ts';
import { type Asker, type FollowSurroundings, followPulls, PullFollower } from './follow.ts';
import { type PullsOptions, pulls } from './pulls.ts';
import { formatMilliseconds, formatPulls, imageOf } from './pulls-table.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-pulls-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 10, 29, 12, 0, 0);
const MIB = 1024 ** 2;

function pullOf(id: string, more: Partial<PullSummary> = {}): PullSummary {
  return {
    id,
    at: NOW - 5000,
    registry: 'docker.io',
    repository: 'library/nginx',
    reference: '1.27',
    client: '10.0.0.7',
    outcome: 'hit',
    requests: 9,
    hits: 9,
    bytes: 28 * MIB,
    fetched: 0,
    durationMs: 1234,
    ...more,
  };
}

/** A server that knows these pulls. */
async function withServer<T>(
  list: (input: PullsInput) => PullsAnswer | Promise<PullsAnswer>,
  use: (dir: string) => Promise<T>,
  find: (id: string) => PullSummary | undefined = () => undefined,
): Promise<T> {
  const dir = mkdtempSync(join(directory, 'server-'));
  const none = (): never => assert.fail('it is not asked');
  const control = createControl({
    path: controlSocketPath(dir),
    operations: [OPERATIONS.pulls, OPERATIONS.explain],
    context: {
      pulls: { list: async (input: PullsInput) => list(input), find: none, figures: none },
      explain: {
        any: async ({ of }: ExplainInput) => {
          const pull = find(of);
          if (pull === undefined) throw new Error(`nothing is called ${of}`);
          return { pull: { ...pull, requestList: [], omitted: 0, rule: 'access.rules[0]' } };
        },
        access: none,
        rules: none,
      },
    },
  });
  await control.start();
  try {
    return await use(dir);
  } finally {
    await control.close();
  }
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function say(dir: string, options: Omit<PullsOptions, 'flags'>, columns?: number): Promise<Said> {
  const { output, said } = captureOutput();
  return { code: await pulls({ ...options, flags: { cacheDir: dir } }, { output, columns }), ...said };
}

describe('entrepot pulls', () => {
  test('takes the outcomes that the operation has', () => {
    assert.deepEqual(OUTCOMES, PULL_OUTCOMES);
  });

  test('asks for twenty, with the filters, and prints a table', async () => {
    const asked: PullsInput[] = [];
    const list = (input: PullsInput): PullsAnswer => {
      asked.push(input);
      return { pulls: [pullOf('k3x9-2f'), pullOf('k3x9-1', { outcome: 'failed' })], since: NOW };
    };
    const filter = { image: 'nginx', client: 'alice', outcome: 'failed' } as const;
    const { code, out, err } = await withServer(list, (dir) => say(dir, filter));
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^ID +TIME UTC +OUTCOME +SENT +TOOK +CLIENT +IMAGE\nk3x9-2f .* hit .*\nk3x9-1 .* failed /);
    assert.deepEqual(asked, [{ ...filter, limit: 20 }]);
  });

  test('asks page by page for more than one answer has', async () => {
    const asked: PullsInput[] = [];
    const list = (input: PullsInput): PullsAnswer => {
      asked.push(input);
      const from = Number(input.after ?? 0);
      const all = Array.from({ length: input.limit }, (_, at) => pullOf(`p-${from + at}`));
      return { pulls: all, next: String(from + input.limit), since: NOW };
    };
    const { out } = await withServer(list, (dir) => say(dir, { limit: 1200, json: true }));
    const ids = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as PullSummary).id);
    assert.deepEqual(
      ids,
      Array.from({ length: 1200 }, (_, at) => `p-${at}`),
    );
    assert.deepEqual(
      asked.map(({ limit, after: start }) => [limit, start]),
      [
        [500, undefined],
        [500, '500'],
        [200, '1000'],
      ],
    );
  });

  test('says that there is none, and since when', async () => {
    const none = (): PullsAnswer => ({ pulls: [], since: NOW });
    assert.equal(
      (await withServer(none, (dir) => say(dir, {}))).out,
      'No pull is recorded since 2026-11-29 12:00:00Z.\n',
    );
    const filtered = await withServer(none, (dir) => say(dir, { image: 'x' }));
    assert.equal(filtered.out, 'No such pull is recorded since 2026-11-29 12:00:00Z.\n');
    assert.equal((await withServer(none, (dir) => say(dir, { json: true }))).out, '');
  });

  test('says that pulls are not recorded, and which are not listed', async () => {
    const off = await withServer(
      () => ({ pulls: [], since: NOW, off: true }),
      (dir) => say(dir, {}),
    );
    assert.deepEqual([off.code, off.out], [0, '']);
    assert.match(off.err, /^No pulls are recorded, as admin\.record_pulls is false\. Set it to true and reload/);
    const omitted = { pulls: 1200, from: NOW - 60_000, to: NOW };
    const gap = await withServer(
      () => ({ pulls: [pullOf('a')], since: NOW, omitted }),
      (dir) => say(dir, { json: true }),
    );
    assert.match(gap.out, /^\{"id":"a",/);
    assert.match(
      gap.err,
      /^1200 pulls are not listed, left out from 2026-11-29 11:59:00Z to 2026-11-29 12:00:00Z: too many/,
    );
  });

  test('fails where no server runs', async () => {
    const { code, out, err } = await say(mkdtempSync(join(directory, 'none-')), {});
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /No server runs on the cache directory/);
  });
});

describe('the table of pulls', () => {
  test('fits 80 columns, and shows the end of a long name', () => {
    const long = pullOf('k3x9-2fzz', {
      registry: 'registry.example.com:5000',
      repository: 'a-long-team/with-a-long-project/and-a-service',
      client: '2001:db8:85a3::8a2e:370:7334',
      at: NOW - 5 * 86_400_000,
    });
    const text = formatPulls([long, pullOf('a'), pullOf('b', { running: true, user: 'alice', bytes: 1023 * MIB })], {
      columns: 80,
      now: NOW,
    });
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    assert.match(text, /11-24 12:00 .*2001:.*… +…[^ ]*service:1\.27\n/);
    assert.match(text, /\nb +11:59:55 +running +1023\.0 MiB +1\.2 s +alice /);
  });

  test('cuts nothing where the output is no terminal, and more room is used', () => {
    const pull = pullOf('a', { repository: 'x'.repeat(200) });
    assert.match(formatPulls([pull], { columns: undefined, now: NOW }), /docker\.io\/x{200}:1\.27\n$/);
    assert.match(formatPulls([pull], { columns: 300, now: NOW }), /docker\.io\/x{200}:1\.27\n$/);
  });

  test('names an image by its tag, or by the beginning of its digest', () => {
    assert.equal(imageOf(pullOf('a')), 'docker.io/library/nginx:1.27');
    const reference = `sha256:${'0123456789abcdef'.repeat(4)}`;
    assert.equal(imageOf(pullOf('a', { reference })), 'docker.io/library/nginx@sha256:0123456789ab');
  });

  test('has times that say no more than they know', () => {
    const times = [0.04, 0.44, 9.96, 12.4, 999, 1000, 9999, 61_000].map(formatMilliseconds);
    assert.deepEqual(times, ['0 ms', '0.4 ms', '10 ms', '12 ms', '999 ms', '1.0 s', '10.0 s', '1 min 1 s']);
  });
});

describe('a follower of pulls', () => {
  const asker = (newest: readonly PullSummary[], found: Readonly<Record<string, PullSummary>> = {}): Asker => ({
    page: ({ after: start, limit }) => {
      const from = Number(start ?? 0);
      const end = from + limit;
      const next = end < newest.length ? { next: String(end) } : {};
      return Promise.resolve({ pulls: newest.slice(from, end), ...next });
    },
    find: (id) => Promise.resolve(found[id]),
  });
  const ids = (list: readonly PullSummary[]) => list.map(({ id }) => id);
  const later = (id: string, after: number, more: Partial<PullSummary> = {}) =>
    pullOf(id, { at: NOW + after, ...more });

  test('gives a pull once, when two looks find it ended', async () => {
    const follower = new PullFollower([pullOf('old')]);
    const running = later('new', 0, { running: true, durationMs: 1 });
    assert.deepEqual(await follower.look(asker([running, pullOf('old')])), []);
    assert.deepEqual(ids(follower.running), ['new']);
    // A pause between two requests of one pull.
    assert.deepEqual(await follower.look(asker([later('new', 0, { requests: 1 })])), []);
    assert.deepEqual(await follower.look(asker([later('new', 0, { requests: 2 })])), []);
    assert.deepEqual(ids(await follower.look(asker([later('new', 0, { requests: 2 })]))), ['new']);
    assert.deepEqual(await follower.look(asker([later('new', 0, { requests: 2 })])), []);
  });

  test('gives those that begin and end between two looks, in the order of their end', async () => {
    const follower = new PullFollower([]);
    const both = asker([later('second', 100, { durationMs: 1 }), later('first', 0, { durationMs: 5000 })]);
    await follower.look(both);
    assert.deepEqual(ids(await follower.look(both)), ['second', 'first']);
  });

  test('gives none that began before it', async () => {
    const before = Array.from({ length: 900 }, (_, at) => pullOf(`old-${at}`, { at: NOW - at }));
    const follower = new PullFollower(before.slice(0, 500));
    const all = asker([later('new', 1), ...before]);
    await follower.look(all);
    assert.deepEqual(ids(await follower.look(all)), ['new']);
  });

  test('finds the end of a long pull that newer ones have pushed off the first pages', async () => {
    const follower = new PullFollower([pullOf('long', { running: true })]);
    const newer = Array.from({ length: 6000 }, (_, at) => later(`p-${at}`, 6000 - at));
    const ended = { long: pullOf('long', { requests: 20 }) };
    await follower.look(asker(newer, ended));
    const given = ids(await follower.look(asker(newer, ended)));
    assert.equal(given.filter((id) => id === 'long').length, 1);
    assert.equal(given.length, 5001);
  });

  test('forgets what the server has forgotten', async () => {
    const follower = new PullFollower([pullOf('gone', { running: true })]);
    await follower.look(asker([]));
    assert.deepEqual(follower.running, []);
  });
});

describe('entrepot pulls --follow', () => {
  interface Server {
    readonly looks: readonly ((look: number) => readonly PullSummary[])[];
    readonly options?: Omit<PullsOptions, 'flags'>;
    readonly surroundings?: FollowSurroundings;
    readonly find?: (id: string) => PullSummary | undefined;
  }

  async function follow({ looks, options = {}, surroundings = {}, find }: Server): Promise<Said> {
    const interrupt = new AbortController();
    let look = 0;
    const list = (): PullsAnswer => {
      const answer = looks[look];
      look += 1;
      if (answer === undefined) interrupt.abort();
      return { pulls: answer?.(look) ?? [], since: NOW };
    };
    const { output, said } = captureOutput();
    const code = await withServer(
      list,
      (dir) =>
        followPulls(
          { ...options, flags: { cacheDir: dir } },
          { output, interval: 1, isTerminal: false, interrupt: interrupt.signal, ...surroundings },
        ),
      find,
    );
    return { code, ...said };
  }
  const running = () => [pullOf('b', { at: NOW, running: true, bytes: MIB, size: 4 * MIB }), pullOf('a')];
  const ended = () => [pullOf('b', { at: NOW, outcome: 'miss' }), pullOf('a')];

  test('prints the last ones, and each that ends once, with one head', async () => {
    const { code, out, err } = await follow({ looks: [running, ended, ended, ended] });
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(out.match(/^\w+/gm), ['ID', 'a', 'b']);
    assert.match(out, /\nb .* miss /);
  });

  test('prints JSON, one line each, as `pulls` does', async () => {
    const find = (id: string) => pullOf(id, { at: NOW, requests: 33 });
    const { out } = await follow({ looks: [running, () => [], () => []], options: { json: true }, find });
    const printed = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as PullSummary);
    assert.deepEqual(printed, [pullOf('a'), pullOf('b', { at: NOW, requests: 33 })]);
  });

  test('prints an outcome alone', async () => {
    const { out } = await follow({ looks: [running, ended, ended, ended], options: { outcome: 'miss' } });
    assert.deepEqual(out.match(/^\w+/gm), ['ID', 'b']);
  });

  test('draws on a terminal what is under way, and clears it', async () => {
    const { out } = await follow({ looks: [running, ended, ended], surroundings: { isTerminal: true, columns: 60 } });
    assert.match(out.replaceAll('\u001b', '␛'), /\r␛\[Kunder way: docker\.io\/library\/nginx:1\.27 \[#####-+/);
    for (const part of out.split('\r'))
      assert.ok((part.replace('\u001b[K', '').split('\n')[0] ?? '').length <= 80, part);
  });

  test('reports a server that stops answering once, and waits for it', async () => {
    const fails = (): never => {
      throw new Error('the disk is full');
    };
    const { code, err } = await follow({ looks: [running, fails, fails, ended, ended] });
    assert.equal(code, 0);
    assert.equal(err.match(/the disk is full/g)?.length, 1);
    assert.match(err, /Waiting for the server, until Ctrl-C\.\nThe server answers again\.\n$/);
  });

  test('fails where no server runs', async () => {
    const { output, said } = captureOutput();
    const dir = mkdtempSync(join(directory, 'none-'));
    assert.equal(await followPulls({ flags: { cacheDir: dir } }, { output }), 1);
    assert.match(said.err, /No server runs/);
  });
});
