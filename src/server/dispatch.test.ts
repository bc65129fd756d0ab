import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { OPERATOR_PRINCIPAL } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import { OciError, type RegistrySpec } from '../oci/index.ts';
import { createRegistryDoor } from '../registry/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { type Events, Telemetry } from '../telemetry/index.ts';
import { createDispatch } from './dispatch.ts';
import type { Door, DoorRequest, ParsedRequest } from './door.ts';
import { type RequestContext, replyBytes } from './exchange/index.ts';
import { Admission } from './limits/index.ts';
import { FrontDoor } from './listener/front-door.ts';

const REGISTRY: RegistrySpec = {
  name: 'apps',
  hosts: [],
  aliases: [],
  pathNames: [],
  library: false,
  delivery: 'stream',
  upstreams: [],
};

/** The name of the server in `Via`. */
const PSEUDONYM = 'entrepot-0123456789abcdef';

/** Knows one registry, by whatever it is called. */
const CREDULOUS: Catalogue = {
  default: REGISTRY,
  domainSuffix: undefined,
  ownHosts: new Set(),
  byName: () => REGISTRY,
  byHost: () => undefined,
  byAlias: () => undefined,
  byPathName: () => undefined,
  list: () => [REGISTRY],
};

/** A server of these doors, with everything it published. */
async function open(t: TestContext, doors: readonly Door[], withAdmission = true) {
  const telemetry = new Telemetry();
  const admission = new Admission({ telemetry, limits: { maxInflight: 1 } });
  const warnings: Events['warning'][] = [];
  telemetry.on('warning', (warning) => warnings.push(warning));
  const finished = new Promise<Events['request.finished']>((resolve) => telemetry.on('request.finished', resolve));
  const faults: string[] = [];
  const frontDoor = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler: createDispatch({ doors, telemetry, pseudonym: PSEUDONYM, ...(withAdmission ? { admission } : {}) }),
    onWarning: (message) => faults.push(message),
  });
  const [listener] = await frontDoor.start();
  t.after(async () => {
    admission.close();
    await frontDoor.stop({ timeoutMs: 0 });
  });
  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`http://${listener?.address}${path}`, {
      signal: AbortSignal.timeout(10_000),
      headers: { connection: 'close', ...headers },
    });
  return { get, admission, warnings, faults, finished, port: listener?.port ?? 0 };
}

/** A door of one path that notes each step it is taken through. */
function fakeDoor(
  path: string,
  steps: string[],
  behaviour: {
    readonly access?: ParsedRequest['access'];
    readonly takesSlot?: boolean;
    readonly note?: (step: string) => string;
    readonly parse?: () => void;
    readonly answer?: (context: RequestContext) => Promise<void> | void;
    readonly fail?: DoorRequest['fail'] | undefined;
  } = {},
): Door {
  const { access, takesSlot = true, note = (step) => step } = behaviour;
  const send = (context: RequestContext): void => replyBytes(context, 200, {}, `from ${path}`);
  const { answer = send } = behaviour;
  return {
    open(context) {
      if (context.path !== path) return undefined;
      steps.push(note('open'));
      return {
        takesSlot,
        parse() {
          steps.push(note('parse'));
          behaviour.parse?.();
          return {
            access,
            async answer() {
              steps.push(note('answer'));
              await answer(context);
            },
          };
        },
        fail(error) {
          steps.push(note('fail'));
          return behaviour.fail?.(error) ?? false;
        },
      };
    },
  };
}

