import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from '../oci/index.ts';
import { blobsOfBundle } from './earlier.ts';
import { BundleError } from './error.ts';
import { digestOfPath, formatDelta, formatIndex, parseIndex, pathOfDigest } from './layout.ts';
import { endOfArchive, fileHeader, isTar, padding, readHeader, readPax } from './tar-header.ts';
import { readTar } from './tar-reader.ts';

interface File {
  readonly path: string;
  readonly content: Buffer;
}

function archiveOf(files: readonly File[]): Buffer {
  const parts = files.flatMap(({ path, content }) => [
    fileHeader(path, content.length),
    content,
    padding(content.length),
  ]);
  return Buffer.concat([...parts, endOfArchive()]);
}

/** A stream that comes in pieces of the given sizes, again and again. */
async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void> {
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function filesIn(bytes: Buffer, sizes: readonly number[] = [1000]): Promise<readonly File[]> {
  const found: File[] = [];
  for await (const { path, kind, content } of readTar(inPieces(bytes, sizes))) {
    const parts: Buffer[] = [];
    for await (const part of content()) parts.push(Buffer.from(part));
    if (kind === 'file') found.push({ path, content: Buffer.concat(parts) });
  }
  return found;
}

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tar-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

describe('tar archives', () => {
  test('what is written is read again, however the stream is cut', async () => {
    const path = fc.oneof(
      fc.constant(`blobs/sha512/${'a'.repeat(128)}`),
      fc.stringMatching(/^[a-z]{1,30}(?:\/[a-z]{1,80}){0,3}$/),
    );
    const file = fc.record(
      { path, content: fc.uint8Array({ maxLength: 1600 }).map((bytes) => Buffer.from(bytes)) },
      { noNullPrototype: true },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 4 }),
        async (files, sizes) => assert.deepEqual(await filesIn(archiveOf(files), sizes), files),
      ),
    );
  });

  test('a content that is not read is passed over', async () => {
    const files = [
      { path: 'one', content: Buffer.alloc(5000, 1) },
      { path: 'two', content: Buffer.from('2') },
    ];
    const paths: string[] = [];
    for await (const { path } of readTar(inPieces(archiveOf(files), [700]))) paths.push(path);
    assert.deepEqual(paths, ['one', 'two']);
  });

  test('tar itself reads what is written, and writes what is read', async (t) => {
    const directory = await directoryOf(t);
    const long = `blobs/sha512/${'b'.repeat(128)}`;
    const files = [
      { path: 'oci-layout', content: Buffer.from('{}') },
      { path: long, content: Buffer.from('layer') },
    ];
    await writeFile(join(directory, 'ours.tar'), archiveOf(files));
    execFileSync('tar', ['-xf', 'ours.tar'], { cwd: directory });
    assert.equal(await readFile(join(directory, long), 'utf8'), 'layer');
    for (const format of ['gnu', 'pax', 'ustar']) {
      const names = format === 'ustar' ? ['oci-layout'] : ['oci-layout', long];
      execFileSync('tar', [`--format=${format}`, '-cf', 'theirs.tar', ...names], { cwd: directory });
      const bytes = await readFile(join(directory, 'theirs.tar'));
      assert.deepEqual(await filesIn(bytes), files.slice(0, names.length), format);
      assert.equal(isTar(bytes), true);
    }
  });

  test('a size of more than eight gibibytes is in a pax header', () => {
    const size = 20 * 1024 ** 3;
    const header = fileHeader('blobs/sha256/x', size);
    assert.equal(header.length, 3 * 512);
    assert.equal(readHeader(header.subarray(0, 512))?.kind, 'pax');
    const content = header.subarray(512, 512 + (readHeader(header.subarray(0, 512))?.size ?? 0));
    assert.deepEqual(readPax(content), { size });
    assert.equal(fileHeader('blobs/sha256/x', 8 ** 11 - 1).length, 512);
  });

  test('pax records count their own length, also where it grows by a digit', () => {
    for (let length = 101; length < 1100; length += 1) {
      const path = 'p'.repeat(length);
      const header = fileHeader(path, 0);
      const { size = 0 } = readHeader(header.subarray(0, 512)) ?? {};
      assert.equal(readPax(header.subarray(512, 512 + size)).path, path);
    }
  });

  describe('that are broken are refused', () => {
    const good = archiveOf([{ path: 'a', content: Buffer.from('abc') }]);
    const withHeader = (change: (header: Buffer) => void): Buffer => {
      const bytes = Buffer.from(good);
      change(bytes.subarray(0, 512));
      let sum = 0;
      for (let index = 0; index < 512; index += 1) sum += index >= 148 && index < 156 ? 32 : (bytes[index] ?? 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      return bytes;
    };
    const paxOf = (text: string): Buffer => {
      const content = Buffer.from(text);
      const header = withHeader((block) => {
        block.write('x', 156, 'latin1');
        block.write(content.length.toString(8).padStart(11, '0'), 124, 'latin1');
      }).subarray(0, 512);
      return Buffer.concat([header, content, padding(content.length), good]);
    };
    for (const [what, bytes, message] of [
      ['nothing', Buffer.alloc(0), /ends before the end/],
      ['no archive', Buffer.alloc(2000, 65), /wrong checksum|no number/],
      ['without an end', good.subarray(0, 1024), /ends before the end/],
      ['cut in a content', good.subarray(0, 513), /ends before the end/],
      ['a size that is no number', withHeader((block) => block.write('hello', 124, 'latin1')), /has no number/],
      [
        'a size beyond any',
        withHeader((block) => Buffer.from([0x80, ...Array.from({ length: 11 }, () => 255)]).copy(block, 124)),
        /size is too large/,
      ],
      ['a pax header of a wrong length', paxOf('99 path=x\n'), /wrong length/],
      ['a pax header without a length', paxOf('path=x\n'), /wrong length/],
      ['a pax header of length nought', paxOf('0 path=x\n'), /wrong length/],
      ['a pax header with a wrong size', paxOf('11 size=-1\n'), /wrong size/],
      ['a pax header of megabytes', paxOf('x'.repeat(70_000)), /more than 64 KiB/],
    ] as const) {
      test(what, async () => {
        await assert.rejects(
          () => filesIn(bytes),
          (error) => error instanceof BundleError && message.test(error.message),
        );
      });
    }

    test('any bytes are read or refused', async () => {
      const change = fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }));
      await fc.assert(
        fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          await filesIn(bytes).catch((error: unknown) => assert.ok(error instanceof BundleError, String(error)));
        }),
      );
    });
  });
});

