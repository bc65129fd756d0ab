import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PullThrough } from '../cache/index.ts';
import type { RegistrySpec } from '../oci/index.ts';
import { createRegistryDoor } from '../registry/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { createDispatch } from './dispatch.ts';
import { createFrontDoor } from './listener/front-door.ts';

const REGISTRY: RegistrySpec = {
  name: 'apps',
  hosts: [],
  aliases: [],
  pathNames: [],
  library: false,
  delivery: 'stream',
  upstreams: [],
};

/** Knows one registry, by whatever it is called. */
const CREDULOUS: Catalogue = {
  default: REGISTRY,
  domainSuffix: undefined,
  byName: () => REGISTRY,
  byHost: () => undefined,
  byAlias: () => undefined,
  byPathName: () => undefined,
  list: () => [REGISTRY],
};

describe('a request that not even an error can be answered to', () => {
  test('is 500, and the end of nothing else', async () => {
    const dispatch = createDispatch({
      // Only /v2/ is requested, which needs neither cache nor upstream.
      doors: [
        createRegistryDoor({
          catalogue: CREDULOUS,
          cache: {} as PullThrough,
          originFor: () => () => Promise.reject(new Error('no upstream')),
        }),
      ],
      telemetry: new Telemetry(),
    });
    const warnings: string[] = [];
    const door = createFrontDoor({
      listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
      handler: dispatch,
      onWarning: (message) => warnings.push(message),
    });
    const [listener] = await door.start();
    try {
      const url = `http://${listener?.address}/v2/?ns=`;
      // No header can hold it, and every answer echoes what was understood as ns.
      const broken = await fetch(`${url}%E2%82%AC`, { signal: AbortSignal.timeout(10_000) });
      assert.equal(broken.status, 500);
      assert.match(await broken.text(), /"UNKNOWN"/);
      assert.deepEqual(warnings, ['a request failed where it should not']);
      const next = await fetch(`${url}apps`, { signal: AbortSignal.timeout(10_000) });
      assert.equal(next.status, 200);
      await next.text();
    } finally {
      await door.stop({ timeoutMs: 0 });
    }
  });
});
