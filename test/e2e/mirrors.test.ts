import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { gitPages } from '../support/git-site.ts';
import { noise } from '../support/image.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { file, redirect, type ScriptedSite, startSite } from '../support/site.ts';

// The examples' sites, played by stand-ins that redirect as the real ones do, and asked by the clients people use.

const ASSET = noise('an asset', 5_000_000);

describe('git over a mirror route', needs('git'), () => {
  let workspace: Workspace;
  let site: ScriptedSite;
  let entrepot: RunningEntrepot;
  const git = (...args: readonly string[]): Promise<string> =>
    check(['git', '-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args], {
      env: { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', HOME: workspace.dir, no_proxy: '*' },
    });

  before(async () => {
    workspace = await Workspace.open();
    const source = workspace.path('source');
    await mkdir(source);
    await git('init', '-q', '-b', 'main', source);
    await writeFile(workspace.path('source', 'large'), noise('a file in git', 2_000_000));
    await git('-C', source, 'add', '.');
    await git('-C', source, 'commit', '-q', '-m', 'first');
    await git('clone', '-q', '--bare', source, workspace.path('forge', 'o', 'r.git'));
    await git('-C', workspace.path('forge', 'o', 'r.git'), 'config', 'http.receivepack', 'true');
    const pages = gitPages(workspace.path('forge'));
    site = await startSite({
      '/moved/r.git/info/refs': redirect(301, '/o/r.git/info/refs?service=git-upload-pack'),
      '*': pages,
    });
    workspace.defer(() => site.stop());
    entrepot = await startEntrepot(workspace, {
      mirrors: [{ name: 'github', prefix: '/github', upstream: site.url }],
    });
  });
  after(() => workspace.close());

  for (const [protocol, shallow] of [
    [0, false],
    [2, false],
    [2, true],
  ] as const) {
    test(`git clone${shallow ? ' --depth 1' : ''} by protocol ${protocol}`, async () => {
      const target = workspace.path(`clone-${protocol}-${shallow}`);
      const depth = shallow ? ['--depth', '1'] : [];
      await git(
        '-c',
        `protocol.version=${protocol}`,
        'clone',
        '-q',
        ...depth,
        `${entrepot.url}/github/o/r.git`,
        target,
      );
      const bytes = await readFile(`${target}/large`);
      assert.ok(bytes.equals(noise('a file in git', 2_000_000)));
      assert.ok(site.visits.some(({ method, url }) => method === 'POST' && url.endsWith('/git-upload-pack')));
    });
  }

  test('git clone of a repository that has moved stays on this server', async () => {
    const before = site.visits.length;
    await git('clone', '-q', `${entrepot.url}/github/moved/r.git`, workspace.path('moved'));
    assert.ok(site.visits.slice(before).some(({ url }) => url.startsWith('/o/r.git/')));
    assert.equal((await git('-C', workspace.path('moved'), 'log', '--format=%s')).trim(), 'first');
  });

  test('git fetch brings what is new, and git push what is mine, larger than git buffers', async () => {
    const clone = workspace.path('clone-push');
    await git('clone', '-q', `${entrepot.url}/github/o/r.git`, clone);
    await writeFile(`${clone}/more`, noise('more', 3_000_000));
    await git('-C', clone, 'add', '.');
    await git('-C', clone, 'commit', '-q', '-m', 'second');
    await git('-C', clone, 'push', '-q', 'origin', 'main');
    const other = workspace.path('clone-2-false');
    await git('-C', other, 'fetch', '-q');
    assert.equal((await git('-C', other, 'log', '-1', '--format=%s', 'origin/main')).trim(), 'second');
  });
});

describe('curl over a mirror route', needs('curl'), () => {
  let workspace: Workspace;
  let objects: ScriptedSite;
  let site: ScriptedSite;
  let entrepot: RunningEntrepot;
  const curl = (...args: readonly string[]): Promise<string> => check(['curl', '-fsS', '--noproxy', '*', ...args]);

  before(async () => {
    workspace = await Workspace.open();
    objects = await startSite({ '/asset': file(ASSET, { 'content-disposition': 'attachment; filename=tool.tar.gz' }) });
    workspace.defer(() => objects.stop());
    site = await startSite({
      '/o/r/releases/download/v1/tool.tar.gz': redirect(302, `${objects.url}/asset?X-Amz-Signature=1`),
      '/org/model/resolve/main/model.safetensors': redirect(302, `${objects.url}/asset?Signature=1`, {
        'x-repo-commit': '0123456789abcdef0123456789abcdef01234567',
        'x-linked-etag': '"sha256-of-the-file"',
        'x-linked-size': String(ASSET.length),
      }),
    });
    workspace.defer(() => site.stop());
    entrepot = await startEntrepot(workspace, {
      mirrors: [
        { name: 'github', prefix: '/github', upstream: site.url, cache: { immutable: ['/*/*/releases/download/**'] } },
        { name: 'hf', prefix: '/hf', upstream: site.url },
      ],
    });
  });
  after(() => workspace.close());

  test('a release, whole, under the name it has, and continued where it broke off', async () => {
    const target = workspace.path('downloads');
    await mkdir(target);
    const url = `${entrepot.url}/github/o/r/releases/download/v1/tool.tar.gz`;
    await curl('--output-dir', target, '-OJ', url);
    assert.ok((await readFile(`${target}/tool.tar.gz`)).equals(ASSET));
    await writeFile(`${target}/part`, ASSET.subarray(0, 1_234_567));
    await curl('-C', '-', '-o', `${target}/part`, url);
    assert.ok((await readFile(`${target}/part`)).equals(ASSET));
  });

  test('a model file the way its hub client asks: HEAD for what it is, then ranges of it', async () => {
    const url = `${entrepot.url}/hf/org/model/resolve/main/model.safetensors`;
    const head = await curl('-I', '-H', 'Accept-Encoding: identity', url);
    assert.match(head, /^HTTP\/1\.1 200 /);
    assert.match(head, /^x-repo-commit: 0123456789abcdef/im);
    assert.match(head, /^x-linked-etag: "sha256-of-the-file"/im);
    assert.match(head, new RegExp(`^content-length: ${ASSET.length}`, 'im'));
    const target = workspace.path('model');
    await curl('-r', '4000000-', '-o', target, url);
    assert.ok((await readFile(target)).equals(ASSET.subarray(4_000_000)));
  });
});
