import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { OPERATIONS } from '../../src/admin/index.ts';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { operate } from '../support/api-stage.ts';
import { attachSbom } from '../support/attached.ts';
import { type DockerRegistry, sentTo, skopeo, startDockerRegistry } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage } from '../support/image.ts';
import { runImport } from '../support/import-cases.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { needs, Workspace } from '../support/processes.ts';

// A hot and a cold registry as in the quick start of Mirror Registry, whose configuration is imported as it stands there; and what its
// roadmap wants of them: what only the cold one has goes to the hot one by a schedule. Counted in the access logs of both.

const QUICK_START = fileURLToPath(new URL('../fixtures/migrate/mirror-registry-readme/config.yaml', import.meta.url));
const IMAGE = 'test/my-app';

const programs = [
  { name: 'docker-registry', program: 'docker-registry', needed: needs('docker-registry', 'skopeo') },
  {
    name: 'distribution 3',
    program: goTool('distribution'),
    needed: { ...needs('skopeo'), ...needsGoTools('distribution') },
  },
];

for (const { name, program, needed } of programs) {
  describe(`hot and cold, each a ${name}`, needed, () => {
    test('after the schedule the hot registry has what only the cold one had, and nothing is sent twice', async (t) => {
      const workspace = await Workspace.open();
      t.after(() => workspace.close());
      const [cold, hot] = [
        await startDockerRegistry(workspace, { program }),
        await startDockerRegistry(workspace, { program }),
      ];
      const [first, second, nginx] = ['my-app', 'my-app, again', 'nginx'].map((seed) => buildImage({ seed }));
      assert.ok(first !== undefined && second !== undefined && nginx !== undefined);
      await cold.push(first, `${IMAGE}:latest`);
      await cold.push(second, `${IMAGE}:2`);
      await hot.push(nginx, 'library/nginx:latest');
      const { sbom, fallbackTag } = await attachSbom(cold, IMAGE, first.index);

      const config = await imported(workspace, { cold, hot });
      const mirror = await startMirror(config);
      t.after(() => mirror.stop());
      // As in the quick start: the one from hot, the other from cold.
      for (const image of ['library/nginx', IMAGE]) {
        assert.equal((await mirror.get(`/v2/${image}/manifests/latest`)).status, 200);
      }

      const uploadsBefore = sentTo(hot).length;
      const line = await runSchedule(mirror, 1);
      const blobs = [...first.blobs, ...second.blobs];
      const size = [...blobs, ...first.manifests, ...second.manifests].reduce((sum, each) => sum + each.size, 0);
      const sbomBlob = Buffer.from('blob of ').length;
      assert.deepEqual([line['outcome'], line['done'], line['failed']], ['done', 2, 0]);
      for (const [tag, { index }] of [
        ['latest', first],
        ['2', second],
      ] as const) {
        assert.equal((await manifestOf(hot, tag)).headers.get('docker-content-digest'), index.digest);
      }
      assert.equal((await manifestOf(hot, digestOf(sbom))).status, 200);
      const list = (await (await manifestOf(hot, fallbackTag)).json()) as {
        readonly manifests: readonly { digest: string }[];
      };
      assert.deepEqual(
        list.manifests.map(({ digest }) => digest),
        [digestOf(sbom)],
      );
      const sent = sentTo(hot).slice(uploadsBefore);
      const begun = sent.filter((each) => each.startsWith('POST '));
      // The blob of the SBOM besides those of the images.
      assert.equal(begun.length, blobs.length + 1, sent.join('\n'));
      const given = () =>
        cold.requests().filter(({ method, path }) => method === 'GET' && path.includes('/blobs/sha256:'));
      assert.equal(given().length, blobs.length + 1);
      const listBytes = Number(line['sent']) - size - sbom.length - sbomBlob;
      assert.ok(listBytes > 0 && listBytes < 1000, `${listBytes} bytes besides the images, their SBOM and its list`);

      const again = await runSchedule(mirror, 2);
      assert.deepEqual([again['outcome'], again['done'], again['sent']], ['done', 2, 0]);
      assert.deepEqual(sentTo(hot).slice(uploadsBefore), sent, 'the second run sends nothing');
      assert.equal(given().length, blobs.length + 1, 'and fetches nothing');

      // The cold registry is not needed any more.
      await cold.process.stop();
      await using other = await startMirror({ ...config, copy: [] });
      await skopeo(
        'copy',
        '--all',
        '--src-tls-verify=false',
        `docker://${other.host}/${IMAGE}:latest`,
        `dir:${workspace.path('pulled')}`,
      );
    });
  });
}

/** The configuration of the quick start with the addresses of these registries, and the lines that have what is cold brought to hot. */
async function imported(
  workspace: Workspace,
  { cold, hot }: { readonly cold: DockerRegistry; readonly hot: DockerRegistry },
): Promise<Record<string, unknown>> {
  const text = await readFile(QUICK_START, 'utf8');
  const here = text
    .replace('https://registry.cn-hangzhou.aliyuncs.com', hot.url)
    .replace('http://localhost:5001', cold.url);
  assert.ok(here.includes(hot.url) && here.includes(cold.url));
  const file = workspace.path('config.yaml');
  await writeFile(file, here);
  const { code, out, err } = await runImport([file], { cwd: workspace.dir });
  assert.equal(code, 0, err);
  const { cache: _, ...config } = parse(out) as Record<string, unknown> & { registries: { apps: object } };
  const apps = { ...config.registries.apps, push: ['**'] };
  const images = [{ from: IMAGE, to: IMAGE, all_tags: true }];
  const copy = [{ name: 'hot-from-cold', images, schedule: 'every 6h' }];
  return { ...config, listen: '127.0.0.1:0', registries: { apps }, copy };
}

async function runSchedule(mirror: Mirror, count: number) {
  assert.equal((await operate(mirror, OPERATIONS.scheduleRun, { name: 'hot-from-cold' })).started, true);
  return await mirror.logged(({ msg }) => msg === 'schedule.ended', { count });
}

function manifestOf({ url }: DockerRegistry, reference: string): Promise<Response> {
  const accept = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.ociManifest].join(', ');
  return fetch(`${url}/v2/${IMAGE}/manifests/${reference}`, { headers: { accept } });
}
