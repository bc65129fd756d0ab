import assert from 'node:assert/strict';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileHeader } from '../../src/bundle/tar-header.ts';
import { exportImages } from '../../src/cli/commands/carry/export.ts';
import { importBundles, lookAtFiles } from '../../src/cli/commands/carry/import-bundle.ts';
import { captureOutput } from '../support/capture-output.ts';
import { assertServes, at, commands, image, REPOSITORY, startIsolated, startSite } from '../support/carry-stage.ts';
import { buildImage } from '../support/image.ts';

// Bundles that leave out what an earlier one has, and bundles that go through a pipe.

describe('a delta', () => {
  test('leaves out what the earlier bundle has, and is refused without it', async (t) => {
    await using site = await startSite(t);
    const { files, upstream } = site;
    const here = await commands(site.mirror.dir, files);
    const large = buildImage({ seed: 'large', layers: [2_000_000], architectures: ['amd64'] });
    upstream.add(large, REPOSITORY, ['monday']);
    assert.equal((await here.export([`up/${REPOSITORY}:monday`], 'monday.tar')).code, 0);
    upstream.add(image, REPOSITORY, ['friday']);
    const names = [`up/${REPOSITORY}:monday`, `up/${REPOSITORY}:friday`];
    const delta = await here.export(names, 'friday.tar', { since: 'monday.tar' });
    assert.equal(delta.code, 0, delta.err);
    assert.match(delta.out, /2 blobs left out, as monday\.tar has them: import that bundle first\.\n$/);
    assert.ok((await stat(join(files, 'friday.tar'))).size < 1_000_000);
    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    const early = await there.import(['friday.tar']);
    assert.equal(early.code, 1);
    assert.match(
      early.out,
      /^up\/team\/app:monday: sha256:\w+ is neither in the bundle nor here: it is in the earlier bundle/,
    );
    assert.match(early.out, /Imported 1 image from .*friday\.tar\./);
    assert.equal((await isolated.get(at('monday'))).status, 404);
    const both = await there.import(['monday.tar', 'friday.tar']);
    assert.equal(both.code, 0, both.out);
    await assertServes(isolated, large, 'monday');
    await assertServes(isolated, image, 'friday');
    const same = await here.export(names, 'monday.tar', { since: 'monday.tar' });
    assert.equal(same.code, 1);
    assert.match(same.err, /is the earlier bundle; write the new one to another file/);
  });

  test('of an image with one new layer of twenty is a tenth as large as the whole, and makes the image of it', async (t) => {
    await using site = await startSite(t);
    const { files, upstream } = site;
    // The same seed and size make the same layer.
    const sizes = Array.from({ length: 20 }, () => 100_000);
    const architectures = ['amd64'];
    const monday = buildImage({ seed: 'twenty', layers: sizes, architectures });
    const friday = buildImage({ seed: 'twenty', layers: sizes.with(12, 100_001), architectures });
    const same = friday.blobs.filter(({ digest }) => monday.blobs.some((each) => each.digest === digest));
    assert.equal(same.length, 19);
    const here = await commands(site.mirror.dir, files);
    const name = `up/${REPOSITORY}:app`;
    upstream.add(monday, REPOSITORY, ['app']);
    assert.equal((await here.export([name], 'monday.tar')).code, 0);
    await site.mirror.reload({
      registries: { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } },
      cache: { tags: { fresh_for: '0s' } },
    });
    upstream.add(friday, REPOSITORY, ['app']);
    assert.equal((await here.warm([name])).code, 0);
    assert.equal((await here.export([name], 'whole.tar')).code, 0);
    const delta = await here.export([name], 'friday.tar', { since: 'monday.tar' });
    assert.equal(delta.code, 0, delta.err);
    assert.match(delta.out, /19 blobs left out, as monday\.tar has them: import that bundle first\.\n$/);
    const [whole, part] = await Promise.all(
      ['whole.tar', 'friday.tar'].map(async (file) => (await stat(join(files, file))).size),
    );
    assert.ok(whole !== undefined && part !== undefined && part <= whole / 10, `${part} of ${whole} bytes`);
    t.diagnostic(`${part} of ${whole} bytes: ${(part / whole).toFixed(3)}`);

    await using isolated = await startIsolated();
    const there = await commands(isolated.dir, files);
    const early = await there.import(['friday.tar']);
    assert.equal(early.code, 1);
    const [, lacking = ''] = /^up\/team\/app:app: (sha256:\w+) is neither in the bundle nor here/.exec(early.out) ?? [];
    assert.ok(
      same.some(({ digest }) => digest === lacking),
      early.out,
    );
    assert.match(early.out, /it is in the earlier bundle; import that one first\n/);
    assert.equal((await isolated.get(at('app'))).status, 404);
    assert.equal((await there.import(['monday.tar'])).code, 0);
    await assertServes(isolated, monday, 'app');
    assert.equal((await there.import(['friday.tar'])).code, 0);
    await assertServes(isolated, friday, 'app');
  });
});

/** As the system's own pipes do, it copies what it takes. */
function pipeOf(): Transform {
  return new Transform({ transform: (chunk: Buffer, _, done) => done(null, Buffer.from(chunk)) });
}

