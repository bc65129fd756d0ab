import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { controlSocketPath, createControl, OPERATIONS, type ServerStatus } from '../../../admin/index.ts';
import { type WatchSurroundings, watchStatus } from './status-watch.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-watch-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const answer: ServerStatus = {
  version: '1.2.3',
  pid: 42,
  startedAt: 0,
  uptimeSeconds: 1,
  listeners: ['http://127.0.0.1:5000'],
  configSource: 'defaults',
  cache: 'off',
  transfers: [],
};

/** Watches a server whose looks `status` answers, until there were so many looks. */
async function watch(
  looks: number,
  { json = false, status = async () => answer, ...surroundings }: WatchSurroundings & WatchedServer,
): Promise<{ code: number; out: string[]; err: string }> {
  const dir = mkdtempSync(join(directory, 'server-'));
  const interrupt = new AbortController();
  let asked = 0;
  const control = createControl({
    path: controlSocketPath(dir),
    operations: [OPERATIONS.status],
    context: {
      status: () => {
        asked += 1;
        if (asked > looks) interrupt.abort();
        return status(asked);
      },
    },
  });
  await control.start();
  const out: string[] = [];
  let err = '';
  const code = await watchStatus(
    { flags: { cacheDir: dir }, json },
    {
      interval: 1,
      isTerminal: false,
      interrupt: interrupt.signal,
      // The escape character is no character of a regular expression.
      output: { out: (text) => void out.push(text.replaceAll('\u001b', '␛')), err: (text) => void (err += text) },
      ...surroundings,
    },
  );
  await control.close();
  return { code, out, err };
}

interface WatchedServer {
  readonly json?: boolean;
  readonly status?: (look: number) => Promise<ServerStatus>;
}

describe('status --watch', () => {
  test('draws each look over the one before on a terminal, and ends with 0', async () => {
    const { code, out, err } = await watch(3, { isTerminal: true, rows: () => 24 });
    assert.deepEqual([code, out.length, err], [0, 3, '']);
    for (const [index, text] of out.entries()) {
      assert.equal(text.includes('␛[2J'), index === 0, 'it clears the terminal once');
      assert.match(
        text,
        /␛\[H.*\d{4}-\d\d-\d\dT[\d:]{8}Z {2}every 0\.001 s, until Ctrl-C␛\[K\nentrepot 1\.2\.3, pid 42/,
      );
      assert.ok(text.endsWith('No transfers under way.␛[K\n␛[?7h␛[J'));
    }
  });

  test('shows no more lines than the terminal has', async () => {
    const { out } = await watch(1, { isTerminal: true, rows: () => 5 });
    assert.equal(out[0]?.match(/\n/g)?.length, 4);
    assert.match(out[0] ?? '', /\nand \d+ more lines␛\[K\n/);
    for (const rows of [undefined, 0]) {
      assert.doesNotMatch((await watch(1, { isTerminal: true, rows: () => rows })).out.join(''), /more lines/);
    }
  });

  test('writes plain blocks where there is no terminal', async () => {
    const { code, out } = await watch(2, {});
    assert.equal(code, 0);
    const text = out.join('');
    assert.doesNotMatch(text, /␛/);
    assert.match(
      text,
      /^\d{4}-\S+Z\nentrepot 1\.2\.3[^]*under way\.\n\n\d{4}-\S+Z\nentrepot 1\.2\.3[^]*under way\.\n$/,
    );
  });

  for (const isTerminal of [false, true]) {
    test(`--json writes one line each time, ${isTerminal ? 'on a terminal too' : 'for programs'}`, async () => {
      const { code, out } = await watch(3, { json: true, isTerminal });
      assert.equal(code, 0);
      assert.equal(out.length, 3);
      for (const line of out) {
        assert.match(line, /^\{.*\}\n$/);
        assert.deepEqual(JSON.parse(line), answer);
      }
    });
  }

  test('a first look that fails is the end, with its exit code', async () => {
    const { output, said: texts } = captureOutput();
    const code = await watchStatus({ flags: { cacheDir: join(directory, 'absent') } }, { output, isTerminal: true });
    assert.deepEqual([code, texts.out], [1, '']);
    assert.match(texts.err, /No server runs on the cache directory/);
  });

  test('a later look that fails is told, and the next one made', async () => {
    const status = async (look: number): Promise<ServerStatus> => {
      if (look === 2) throw new Error('busy');
      return answer;
    };
    const { code, out, err } = await watch(3, { json: true, status });
    assert.deepEqual([code, out.length], [0, 2]);
    assert.match(err, /^The server could not do `status`: .*\n$/);
    const drawn = await watch(3, { isTerminal: true, status });
    assert.match(drawn.out[1] ?? '', /Ctrl-C␛\[K\nThe server could not do `status`/);
    assert.equal(drawn.err, '');
  });

  test('an interruption does not wait for a server that is silent', async () => {
    const silent = Promise.withResolvers<ServerStatus>();
    const started = performance.now();
    const { code, out } = await watch(1, { status: (look) => (look === 1 ? Promise.resolve(answer) : silent.promise) });
    assert.deepEqual([code, out.length], [0, 1]);
    assert.ok(performance.now() - started < 5000);
    silent.resolve(answer);
  });
});