describe('dispatch', () => {
  test('takes a slot, then parses, then asks the gate, then answers', async (t) => {
    const steps: string[] = [];
    let admission: Admission | undefined;
    const note = (step: string): string => `${step} with ${admission?.inflight} slot`;
    // The gate is a table: it is seen by what it lets through, here and in the next test.
    const door = fakeDoor('/a', steps, { note, access: { action: 'pull', repository: undefined } });
    const server = await open(t, [door]);
    admission = server.admission;
    const answer = await server.get('/a');
    assert.deepEqual([answer.status, await answer.text()], [200, 'from /a']);
    assert.deepEqual(steps, ['open with 0 slot', 'parse with 1 slot', 'answer with 1 slot']);
  });

  test('a request that the gate refuses is parsed and never answered', async (t) => {
    const steps: string[] = [];
    const door = fakeDoor('/a', steps, { access: { action: 'push', repository: undefined } });
    const { get, warnings } = await open(t, [door]);
    const answer = await get('/a');
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /"DENIED".*only a user may push/);
    assert.deepEqual(steps, ['open', 'parse', 'fail']);
    assert.deepEqual(warnings, []);
  });

  test('a door without slots is open while every slot is taken', async (t) => {
    const steps: string[] = [];
    const doors = [fakeDoor('/pull', steps), fakeDoor('/page', steps, { takesSlot: false })];
    const { get, admission } = await open(t, doors);
    const permit = admission.enter('192.0.2.1');
    assert.equal((await get('/page')).status, 200);
    steps.length = 0;
    await get('/pull');
    // A refused request is neither parsed nor answered.
    assert.deepEqual(steps, ['open', 'fail']);
    permit.release();
    assert.equal((await get('/pull')).status, 200);
  });

  test('a request that has passed this server before is refused at once, while every slot is taken', async (t) => {
    const steps: string[] = [];
    const chains: unknown[] = [];
    const answer = (context: RequestContext): void => {
      assert.equal(context.via?.request, context.id);
      chains.push({ hops: context.via?.hops, header: context.via?.header });
      replyBytes(context, 200, {}, 'ok');
    };
    const doors = [fakeDoor('/pull', steps, { answer }), fakeDoor('/page', steps, { takesSlot: false })];
    const { get, admission } = await open(t, doors);
    const permit = admission.enter('192.0.2.1');
    const via = `1.1 ${PSEUDONYM}, 1.1 other`;
    const looped = await get('/pull', { via });
    assert.equal(looped.status, 508);
    assert.equal(looped.headers.get('cache-control'), 'no-store');
    assert.match(await looped.text(), /"LOOP_DETECTED".*came back to this server through another server/);
    assert.deepEqual(steps, ['open', 'fail'], 'neither parsed nor answered');
    permit.release();
    // A page asks no other server.
    assert.equal((await get('/page', { via })).status, 200);
    assert.equal((await get('/pull', { via: '1.1 other' })).status, 200);
    assert.deepEqual(chains, [{ hops: 1, header: `1.1 hidden, 1.1 ${PSEUDONYM}` }]);
  });

  test('an error is answered by the door of its request', async (t) => {
    const failed: string[] = [];
    const failing = (path: string): Door =>
      fakeDoor(path, [], {
        answer: () => {
          throw new OciError('BLOB_UNKNOWN', 'a sentence');
        },
        fail: () => {
          failed.push(path);
          return false;
        },
      });
    const { get } = await open(t, [failing('/a'), failing('/b'), failing('/c')]);
    const answer = await get('/b');
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /"BLOB_UNKNOWN"/);
    assert.deepEqual(failed, ['/b']);
  });

  test('an error that its door has answered is answered once, without a warning', async (t) => {
    const door: Door = {
      open: (context) => ({
        takesSlot: false,
        parse() {
          throw new Error('known to the door');
        },
        fail(error) {
          replyBytes(context, 418, {}, (error as Error).message);
          return true;
        },
      }),
    };
    const { get, warnings, faults } = await open(t, [door]);
    const answer = await get('/');
    assert.deepEqual([answer.status, await answer.text()], [418, 'known to the door']);
    assert.deepEqual([warnings, faults], [[], []]);
  });

  for (const step of ['parse', 'answer'] as const) {
    test(`an unknown error in ${step} is 500 with the request's id, and one warning`, async (t) => {
      const error = new Error('secret detail');
      const broken = (): void => {
        throw error;
      };
      const { get, warnings, faults, finished } = await open(t, [fakeDoor('/a', [], { [step]: broken })]);
      const answer = await get('/a');
      assert.equal(answer.status, 500);
      const body = await answer.text();
      const { id } = await finished;
      assert.match(body, new RegExp(`"UNKNOWN".*internal error; the log has more under ${id}"`));
      assert.doesNotMatch(body, /secret/);
      assert.deepEqual(warnings, [{ message: 'Cannot answer GET /a', error }]);
      assert.deepEqual(faults, []);
    });
  }

  test('a path without a door is 404', async (t) => {
    const steps: string[] = [];
    const { get, warnings } = await open(t, [fakeDoor('/a', steps)]);
    const answer = await get('/b');
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /nothing is served at this path/);
    assert.deepEqual([steps, warnings], [[], []]);
  });

  const CHUNKED = 'Transfer-Encoding: chunked\r\n';
  const bodies: readonly [name: string, head: string, body: readonly string[], hasBody: boolean][] = [
    ['no body', '', [], false],
    ['a length of 0', 'Content-Length: 0\r\n', [], false],
    ['a length of 00', 'Content-Length: 00\r\n', [], false],
    ['chunks without a byte', CHUNKED, ['0\r\n\r\n'], false],
    ['chunks without a byte, in two segments', CHUNKED, ['0\r', '\n\r\n'], false],
    ['chunks without a byte, with a trailer', CHUNKED, ['0\r\na: b\r\n\r\n'], false],
    ['a byte by length', 'Content-Length: 1\r\n', ['a'], true],
    ['a byte in chunks', CHUNKED, ['1\r\na\r\n0\r\n\r\n'], true],
    ['a byte in chunks, in two segments', CHUNKED, ['1\r\n', 'a\r\n0\r\n\r\n'], true],
    ['chunks that wait for 100', `${CHUNKED}Expect: 100-continue\r\n`, [], true],
    ['chunks that do not come', CHUNKED, [], true],
  ];
  for (const method of ['GET', 'HEAD']) {
    for (const [name, head, body, hasBody] of bodies) {
      test(`${method} with ${name}: ${hasBody ? 'a body' : 'none'}`, async (t) => {
        const seen = Promise.withResolvers<boolean>();
        const door = fakeDoor('/a', [], {
          answer(context) {
            seen.resolve(context.hasBody);
            replyBytes(context, 200, {}, 'ok');
          },
        });
        const { port } = await open(t, [door]);
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(`${method} /a HTTP/1.1\r\nHost: m\r\n${head}\r\n`);
        for (const piece of body) {
          await delay(20);
          socket.write(piece);
        }
        assert.equal(await seen.promise, hasBody);
        socket.destroy();
      });
    }
  }

  test('nothing is written to a client that has left, and no error of it is reported', async (t) => {
    const steps: string[] = [];
    const reached = Promise.withResolvers<void>();
    let context: RequestContext | undefined;
    const door = fakeDoor('/a', steps, {
      async answer(given) {
        context = given;
        reached.resolve();
        await once(given.signal, 'abort');
        throw new Error('the transfer was cancelled');
      },
    });
    const { port, warnings, finished } = await open(t, [door]);
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /a HTTP/1.1\r\nHost: m\r\n\r\n');
    await reached.promise;
    socket.destroy();
    const { status, error } = await finished;
    await new Promise(setImmediate);
    assert.deepEqual([status, error], [0, 'the client left']);
    assert.deepEqual(steps, ['open', 'parse', 'answer']);
    assert.deepEqual([context?.response.headersSent, warnings], [false, []]);
  });
});