describe('the layout', () => {
  const digest = digestOf(Buffer.from('x'), 'sha256');

  test('only blobs/<algorithm>/<hex> is a blob', () => {
    assert.equal(digestOfPath(pathOfDigest(digest)), digest);
    const hex = digest.slice(7);
    for (const path of [
      `blobs/sha256/../${hex}`,
      `/blobs/sha256/${hex}`,
      `blobs/sha256/${hex}/x`,
      `blobs/md5/${hex}`,
      `blobs/sha256/${hex.toUpperCase()}`,
      `blobs/sha512/${hex}`,
      '../x',
      '',
    ]) {
      assert.equal(digestOfPath(path), undefined, path);
    }
  });

  test('an index that is written is read again', () => {
    const entry = {
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: 3,
      visibility: 'private',
      confirmedAt: Date.UTC(2026, 1, 2),
      repository: 'docker.io/a/b',
    } as const;
    const entries = [
      { ...entry, name: 'docker.io/a/b:1' },
      { ...entry, name: undefined },
    ];
    assert.deepEqual(parseIndex(JSON.parse(formatIndex(entries).toString())), entries);
  });

  test('the blobs of an earlier bundle are its own and those that it left out itself', async (t) => {
    const directory = await directoryOf(t);
    const other = digestOf(Buffer.from('y'), 'sha512');
    const file = join(directory, 'earlier.tar');
    const own = [
      { path: 'index.json', content: formatIndex([]) },
      { path: 'entrepot-delta.json', content: formatDelta([other]) },
      { path: `./${pathOfDigest(digest)}`, content: Buffer.from('x') },
    ];
    await writeFile(file, archiveOf(own));
    assert.deepEqual([...(await blobsOfBundle(file))].toSorted(), [digest, other].toSorted());
    await writeFile(file, archiveOf(own.slice(1)));
    await assert.rejects(() => blobsOfBundle(file), /earlier\.tar: it has no index\.json, expected a bundle/);
    await writeFile(file, archiveOf(own).subarray(0, 700));
    await assert.rejects(() => blobsOfBundle(file), /ends before the end/);
    await writeFile(file, archiveOf([{ path: 'entrepot-delta.json', content: Buffer.from('{"version":2}') }]));
    await assert.rejects(() => blobsOfBundle(file), /or of a newer release/);
    await assert.rejects(() => blobsOfBundle(join(directory, 'gone')), /there is no such file/);
  });
});
