import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryPlugin } from '../src/upstream/index.ts';
import { ANSWER_WITHIN_MS } from '../src/upstream/plugin/plugin-thread.ts';
import { FAILURES_IN_A_ROW, PAUSE_MS } from '../src/upstream/plugin/routing-plugin.ts';
import { LEAD_SHARE, STALE_AFTER_MS, TRY_SHARE } from '../src/upstream/strategy/fastest.ts';
import { FORGOTTEN_AFTER_MS } from '../src/upstream/strategy/pace.ts';

const read = (path: string): Promise<string> => readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

describe('docs/strategies.md', () => {
  test('shows the contract of a plugin as it is published', async () => {
    const [, shown] =
      /<!-- contract -->\n```ts\n(.*?)```\n<!-- \/contract -->/s.exec(await read('docs/strategies.md')) ?? [];
    const source = await read('src/upstream/plugin/contract.ts');
    assert.equal(shown, source.slice(source.indexOf('/** One upstream')));
  });

  test('has a plugin that keeps the contract', async () => {
    const [, text = ''] = /```js\n(.*?)```/s.exec(await read('docs/strategies.md')) ?? [];
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-page-'));
    try {
      await writeFile(join(directory, 'routing.mjs'), text, { mode: 0o600 });
      const trials = await tryPlugin(join(directory, 'routing.mjs'), { answerWithin: 20_000, loadWithin: 20_000 });
      assert.ok(trials.length > 20);
      assert.deepEqual(
        trials.filter(({ outcome }) => outcome !== 'ok').map(({ situation }) => situation),
        [],
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('has the numbers of the source', async () => {
    const page = await read('docs/strategies.md');
    assert.deepEqual(
      { LEAD_SHARE, TRY_SHARE, STALE_AFTER_MS, FORGOTTEN_AFTER_MS, ANSWER_WITHIN_MS, FAILURES_IN_A_ROW, PAUSE_MS },
      {
        LEAD_SHARE: 0.8,
        TRY_SHARE: 1 / 8,
        STALE_AFTER_MS: 5 * 60_000,
        FORGOTTEN_AFTER_MS: 30 * 60_000,
        ANSWER_WITHIN_MS: 250,
        FAILURES_IN_A_ROW: 3,
        PAUSE_MS: 60_000,
      },
    );
    for (const said of [
      '80 %',
      'one small request in eight',
      '5 minutes',
      'half an hour',
      '250 ms',
      'three times',
      'a minute',
    ])
      assert.ok(page.includes(said), said);
  });
});
