import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { type HuggingFaceSite, startHuggingFace } from '../support/hugging-face-site.ts';
import { noise } from '../support/image.ts';
import { check, needs, Workspace } from '../support/processes.ts';

const WEIGHTS = noise('weights', 20_000_000);
const CONFIG = Buffer.from('{"model_type": "small"}');
const README = Buffer.from('# A model\n');

describe('hf download over a mirror route', needs('hf'), () => {
  let workspace: Workspace;
  let site: HuggingFaceSite;
  let entrepot: RunningEntrepot;

  before(async () => {
    workspace = await Workspace.open();
    site = await startHuggingFace('org/model', {
      small: { 'config.json': CONFIG, 'docs/README.md': README },
      large: { 'model.safetensors': WEIGHTS },
    });
    workspace.defer(async () => site[Symbol.asyncDispose]());
    entrepot = await startEntrepot(workspace, {
      mirrors: [
        {
          name: 'hf',
          prefix: '/hf',
          upstream: site.hub.url,
          cache: { immutable: [`/*/*/resolve/${'?'.repeat(40)}/**`] },
        },
      ],
    });
  });
  after(() => workspace.close());

  /** Downloads as on a machine that has nothing yet. @returns where the files are */
  async function download(machine: string, ...files: readonly string[]): Promise<string> {
    const target = workspace.path(machine, 'model');
    await check(['hf', 'download', 'org/model', ...files, '--local-dir', target], {
      env: {
        ...process.env,
        HF_ENDPOINT: `${entrepot.url}/hf`,
        HF_HOME: workspace.path(machine, 'home'),
        HF_HUB_DISABLE_TELEMETRY: '1',
        HF_HUB_DISABLE_PROGRESS_BARS: '1',
        no_proxy: '*',
      },
    });
    return target;
  }

  const bodies = (): number => site.cdn.visits.filter(({ method }) => method === 'GET').length;

  test('a whole model, by HTTP through here alone, and from the cache the second time', async () => {
    const first = await download('first');
    assert.ok((await readFile(`${first}/model.safetensors`)).equals(WEIGHTS));
    assert.ok((await readFile(`${first}/config.json`)).equals(CONFIG));
    assert.ok((await readFile(`${first}/docs/README.md`)).equals(README));
    assert.equal(bodies(), 1);
    const second = await download('second');
    assert.ok((await readFile(`${second}/model.safetensors`)).equals(WEIGHTS));
    assert.equal(bodies(), 1, 'the weights came once');
  });

  test('one file of a branch is confirmed with its site and not sent again', async () => {
    for (const machine of ['third', 'fourth']) {
      const target = await download(machine, 'model.safetensors');
      assert.ok((await readFile(`${target}/model.safetensors`)).equals(WEIGHTS));
    }
    const confirmed = site.cdn.visits.filter(({ method, headers }) => method === 'GET' && headers['if-none-match']);
    assert.ok(confirmed.length > 0);
    assert.ok(bodies() - confirmed.length <= 2, 'by commit once, and by branch once');
  });
});
