import assert from 'node:assert/strict';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { Action } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import { OciError, type RegistrySpec } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { RequestContext } from '../server/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { createRegistryDoor } from './handler.ts';

const HUB: RegistrySpec = {
  name: 'docker.io',
  hosts: [],
  aliases: [],
  pathNames: [],
  library: true,
  delivery: 'stream',
  upstreams: [],
};

const CATALOGUE: Catalogue = {
  default: HUB,
  domainSuffix: undefined,
  ownHosts: new Set(),
  byName: () => HUB,
  byHost: () => undefined,
  byAlias: () => undefined,
  byPathName: () => undefined,
  list: () => [HUB],
};

const DIGEST = `sha256:${'a'.repeat(64)}`;

/** A cache that no request may reach before the gate has decided. */
const UNTOUCHED = new Proxy({} as PullThrough, {
  get(_target, name) {
    throw new Error(`the cache was asked for ${String(name)} before the gate`);
  },
});

/** Upstreams that no request may reach either. */
const unreachable = (): Promise<never> => Promise.reject(new Error('an upstream was asked before the gate'));

function opened(method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { method, url: path, headers: { host: 'mirror.test', ...headers } });
  const context = new RequestContext(request, new ServerResponse(request), new Telemetry());
  const door = createRegistryDoor({
    catalogue: CATALOGUE,
    cache: UNTOUCHED,
    telemetry: new Telemetry(),
    originFor: () => unreachable,
    anonymousFor: () => undefined,
  });
  const found = door.open(context);
  assert.ok(found !== undefined, 'the door of the registry API recognizes every request');
  return { door: found, context };
}

/** A refusal by its status, code and headers. */
function refusalOf(parse: () => unknown): readonly unknown[] {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof OciError);
    return [error.status, error.code, error.headers];
  }
  assert.fail('nothing was refused');
}

describe('the gate is asked for each kind of path', () => {
  const rows: readonly (readonly [path: string, action: Action, repository: string])[] = [
    ['/v2/', 'connect', ''],
    ['/v2/nginx/manifests/latest', 'pull', 'library/nginx'],
    [`/v2/org/app/manifests/${DIGEST}`, 'pull', 'org/app'],
    [`/v2/org/app/blobs/${DIGEST}`, 'pull', 'org/app'],
    ['/v2/org/app/tags/list', 'pull', 'org/app'],
    [`/v2/org/app/referrers/${DIGEST}`, 'pull', 'org/app'],
    ['/v2/_catalog', 'catalog', ''],
  ];
  for (const [path, action, repository] of rows) {
    for (const method of ['GET', 'HEAD']) {
      test(`${method} ${path}: ${action}`, () => {
        const { door, context } = opened(method, path);
        assert.deepEqual(door.parse().access, { action, repository: { registry: 'docker.io', repository } });
        assert.deepEqual([context.registry, context.repository], ['docker.io', repository || undefined]);
        assert.equal(door.takesSlot, true);
      });
    }
  }
});

describe('the registry API refuses', () => {
  const unwritable = [405, 'UNSUPPORTED', { allow: 'GET, HEAD', connection: 'close' }];
  for (const method of ['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS']) {
    for (const path of ['/v2/', '/v2/app/manifests/latest', `/v2/app/blobs/${DIGEST}`, '/v2/app/blobs/uploads/']) {
      test(`${method} ${path}`, () => {
        assert.deepEqual(
          refusalOf(() => opened(method, path).door.parse()),
          unwritable,
        );
      });
    }
  }

  for (const path of ['/v2/app/blobs/uploads/', '/v2/app/blobs/uploads/7a4c']) {
    test(`GET ${path}: there are no uploads`, () => {
      assert.deepEqual(
        refusalOf(() => opened('GET', path).door.parse()),
        unwritable,
      );
    });
  }

  for (const headers of [{ 'content-length': '2' }, { 'transfer-encoding': 'chunked' }]) {
    test(`a body: ${JSON.stringify(headers)}`, () => {
      assert.deepEqual(
        refusalOf(() => opened('GET', '/v2/', headers).door.parse()),
        [400, 'UNSUPPORTED', { connection: 'close' }],
      );
    });
  }

  test('a request by absolute URL', () => {
    assert.deepEqual(
      refusalOf(() => opened('GET', 'http://registry.test/v2/').door.parse()),
      [400, 'UNSUPPORTED', { connection: 'close' }],
    );
  });
});