describe('a pipe', () => {
  test('carries a bundle from one server to another, and standard output has nothing else', async (t) => {
    await using site = await startSite(t);
    await using isolated = await startIsolated();
    const here = await commands(site.mirror.dir, site.files);
    const [from, to] = [captureOutput(), captureOutput()];
    const pipe = pipeOf();
    const images = [`up/${REPOSITORY}:1.0`];
    const exporting = exportImages(
      { flags: { cacheDir: site.mirror.dir }, images, output: '-' },
      { output: from.output, isTerminal: false, cwd: site.files, stdout: pipe },
    ).finally(() => pipe.end());
    const looked = await lookAtFiles(['-'], { stdin: pipe });
    assert.equal(looked.areBundles, true);
    const importing = importBundles(
      { flags: { cacheDir: isolated.dir }, files: ['-'] },
      { output: to.output, isTerminal: false, stdin: looked.stdin },
    );
    assert.deepEqual(await Promise.all([exporting, importing]), [0, 0], from.said.err + to.said.err);
    assert.equal(from.said.out, '');
    assert.match(from.said.err, /Exported 1 image to standard output: \d+ blobs, /);
    assert.match(to.said.out, /^Imported 1 image from standard input\.\n/);
    await assertServes(isolated, image, '1.0');
    // The same bytes as in a file.
    assert.equal((await here.export(images, 'bundle.tar')).code, 0);
    const again = pipeOf();
    const bytes = buffer(again);
    const options = { flags: { cacheDir: site.mirror.dir }, images, output: '-', json: true };
    assert.equal(await exportImages(options, { output: from.output, isTerminal: false, stdout: again }), 0);
    again.end();
    assert.equal((await bytes).length, (await stat(join(site.files, 'bundle.tar'))).size);
  });

  test('that breaks off is refused at its other end, and a reader that ends is said', async (t) => {
    await using site = await startSite(t);
    await using isolated = await startIsolated();
    const { output, said } = captureOutput();
    // More than what is on its way at once.
    const large = buildImage({ seed: 'broken off', layers: [6_000_000], architectures: ['amd64'] });
    site.upstream.add(large, REPOSITORY, ['large']);
    const images = [`up/${REPOSITORY}:large`];
    const pipe = pipeOf();
    const flags = { cacheDir: site.mirror.dir };
    pipe.on('error', () => undefined);
    const exporting = exportImages({ flags, images, output: '-' }, { output, isTerminal: false, stdout: pipe });
    const start: Buffer[] = [];
    for await (const chunk of pipe) {
      start.push(chunk as Buffer);
      break;
    }
    assert.equal(await exporting, 1);
    assert.match(said.err, /standard output: its reader has ended\n$/);
    const cut = Readable.from([Buffer.concat(start).subarray(0, 100_000)]);
    const into = { flags: { cacheDir: isolated.dir }, files: ['-'] };
    assert.equal(await importBundles(into, { output, isTerminal: false, stdin: cut }), 1);
    assert.match(said.err, /it ends before the end of a tar archive; copy it again/);
    assert.equal((await isolated.get(at('large'))).status, 404);
  });

  test('that has nothing to say can be interrupted', async () => {
    await using isolated = await startIsolated();
    const { output, said } = captureOutput();
    const interrupt = new AbortController();
    // A header says that it is a bundle, and the rest of it does not come.
    const silent = new PassThrough({ highWaterMark: 1 });
    const taken = once(silent, 'drain');
    silent.write(fileHeader('oci-layout', 5000));
    const importing = importBundles(
      { flags: { cacheDir: isolated.dir }, files: ['-'] },
      { output, isTerminal: false, stdin: silent, interrupt: interrupt.signal },
    );
    await taken;
    interrupt.abort();
    assert.equal(await importing, 130);
    assert.match(said.err, /^Interrupted\./);
    assert.equal(silent.destroyed, true);
  });

  test('is read once, is told from a configuration, and goes to no terminal', async (t) => {
    await using site = await startSite(t);
    const { output, said } = captureOutput();
    const flags = { cacheDir: site.mirror.dir };
    const bundle = join(site.files, 'bundle.tar');
    const here = await commands(site.mirror.dir, site.files);
    assert.equal((await here.export([`up/${REPOSITORY}:1.0`], 'bundle.tar')).code, 0);
    assert.equal(await importBundles({ flags, files: [bundle, '-', '-'] }, { output, isTerminal: false }), 2);
    assert.match(said.err, /standard input can be read once/);
    for (const text of ['', 'listen: :5000\n', 'x'.repeat(600)]) {
      const { areBundles, stdin } = await lookAtFiles(['-'], { stdin: Readable.from([Buffer.from(text)]) });
      assert.equal(areBundles, false);
      assert.equal((await buffer(stdin)).toString(), text);
    }
    await writeFile(join(site.files, 'other.yaml'), 'listen: :1\n');
    const mixed = { flags, files: ['-', join(site.files, 'other.yaml')] };
    const stdin = Readable.from([Buffer.from('listen: :5000\n')]);
    assert.equal(await importBundles(mixed, { output, isTerminal: false, stdin }), 2);
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    const shown = { flags, images: [`up/${REPOSITORY}:1.0`], output: '-' };
    assert.equal(await exportImages(shown, { output, isTerminal: true, stdout: terminal }), 2);
    assert.match(said.err, /a terminal takes no bundle; name a file with -o/);
    assert.equal(terminal.readableLength, 0);
  });
});
