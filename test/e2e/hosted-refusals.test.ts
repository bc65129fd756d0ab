import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { type HostingStage, hostingStage } from '../support/hosting-stage.ts';
import { needs, run, Workspace } from '../support/processes.ts';
import { tar } from '../support/tar.ts';

/** What clients show of a push that is refused: the message, and they do not try again in another way. */
describe('a push that moves an immutable tag is refused, and the client says why, in', () => {
  let workspace: Workspace;
  let stage: HostingStage;
  before(async () => {
    workspace = await Workspace.open();
    const scope = { after: (cleanUp: () => Promise<void>) => workspace.defer(cleanUp) };
    stage = await hostingStage(scope, { hosting: { immutableTags: ['v*'] } });
  });
  after(() => workspace.close());

  const WHY = /denied: .*the tag v1 is immutable \(immutable_tags\) and points to sha256:\w+; push under another tag/i;

  /** Runs commands, the last of which has to be refused with one request to the manifest. */
  async function refused(commands: readonly (readonly string[])[]): Promise<void> {
    for (const command of commands.slice(0, -1)) {
      const { code, stderr } = await run(command);
      assert.equal(code, 0, stderr);
    }
    let puts = 0;
    const stop = stage.telemetry.on('request.finished', ({ method, path }) => {
      if (method === 'PUT' && path.includes('/manifests/')) puts += 1;
    });
    const { code, stdout, stderr } = await run(commands.at(-1) ?? []);
    stop();
    assert.notEqual(code, 0);
    assert.match(stdout + stderr, WHY);
    assert.equal(puts, 1, 'it is not tried again');
  }

  async function folder(name: string): Promise<string> {
    const path = workspace.path(name);
    await mkdir(path);
    for (const each of ['one', 'two']) {
      await writeFile(`${path}/${each}.txt`, each);
      await writeFile(`${path}/${each}.tar`, tar([{ path: each, content: Buffer.from(each) }]));
    }
    return path;
  }

  test('crane', needsGoTools('crane'), async () => {
    const files = await folder('crane');
    const image = `${stage.host}/crane:v1`;
    const append = (layer: string) => [goTool('crane'), 'append', '--insecure', '-f', `${files}/${layer}`, '-t', image];
    await refused([append('one.tar'), append('one.tar'), append('two.tar')]);
  });

  test('oras', needsGoTools('oras'), async () => {
    const files = await folder('oras');
    const created = ['--annotation', 'org.opencontainers.image.created=2026-01-01T00:00:00Z'];
    const push = (file: string) => [
      goTool('oras'),
      'push',
      '--plain-http',
      '--disable-path-validation',
      ...created,
      `${stage.host}/oras:v1`,
      `${files}/${file}`,
    ];
    await refused([push('one.txt'), push('one.txt'), push('two.txt')]);
  });

  test('skopeo', { ...needs('skopeo'), ...needsGoTools('crane') }, async () => {
    const files = await folder('skopeo');
    const insecure = ['--insecure-policy', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false'];
    const copy = (from: string) => [
      'skopeo',
      ...insecure,
      `docker://${stage.host}/${from}`,
      `docker://${stage.host}/skopeo:v1`,
    ];
    const crane = goTool('crane');
    const append = (layer: string, name: string) => [
      crane,
      'append',
      '--insecure',
      '-f',
      `${files}/${layer}`,
      '-t',
      `${stage.host}/${name}`,
    ];
    const images = [append('one.tar', 'source:one'), append('two.tar', 'source:two')];
    await refused([...images, copy('source:one'), copy('source:one'), copy('source:two')]);
  });
});
