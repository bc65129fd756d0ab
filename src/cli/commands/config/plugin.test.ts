import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { Workspace } from '../../../../test/support/processes.ts';
import { run } from '../../program.ts';

async function command(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const { output, said: result } = captureOutput();
  return { code: await run(argv, { output }), ...result };
}

describe('entrepot plugin test', () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  test('shows what the plugin answers in each situation, by the names that are given', async () => {
    const file = await workspace.file(
      'good.mjs',
      'export default ({ upstreams }) => upstreams.map(({ name }) => name);',
    );
    const { code, out, err } = await command('plugin', 'test', file, '--upstreams', 'hot, cold');
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^OUTCOME +SITUATION +ORDER\n/);
    assert.match(out, /\nok +nothing is measured yet +hot, cold\n/);
    assert.ok(out.endsWith(`\n\n${file} keeps the contract.\n`), out);
  });

  test('exits with 1 where it breaks the contract, and says where', async () => {
    const file = await workspace.file('bad.mjs', 'export default () => { throw new Error("oh"); };');
    const { code, out } = await command('plugin', 'test', file);
    assert.equal(code, 1);
    assert.match(out, /\nfault +a manifest by tag +it threw Error: oh \(bad\.mjs:1\)\n/);
    assert.match(out, /bad\.mjs breaks the contract in 21 situations\.\n$/);
  });

  test('has the same as JSON', async () => {
    const file = await workspace.file('none.mjs', 'export const order = 1;');
    const { code, out } = await command('plugin', 'test', file, '--json');
    const { ok, trials } = JSON.parse(out) as { ok: boolean; trials: readonly { said: string }[] };
    assert.deepEqual([code, ok, trials.length], [1, false, 2]);
    assert.match(trials[1]?.said ?? '', /^it has no default export/);
  });

  test('takes two names of upstreams or more, each once', async () => {
    for (const names of ['hot', 'hot,hot', 'hot,,cold', ''])
      assert.deepEqual(await command('plugin', 'test', 'x.mjs', '--upstreams', names), {
        code: 2,
        out: '',
        err: `--upstreams: found ${JSON.stringify(names)}, expected two names or more, such as near,far\n`,
      });
  });
});

describe('entrepot config validate', () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  const upstreams = 'upstreams: [https://a.example, https://b.example]';

  test('loads the plugin that a configuration names, and blames it with its place', async () => {
    await workspace.file('routing.mjs', 'export default () => { syntax');
    const config = await workspace.file(
      'entrepot.yaml',
      `registries:\n  apps: {strategy: {plugin: ./routing.mjs}, ${upstreams}}\n`,
    );
    const broken = await command('config', 'validate', '--config', config);
    assert.equal(broken.code, 78);
    assert.match(
      broken.err,
      /entrepot\.yaml:2:\d+ +registries\.apps\.strategy\.plugin: .*routing\.mjs cannot be loaded: SyntaxError/,
    );
    assert.equal((await command('config', 'validate', '--no-references', '--config', config)).code, 0);
    await workspace.file('routing.mjs', 'export default () => undefined;');
    const good = await command('config', 'validate', '--config', config);
    assert.deepEqual([good.code, good.err], [0, '']);
  });
});
