import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Row, skipped } from '../faults/lib/row.ts';
import { readOptions } from '../faults/options.ts';
import { perform } from '../faults/perform.ts';
import { crashPoints } from '../faults/rows/kills.ts';
import { ROWS } from '../faults/rows.ts';
import { drawTable } from '../faults/table.ts';
import { run } from '../support/processes.ts';

// The fault suite itself: it runs, it finds what is wrong, and it ends.

const RUN = join(import.meta.dirname, '../faults/run.ts');

function rowThat(play: Row['run'], within = 5): Row {
  return { id: 'sample', what: 'a sample', reach: '0 failed', within, run: play };
}

function performed(play: Row['run'], within?: number): ReturnType<typeof perform> {
  return perform(rowThat(play, within), { rounds: 1, progress: () => undefined });
}

describe('perform()', () => {
  test('a row without misses is met, one with misses is not, one that was skipped is neither', async () => {
    const verdicts = await Promise.all([
      performed(async () => ({ figure: '0 of 1', misses: [] })),
      performed(async () => ({ figure: '1 of 1', misses: ['it broke'] })),
      performed(async () => skipped('no disk')),
    ]);
    assert.deepEqual(
      verdicts.map(({ met }) => met),
      [true, false, undefined],
    );
    const table = drawTable(verdicts);
    assert.match(table, /sample MISSED: it broke/);
    assert.match(table, /sample was skipped: no disk/);
  });

  test('a row that throws has missed, and says why', async () => {
    const { met, outcome } = await performed(async () => {
      throw new Error('the upstream would not start');
    });
    assert.equal(met, false);
    assert.match(outcome.misses.join(), /the upstream would not start/);
  });

  test('a row that does not end has missed', async () => {
    const { met, outcome } = await performed(() => new Promise(() => undefined), 0.05);
    assert.equal(met, false);
    assert.match(outcome.misses.join(), /did not end within/);
  });
});

describe('the command line', () => {
  const known = ROWS.map(({ id }) => id);

  test('names of rows are unique', () => {
    assert.equal(new Set(known).size, ROWS.length);
  });

  test('rounds are a number or "long"', () => {
    assert.equal(readOptions([], known).rounds, 1);
    assert.equal(readOptions(['--rounds', '3'], known).rounds, 3);
    assert.equal(readOptions(['--rounds', 'long'], known).rounds, 'long');
    for (const text of ['0', '-1', 'many', '1.5']) {
      assert.throws(() => readOptions([`--rounds=${text}`], known), RangeError, text);
    }
  });

  test('a seed is a number, and another one each time where none is given', () => {
    assert.equal(readOptions(['--seed', '7'], known).seed, 7);
    assert.notEqual(readOptions([], known).seed, readOptions([], known).seed);
    for (const text of ['-1', '1.5', '0x10', 'many', '4294967296', '']) {
      assert.throws(() => readOptions([`--seed=${text}`], known), RangeError, text);
    }
  });

  test('an unknown row is refused with those that are there', () => {
    assert.throws(() => readOptions(['--only', 'cut'], known), /there are cuts,/);
  });
});

test('every named crash point of the sources is found', () => {
  assert.ok(crashPoints().includes('commit.renamed'));
});

test('a row runs from the command line, against the real server', { timeout: 60_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-faults-'));
  try {
    const json = join(dir, 'faults.json');
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', RUN];
    const { code, stdout, stderr } = await run([...node, '--only', 'cuts', '--json', json], { timeout: 50_000 });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, /100 pulls, 0 failed +met/);
    const { results } = JSON.parse(await readFile(json, 'utf8')) as { results: readonly { met: boolean }[] };
    assert.deepEqual(
      results.map(({ met }) => met),
      [true],
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
