import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { exportImages } from '../../src/cli/commands/carry/export.ts';
import { importBundles } from '../../src/cli/commands/carry/import-bundle.ts';
import { captureOutput } from '../support/capture-output.ts';
import {
  amd64,
  assertServes,
  at,
  blobAt,
  commands,
  image,
  layer,
  REPOSITORY,
  startIsolated,
  startSite,
} from '../support/carry-stage.ts';
import { buildImage, buildReferrer, platformOf, type TestImage } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { Gate, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Images out of one whole server into another, which has no upstream.

const run = promisify(execFile);

describe('carrying images away', () => {
  test('an isolated server serves what another exported, and says what it lacks', async (t) => {
    await using site = await startSite(t);
    const { upstream, files } = site;
    const here = await commands(site.mirror.dir, files);
    const exported = await here.export([`up/${REPOSITORY}:1.0`], 'bundle.tar');
    assert.equal(exported.code, 0, exported.err);
    assert.match(exported.out, /^Exported 1 image to bundle\.tar: \d+ blobs, /);
    for (const { digest } of image.blobs) assert.equal(upstream.blobBodies(digest).length, 1, upstream.journal());

    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    const before = await there.missing([`up/${REPOSITORY}:1.0`]);
    assert.equal(before.code, 1);
    assert.match(before.out, /^up\/team\/app:1\.0: nothing of it is stored\n0 of 1 image can be pulled/);
    const refused = await isolated.get(at('1.0'));
    assert.equal(refused.status, 404);
    assert.match(
      refused.body.toString(),
      /MANIFEST_UNKNOWN.*this server is offline and asks no upstream.*entrepot import/,
    );

    const imported = await there.import(['bundle.tar']);
    assert.equal(imported.code, 0, imported.err);
    assert.match(imported.out, /^Imported 1 image from .*bundle\.tar\.\n\d+ blobs stored/);
    await assertServes(isolated, image, '1.0');
    assert.equal((await there.missing([`up/${REPOSITORY}:1.0`])).code, 0);
    const other = await isolated.get(blobAt(`sha256:${'0'.repeat(64)}`));
    assert.equal(other.status, 404);
    assert.match(other.body.toString(), /BLOB_UNKNOWN.*offline/);

    const again = await there.import(['bundle.tar']);
    assert.equal(again.code, 0, again.err);
    assert.match(again.out, /^Imported 0 images from .*, 1 were there\.\n0 blobs stored \(0 B\), \d+ were there\.\n$/);
  });

  test('the same content makes the same bytes, and a plain tar reads them', async (t) => {
    await using site = await startSite(t);
    const { files } = site;
    const here = await commands(site.mirror.dir, files);
    const names = [`up/${REPOSITORY}:1.0`, `up/${REPOSITORY}@${image.index.digest}`];
    assert.equal((await here.export(names, 'one.tar')).code, 0);
    assert.equal((await here.export(names.toReversed(), 'two.tar')).code, 0);
    assert.ok((await readFile(join(files, 'one.tar'))).equals(await readFile(join(files, 'two.tar'))));
    await mkdir(join(files, 'layout'));
    await run('tar', ['-xf', join(files, 'one.tar'), '-C', join(files, 'layout')]);
    const index = JSON.parse(await readFile(join(files, 'layout/index.json'), 'utf8'));
    assert.deepEqual(
      index.manifests.map(
        ({ annotations }: { annotations: Record<string, string> }) => annotations['io.containerd.image.name'],
      ),
      names,
    );
    for (const { digest, bytes } of [...image.manifests, ...image.blobs]) {
      assert.ok((await readFile(join(files, 'layout/blobs', digest.replace(':', '/')))).equals(bytes));
    }
    assert.deepEqual((await readdir(files)).toSorted(), ['layout', 'one.tar', 'two.tar']);
  });

  test('without a server, a directory is exported from and imported into', async (t) => {
    await using site = await startSite(t);
    const { files, mirror } = site;
    const first = await commands(mirror.dir, files);
    assert.equal((await first.export([`up/${REPOSITORY}:1.0`], 'bundle.tar')).code, 0);
    const config = join(files, 'entrepot.yaml');
    await writeFile(config, 'registries: {up: {upstreams: ["http://127.0.0.1:9"]}}\n');
    const dir = join(files, 'cache');
    const alone = { flags: { config, cacheDir: dir } };
    const there = await commands(dir, files);
    const imported = await there.import(['bundle.tar'], alone);
    assert.equal(imported.code, 0, imported.err);
    assert.equal((await there.missing([`up/${REPOSITORY}:1.0`], alone)).code, 0);
    const refused = await there.export([`up/${REPOSITORY}:1.0`, `up/${REPOSITORY}:2.0`], 'no.tar', alone);
    assert.equal(refused.code, 1);
    assert.match(
      refused.err,
      /^up\/team\/app:2\.0: nothing of it is stored\nNothing was written: 1 image of 2 not whole here\. Start the server/,
    );
    const exported = await there.export([`up/${REPOSITORY}:1.0`], 'again.tar', alone);
    assert.equal(exported.code, 0, exported.err);
    assert.ok((await readFile(join(files, 'again.tar'))).equals(await readFile(join(files, 'bundle.tar'))));
    await using isolated = await startMirror(
      { registries: { up: { upstreams: ['http://127.0.0.1:9'] } }, offline: true },
      { dir },
    );
    await assertServes(isolated, image, '1.0');
  });

  test('platforms: the wanted ones are carried, and the others are said to be missing', async (t) => {
    await using site = await startSite(t);
    const { files, upstream } = site;
    const here = await commands(site.mirror.dir, files);
    const platform = ['linux/amd64'];
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`], 'amd64.tar', { platform })).code, 0);
    const arm64 = platformOf(image, 'arm64');
    for (const { digest } of arm64.layers) assert.equal(upstream.blobBodies(digest).length, 0);
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    assert.equal((await there.import(['amd64.tar'])).code, 0);
    for (const { digest, bytes } of [amd64.config, ...amd64.layers]) {
      assert.ok((await isolated.get(blobAt(digest))).body.equals(bytes));
    }
    assert.equal((await there.missing([`up/${REPOSITORY}:1.0`], { platform })).code, 0);
    const all = await there.missing([`up/${REPOSITORY}:1.0`]);
    assert.equal(all.code, 1);
    assert.match(all.out, new RegExp(`lacks 1 part.*\n {2}manifest ${arm64.manifest.digest.slice(0, 19)}`));
    const none = await here.export([`up/${REPOSITORY}:1.0`], 'none.tar', { platform: ['linux/s390x'] });
    assert.equal(none.code, 1);
    assert.match(none.err, /it has no image for linux\/s390x/);
  });

  test('signatures and other referrers go along', async (t) => {
    await using site = await startSite(t);
    const { files, upstream, mirror } = site;
    const artifact = ({ manifest, blobs }: ReturnType<typeof buildReferrer>): TestImage => ({
      index: manifest,
      platforms: [],
      manifests: [manifest],
      blobs,
    });
    const signature = buildReferrer(amd64.manifest, { artifactType: 'application/vnd.example.signature' });
    const native = buildReferrer(image.index, { artifactType: 'application/vnd.example.sbom' });
    const tag = `${image.index.digest.replace(':', '-')}.sig`;
    upstream.add(artifact(signature), REPOSITORY, [tag]);
    upstream.add(artifact(native), REPOSITORY);
    const here = await commands(mirror.dir, files);
    const exported = await here.export([`up/${REPOSITORY}:1.0`], 'signed.tar');
    assert.match(exported.out, /^Exported 1 image with 2 signatures and other referrers to signed\.tar/, exported.err);
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    assert.equal((await there.import(['signed.tar'])).code, 0);
    assert.ok((await isolated.get(at(tag))).body.equals(signature.manifest.bytes));
    assert.ok((await isolated.get(at(native.manifest.digest))).body.equals(native.manifest.bytes));
    const referrers = await isolated.get(`/up/v2/${REPOSITORY}/referrers/${image.index.digest}`);
    const { digest, mediaType, size } = native.manifest;
    const artifactType = 'application/vnd.example.sbom';
    assert.deepEqual(JSON.parse(referrers.body.toString()).manifests, [{ mediaType, digest, size, artifactType }]);
    const ofType = await isolated.get(`/up/v2/${REPOSITORY}/referrers/${image.index.digest}?artifactType=x/y`);
    assert.deepEqual(JSON.parse(ofType.body.toString()).manifests, []);
    assert.equal(ofType.headers['oci-filters-applied'], 'artifactType');
    const tags = await isolated.get(`/up/v2/${REPOSITORY}/tags/list?n=1`);
    assert.deepEqual(JSON.parse(tags.body.toString()), { name: REPOSITORY, tags: ['1.0'] });
    assert.match(String(tags.headers['link']), /n=1&last=1\.0>; rel="next"/);
    assert.equal((await isolated.get('/up/v2/team/other/tags/list')).status, 404);
    // An upstream that does not say costs the signatures, and no image.
    const mend = upstream.fault({ kind: 'referrers' }, { status: 503 });
    const without = await here.export([`up/${REPOSITORY}:1.0`], 'unsaid.tar');
    mend();
    assert.equal(without.code, 0);
    assert.match(without.err, /^up\/team\/app:1\.0: its upstream did not say what signatures it has/m);
  });
});

describe('what was fetched with a credential', () => {
  test('is public after the import where its upstream shows it without one, and private elsewhere', async (t) => {
    const files = await mkdtemp(join(tmpdir(), 'carry-'));
    t.after(() => rm(files, { recursive: true, force: true }));
    const user = { username: 'ci', password: 'secret' };
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials: user });
    upstream.add(image, REPOSITORY, ['1.0']);
    const upstreams = [{ url: upstream.url, credentials: user }];
    await using mirror = await startMirror({ registries: { up: { upstreams } } });
    const here = await commands(mirror.dir, files);
    assert.equal((await here.warm([`up/${REPOSITORY}:1.0`])).code, 0);
    const visibility = async (file: string): Promise<unknown> => {
      assert.equal((await here.export([`up/${REPOSITORY}:1.0`], file)).code, 0);
      const index = (await run('tar', ['-xOf', join(files, file), 'index.json'])).stdout;
      return JSON.parse(index).manifests[0].annotations['io.entrepot.visibility'];
    };
    assert.equal(await visibility('shown.tar'), undefined);
    await mirror.reload({ registries: { up: { upstreams } }, offline: true });
    assert.equal(await visibility('offline.tar'), 'private');
  });
});

describe('while it is under way', () => {
  test('nothing that an export holds is evicted, until it ends', async (t) => {
    await using site = await startSite(t);
    const { mirror, files } = site;
    const here = await commands(mirror.dir, files);
    assert.equal((await here.warm([`up/${REPOSITORY}:1.0`])).code, 0);
    const socket = controlSocketPath(mirror.dir);
    const { id } = await callControl(socket, OPERATIONS.carryBegin, {});
    const input = { id, images: [`up/${REPOSITORY}:1.0`], platforms: ['linux/amd64'] };
    const { images } = await callControl(socket, OPERATIONS.carryPlan, { input });
    assert.equal(images[0]?.complete, true);
    await mirror.reload({
      registries: { up: { upstreams: [site.upstream.url] } },
      cache: { tags: { fresh_for: '0s' } },
    });
    const evict = async () =>
      (await callControl(socket, OPERATIONS.gc, { input: { dryRun: false, maxSize: 0 } })).evicted;
    const first = await evict();
    const held = new Set<string>(
      [image.index, amd64.manifest, amd64.config, ...amd64.layers].map(({ digest }) => digest),
    );
    assert.ok(first.length > 0);
    assert.deepEqual(
      first.filter(({ digest }) => held.has(digest)),
      [],
    );
    assert.deepEqual(await callControl(socket, OPERATIONS.carryEnd, { input: { id } }), { on: true });
    assert.equal((await evict()).length, held.size);
    assert.deepEqual(await callControl(socket, OPERATIONS.carryRenew, { input: { id } }), { on: false });
    await assert.rejects(callControl(socket, OPERATIONS.carryPlan, { input }), /it has ended/);
  });

  test('a server that restarts goes on to warm what a command waits for', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'carry-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    await using upstream = await startScriptedUpstream();
    upstream.add(image, REPOSITORY, ['1.0']);
    const registries = { up: { upstreams: [upstream.url] } };
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate, times: 1 });
    const first = await startMirror({ registries }, { dir });
    const here = await commands(dir, dir);
    const warming = here.warm([`up/${REPOSITORY}:1.0`]);
    await stallGate.arrived();
    await first.stop();
    stallGate.open();
    await using second = await startMirror({ registries }, { dir });
    const { code, err } = await warming;
    assert.equal(code, 0, err);
    assert.match(err, /The server has stopped\. Waiting for it to start again\./);
    await assertServes(second, image, '1.0');
  });

  test('an import that is interrupted records nothing, and goes on', async (t) => {
    await using site = await startSite(t);
    const { files, mirror } = site;
    const here = await commands(mirror.dir, files);
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`], 'bundle.tar')).code, 0);
    await using isolated = await startIsolated();
    const { output, said } = captureOutput();
    const options = { flags: { cacheDir: isolated.dir }, files: [join(files, 'bundle.tar')] };
    const interrupt = AbortSignal.abort(new Error('interrupted'));
    assert.equal(await importBundles(options, { output, isTerminal: false, cwd: files, interrupt }), 130);
    assert.match(said.err, /An image is recorded whole or not at all/);
    assert.equal((await isolated.get(at('1.0'))).status, 404);
    const there = await commands(isolated.dir, files);
    assert.equal((await there.import(['bundle.tar'])).code, 0);
    await assertServes(isolated, image, '1.0');
    const exporting = exportImages(
      { flags: { cacheDir: mirror.dir }, images: [`up/${REPOSITORY}:1.0`], output: 'other.tar' },
      { output, isTerminal: false, cwd: files, interrupt },
    );
    assert.equal(await exporting, 130);
    assert.deepEqual(await readdir(files), ['bundle.tar']);
  });
});