describe('a request that not even an error can be answered to', () => {
  test('is 500, and the end of nothing else', async (t) => {
    // Only /v2/ is requested, which needs neither cache nor upstream.
    const originFor = () => () => Promise.reject(new Error('no upstream'));
    const anonymousFor = () => undefined;
    const doors = [
      createRegistryDoor({
        catalogue: CREDULOUS,
        cache: {} as PullThrough,
        telemetry: new Telemetry(),
        originFor,
        anonymousFor,
      }),
    ];
    const { get, faults } = await open(t, doors, false);
    // No header can hold it, and every answer echoes what was understood as ns.
    const broken = await get('/v2/?ns=%E2%82%AC');
    assert.equal(broken.status, 500);
    assert.match(await broken.text(), /"UNKNOWN"/);
    assert.deepEqual(faults, ['a request handler failed']);
    const next = await get('/v2/?ns=apps');
    assert.equal(next.status, 200);
    await next.text();
  });
});

test('nothing begins for a client that left while it was identified', async (t) => {
  const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const begun: string[] = [];
  const door: Door = {
    open: (context) => ({
      takesSlot: false,
      parse: () => ({
        access: undefined,
        async identify() {
          asked.resolve();
          await left.promise;
          return OPERATOR_PRINCIPAL;
        },
        answer: () => void begun.push(context.path),
      }),
    }),
  };
  const { port, finished } = await open(t, [door], false);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /left HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await asked.promise;
  socket.destroy();
  assert.equal((await finished).path, '/left');
  left.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, []);
});

describe('a door that identifies its clients itself', () => {
  const doorOf = (identify: NonNullable<ParsedRequest['identify']>, asked: string[]): Door => ({
    open: (context) => ({
      takesSlot: false,
      parse: () => ({
        access: { action: 'admin', repository: undefined },
        identify,
        answer({ principal }) {
          asked.push(principal.kind);
          replyBytes(context, 200, {}, 'done');
        },
      }),
    }),
  });

  test('has its word before the gate, also without rules', async (t) => {
    const asked: string[] = [];
    const { get, finished } = await open(t, [doorOf(async () => OPERATOR_PRINCIPAL, asked)]);
    assert.equal((await get('/x')).status, 200);
    assert.deepEqual(asked, ['operator']);
    assert.equal((await finished).user, 'operator');
  });

  test('leaves a client that it does not know to the gate, and refuses one itself', async (t) => {
    const asked: string[] = [];
    const unknown = await open(t, [doorOf(async () => undefined, asked)]);
    assert.equal((await unknown.get('/x')).status, 403);
    const refused = await open(t, [
      doorOf(async () => Promise.reject(new OciError('DENIED', 'no', { status: 418 })), asked),
    ]);
    assert.equal((await refused.get('/x')).status, 418);
    assert.deepEqual(asked, []);
  });
});
