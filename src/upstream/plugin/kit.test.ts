import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Workspace } from '../../../test/support/processes.ts';
import { type PluginTrial, tryPlugin } from './kit.ts';

let workspace: Workspace;
before(async () => {
  workspace = await Workspace.open();
});
after(() => workspace.close());

const patient = { answerWithin: 20_000, loadWithin: 20_000, prints: false };
const pathOf = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

async function tryText(text: string): Promise<readonly PluginTrial[]> {
  return tryPlugin(await workspace.file('tried.mjs', text), patient);
}

const faultsOf = (trials: readonly PluginTrial[]): readonly PluginTrial[] =>
  trials.filter(({ outcome }) => outcome === 'fault');

describe('the test kit for plugins', () => {
  for (const file of ['examples/routing/by-prefix.mjs', 'test/fixtures/routing/typed-plugin.ts']) {
    test(`finds no fault in ${file}`, async () => {
      const trials = await tryPlugin(pathOf(file), patient);
      assert.deepEqual(faultsOf(trials), []);
      assert.ok(trials.length > 20, `${trials.length} situations`);
    });
  }

  test('asks for each kind of content, with upstreams in each state, by the names that are given', async () => {
    const seen = workspace.path('seen');
    const file = await workspace.file(
      'sees.mjs',
      `import { appendFileSync } from 'node:fs';
       export default ({ content, method, upstreams }) => {
         appendFileSync(${JSON.stringify(seen)}, [content, method, upstreams[0].name, upstreams[0].state].join(' ') + '\\n');
       };`,
    );
    await tryPlugin(file, { ...patient, names: ['hot', 'cold'] });
    const { readFile } = await import('node:fs/promises');
    const lines = new Set((await readFile(seen, 'utf8')).split('\n'));
    for (const line of [
      'blob GET hot up',
      'blob GET hot resting',
      'blob GET hot trying',
      'blob HEAD hot up',
      'manifest GET hot up',
      'manifest HEAD hot up',
      'list GET hot up',
      'blob GET __proto__ up',
    ])
      assert.ok(lines.has(line), `${line} among ${[...lines].join(', ')}`);
  });

  test('names the one situation in which a plugin fails', async () => {
    const trials = await tryText('export default ({ tag, upstreams }) => tag.length > 20 ? [] : [upstreams[0].name]');
    const faults = faultsOf(trials);
    assert.ok(faults.some(({ situation }) => situation === 'the tags of a repository'));
    assert.ok(!faults.some(({ situation }) => situation === 'a manifest by tag'));
    for (const { said } of faults) assert.match(said, /^it threw TypeError: .*'length'.*\(tried\.mjs:1\)$/);
  });

  test('blames names that are written down instead of taken from the question', async () => {
    const faults = faultsOf(await tryText('export default () => ["near", "far"]'));
    assert.deepEqual(
      faults.map(({ situation }) => situation),
      ['names of upstreams that no plugin expects', '64 upstreams', '200 questions at once'],
    );
  });

  test('notes what keeps the contract and is probably not meant', async () => {
    const notes = (await tryText('export default ({ upstreams }) => [upstreams[0].name]')).filter(
      ({ outcome }) => outcome === 'note',
    );
    assert.ok(notes.some(({ said }) => said === 'near: "near" fails, so each request goes on to the next at once'));
    assert.ok(notes.some(({ said }) => said === 'near: far, spare left out, so they come last'));
  });

  test('tries nothing more of a file that cannot be loaded, or used', async () => {
    const trials = await tryText('export default 5');
    assert.deepEqual(
      trials.map(({ situation, outcome }) => [situation, outcome]),
      [
        ['its file', 'ok'],
        ['it is loaded', 'fault'],
      ],
    );
    const [absent, ...more] = await tryPlugin(workspace.path('absent.mjs'), patient);
    assert.equal(absent?.outcome, 'fault');
    assert.deepEqual(more, []);
  });
});
