import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { Agent, createServer, get, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { MEDIA_TYPES } from '../../src/oci/index.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { memoryDirectory } from '../support/temporary.ts';

// Clients choose what is asked for, and every answer leaves rows: none of the tables may grow beyond its bound for it.

const LAYERS = 2500;

/** Rows take ten mebibytes at most, of which pages are filled to about two thirds; and the log has four. */
const MOST = 20 * 1024 ** 2;

/** As long as names may be, so that few requests fill a table. */
const LONG = `${'a'.repeat(110)}/${'b'.repeat(110)}`;

const sha = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const CONFIG = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha('config'), size: 6 };

/** A manifest of so many layers that no other has, none of which is ever pulled. */
function manifestOf(name: string, layers: number): Buffer {
  const listed = Array.from({ length: layers }, (_, i) => {
    return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha(`${name}/${i}`), size: i };
  });
  const value = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: CONFIG, layers: listed };
  return Buffer.from(JSON.stringify(value));
}

/** Has every tag, and a manifest of many layers under each. */
const registry: RequestListener = (request, response) => {
  const bytes = manifestOf(request.url ?? '', LAYERS);
  response.writeHead(200, {
    'content-type': MEDIA_TYPES.ociManifest,
    'docker-content-digest': sha(bytes),
    'content-length': bytes.length,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
};

/** Has a file under every path, and the same few bytes under many of them. */
const site: RequestListener = (request, response) => {
  const bytes = Buffer.from(`file ${Number(/^\/(\d+)/.exec(request.url ?? '')?.[1]) % 3}`);
  response.writeHead(200, { etag: `"${sha(bytes)}"`, 'content-length': bytes.length, 'cache-control': 'max-age=600' });
  response.end(request.method === 'HEAD' ? undefined : bytes);
};

describe('a cache of ten megabytes', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const servers = [createServer(registry), createServer(site)];
  let workspace: Workspace;
  let mirror: Mirror;

  before(async () => {
    workspace = await Workspace.open(memoryDirectory());
    const urls = [];
    for (const server of servers) {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
    const config = {
      cache: { max_size: '10MB', tags: { fresh_for: '0s' } },
      registries: { up: { upstreams: [urls[0]] } },
      mirrors: [{ name: 'files', prefix: '/files', upstream: urls[1] }],
    };
    mirror = await startMirror(config, { dir: workspace.path('cache') });
  });
  after(async () => {
    await mirror.stop();
    await workspace.close();
    agent.destroy();
    for (const server of servers) {
      server.closeAllConnections();
      await once(server.close(), 'close');
    }
  });

  /** Asks for each path, sixteen at a time. */
  async function ask(paths: readonly string[]): Promise<void> {
    await Promise.all(
      paths.map(async (path) => {
        const [response] = await once(get(`${mirror.url}${path}`, { agent }), 'response');
        assert.equal(response.statusCode, 200);
        response.resume();
        await once(response, 'end');
      }),
    );
  }

  /** The rows of a table, and the bytes of the database with its log. */
  async function measure(table: string): Promise<{ readonly rows: number; readonly bytes: number }> {
    // It answers when the work on earlier requests is done.
    await gc({ flags: { cacheDir: mirror.dir }, json: true }, { out: () => {}, err: () => {} });
    const file = join(mirror.dir, 'names.db');
    const database = new DatabaseSync(file, { readOnly: true });
    const rows = Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.['rows']);
    database.close();
    const sizes = await Promise.all([file, `${file}-wal`].map(async (each) => (await stat(each)).size));
    return { rows, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  }

  test('bounds the digests of repositories, which manifests of many layers fill', async () => {
    const paths = Array.from({ length: 12 }, (_, i) => `/up/v2/${LONG}/manifests/large-${i}`);
    await ask(paths);
    const { rows, bytes } = await measure('members');
    assert.ok(rows > 0 && rows < (12 * LAYERS) / 2, `${rows} rows`);
    assert.ok(bytes < MOST, `${bytes} bytes`);
  });

  test('bounds the URLs of mirrored sites, a thousand for each body', async () => {
    const tail = 'u'.repeat(3900);
    await ask(Array.from({ length: 1300 }, (_, i) => `/files/${i}/${tail}`));
    const urls = await measure('urls');
    assert.ok(urls.rows > 100, `${urls.rows} rows`);
    assert.ok(urls.bytes < MOST, `${urls.bytes} bytes`);
  });

  test('has no table but those', () => {
    const database = new DatabaseSync(join(mirror.dir, 'names.db'), { readOnly: true });
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    database.close();
    assert.deepEqual(
      tables.map(({ name }) => name),
      // Of blobs, each row stands for a file of at least a block; of totals, there is one; a repository, public or not, has
      // members; a tag has a hundred moves, which go with it; a thousand tags are held, and a thousand pinned.
      [
        'blobs',
        'members',
        'public_repositories',
        'repositories',
        'tag_holds',
        'tag_moves',
        'tag_pins',
        'tags',
        'totals',
        'urls',
      ],
    );
  });
});
