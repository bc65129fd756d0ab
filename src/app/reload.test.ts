import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { complete, TRANSPORT } from '../../test/support/transport-spec.ts';
import { type Config, loadConfig } from '../config/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { Reloader } from './reload.ts';
import { composeRegistries } from './settings/registries.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-reload-'));
});
after(() => rm(directory, { recursive: true, force: true }));

function upstreamsOf(config: Config) {
  return { catalogue: composeRegistries(config, { complete }), transport: TRANSPORT };
}

/** A reloader for what is found in a directory, and what it has taken up. */
async function stage(cwd: string) {
  const load = () => loadConfig({ cwd, env: { HOME: cwd } });
  let running = await load();
  const reloader = new Reloader({
    load,
    running: () => ({ ...running, upstreams: upstreamsOf(running.config) }),
    apply: (next) => {
      running = { ...running, ...next };
      return Promise.resolve(upstreamsOf(next.config));
    },
    telemetry: new Telemetry(),
  });
  return { reloader, current: () => running };
}

describe('a reload of a configuration that was found', () => {
  test('is refused where the file has gone, and goes on with it once it is back', async () => {
    const file = join(directory, 'entrepot.yaml');
    const away = join(directory, 'entrepot.yaml~');
    await writeFile(file, 'registries: {apps: {upstreams: [http://localhost:5001]}}\n');
    const { reloader, current } = await stage(directory);
    await rename(file, away);
    const refused = await reloader.reload();
    assert.equal(refused.outcome, 'refused');
    assert.deepEqual(refused.problems, [
      `${file}: the file was removed; put it back, or restart the server without it`,
    ]);
    assert.ok('apps' in current().config.registries);

    await rename(away, file);
    assert.notEqual((await reloader.reload()).outcome, 'refused');
    await reloader.close();
  });

  test('takes up a file that comes to be where there was none', async () => {
    const empty = await mkdtemp(join(directory, 'empty-'));
    const { reloader, current } = await stage(empty);
    assert.equal(current().source, 'defaults');
    await writeFile(join(empty, 'entrepot.yaml'), 'registries: {apps: {upstreams: [http://localhost:5001]}}\n');
    const answer = await reloader.reload();
    assert.deepEqual([answer.outcome, answer.registries.added], ['changed', ['apps']]);
    await reloader.close();
  });
});