describe('what is wrong with a bundle', () => {
  /** A bundle of two images, and where the bytes of a blob begin in it. */
  async function bundleOf(t: TestContext) {
    const site = await startSite(t);
    const other = buildImage({ seed: 'other', layers: [10_000], architectures: ['amd64'] });
    site.upstream.add(other, REPOSITORY, ['other']);
    const here = await commands(site.mirror.dir, site.files);
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`, `up/${REPOSITORY}:other`], 'bundle.tar')).code, 0);
    const bytes = await readFile(join(site.files, 'bundle.tar'));
    return { site, other, bytes, file: join(site.files, 'bundle.tar') };
  }

  test('a flipped byte is refused by the name of its digest, and nothing of its image is recorded', async (t) => {
    const { site, other, bytes, file } = await bundleOf(t);
    await using _ = site;
    const handle = await open(file, 'r+');
    const position = bytes.indexOf(layer.bytes) + 1000;
    await handle.write(Buffer.from([(bytes[position] ?? 0) ^ 1]), 0, 1, position);
    await handle.close();
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, site.files);
    const imported = await there.import(['bundle.tar']);
    assert.equal(imported.code, 1);
    assert.ok(imported.out.startsWith(`up/${REPOSITORY}:1.0: ${layer.digest} is damaged in the bundle`), imported.out);
    assert.match(imported.out, /Imported 1 image from .*1 image refused: nothing of it was recorded\.\n$/s);
    for (const path of [at('1.0'), at(image.index.digest), at(amd64.manifest.digest), blobAt(amd64.config.digest)]) {
      assert.equal((await isolated.get(path)).status, 404, path);
    }
    await assertServes(isolated, other, 'other');
    // A right copy mends it.
    await writeFile(file, bytes);
    assert.equal((await there.import(['bundle.tar'])).code, 0);
    await assertServes(isolated, image, '1.0');
  });

  test('a bundle that ends early records nothing', async (t) => {
    const { site, bytes, file } = await bundleOf(t);
    await using _ = site;
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, site.files);
    for (const size of [bytes.length - 1024, bytes.indexOf(layer.bytes) + 1000, 600]) {
      await writeFile(file, bytes);
      await truncate(file, size);
      const imported = await there.import(['bundle.tar']);
      assert.equal(imported.code, 1);
      assert.match(imported.err, /it ends before the end of a tar archive|it has no /);
      assert.equal((await isolated.get(at('1.0'))).status, 404);
    }
  });

  test('links and paths out of the layout are refused, or passed over', async (t) => {
    const files = await mkdtemp(join(tmpdir(), 'carry-'));
    t.after(() => rm(files, { recursive: true, force: true }));
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    const layout = join(files, 'layout');
    await mkdir(layout);
    await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const entry = { mediaType: image.index.mediaType, digest: image.index.digest, size: image.index.size };
    const named = (name: string) => ({ ...entry, annotations: { 'io.containerd.image.name': name } });
    const rows: readonly (readonly [what: string, manifests: unknown, expected: RegExp])[] = [
      ['no name', [entry], /it has no full name/],
      [
        'a tag alone',
        [{ ...entry, annotations: { 'org.opencontainers.image.ref.name': '1.0' } }],
        /it has no full name/,
      ],
      [
        'another registry',
        [named('elsewhere.example.com/a/b:1')],
        /elsewhere\.example\.com is no registry of this server/,
      ],
      ['another digest', [named(`up/${REPOSITORY}@sha256:${'1'.repeat(64)}`)], /its name has another digest/],
      ['a pattern', [named('up/**')], /is not one image/],
      ['nothing of it', [named(`up/${REPOSITORY}:1.0`)], /is neither in the bundle nor here/],
      ['a text', 'x', /its index\.json has no list/],
      ['no digest', [{ ...named('up/a:1'), digest: '../../etc/passwd' }], /it has no sha256 or sha512 digest/],
    ];
    for (const [what, manifests, expected] of rows) {
      await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
      await run('tar', ['-cf', join(files, 'made.tar'), '-C', layout, '.']);
      const { code, out, err } = await there.import(['made.tar']);
      assert.equal(code, 1, what);
      assert.match(out + err, expected, what);
    }
    await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }));
    await run('ln', ['-s', '/etc/passwd', join(layout, 'index')]);
    await run('tar', ['-cf', join(files, 'linked.tar'), '-C', layout, '.']);
    const linked = await there.import(['linked.tar']);
    assert.equal(linked.code, 1);
    assert.match(linked.err, /it has a link or a device among its files/);
  });

  test('an older bundle moves no tag back', async (t) => {
    await using site = await startSite(t);
    const { files, upstream, mirror } = site;
    const here = await commands(mirror.dir, files);
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`], 'old.tar')).code, 0);
    const newer = buildImage({ seed: 'newer', layers: [10_000], architectures: ['amd64'] });
    upstream.add(newer, REPOSITORY, ['1.0']);
    await mirror.reload({ registries: { up: { upstreams: [upstream.url] } }, cache: { tags: { fresh_for: '0s' } } });
    assert.ok((await mirror.get(at('1.0'))).body.equals(newer.index.bytes));
    const imported = await here.import(['old.tar']);
    assert.equal(imported.code, 0, imported.err);
    assert.match(imported.out, /1 left as they are, since an upstream confirmed them later than the bundle/);
    assert.ok((await mirror.get(at('1.0'))).body.equals(newer.index.bytes));
  });

  test('a bundle is told from a configuration, and not imported beside one', async (t) => {
    await using site = await startSite(t);
    const { files } = site;
    const here = await commands(site.mirror.dir, files);
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`], 'bundle.tar')).code, 0);
    await copyFile(join(files, 'bundle.tar'), join(files, 'config.yaml'));
    assert.equal((await here.import(['config.yaml'])).code, 0);
    await writeFile(join(files, 'other.yaml'), 'listen: :1\n');
    assert.equal((await here.import(['bundle.tar', 'other.yaml'])).code, 2);
    assert.equal((await here.import(['bundle.tar'], { isForConfiguration: true })).code, 2);
  });
});

describe('offline', () => {
  test('serves stale tags with a warning, fetches nothing, and ends with a reload', async (t) => {
    await using site = await startSite(t, { cache: { tags: { fresh_for: '0s' } } });
    const { mirror, upstream, files } = site;
    const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
    const mirrors = [{ name: 'files', prefix: '/files', upstream: upstream.url }];
    const cache = { tags: { fresh_for: '0s' } };
    assert.equal((await mirror.get(at('1.0'))).status, 200);
    const reloaded = await mirror.reload({ registries, cache, mirrors, offline: true });
    assert.notEqual(reloaded.outcome, 'refused');
    upstream.forget();
    for (let time = 0; time < 3; time += 1) {
      const stale = await mirror.get(at('1.0'));
      assert.equal(stale.status, 200);
      assert.ok(stale.body.equals(image.index.bytes));
      assert.match(
        String(stale.headers['warning']),
        /this server is offline and asks no upstream; serving what hub said before/,
      );
    }
    for (const [path, status] of [
      [at('latest'), 404],
      [blobAt(layer.digest), 404],
      ['/up/v2/team/other/tags/list', 404],
      ['/up/v2/_catalog', 404],
      ['/files/some/file', 404],
    ] as const) {
      const answer = await mirror.get(path);
      assert.equal(answer.status, status, path);
      assert.match(answer.body.toString(), /offline/, path);
    }
    const here = await commands(mirror.dir, files);
    const warmed = await here.warm([`up/${REPOSITORY}:latest`]);
    assert.equal(warmed.code, 1);
    assert.match(warmed.err, /this server is offline/);
    const checked = callControl(controlSocketPath(mirror.dir), OPERATIONS.registryCheck, { input: { name: 'up' } });
    await assert.rejects(checked, /this server is offline/);
    const refreshed = await callControl(controlSocketPath(mirror.dir), OPERATIONS.refresh, {
      input: { patterns: [`up/${REPOSITORY}:1.0`] },
    });
    assert.match(refreshed.tags[0]?.error ?? '', /this server is offline/);
    assert.equal(upstream.count(), 0, upstream.journal());
    await mirror.reload({ registries, cache });
    assert.equal((await mirror.get(at('latest'))).status, 200);
    assert.equal((await mirror.get(at('1.0'))).headers['warning'], undefined);
  });
});
