import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loginOf, type UploadAnswer, type UploadStage, uploadStage } from '../../../test/support/upload-stage.ts';
import { digestOf } from '../../oci/index.ts';

const APP = { registry: 'apps', repository: 'team/app' };
const UPLOADS = '/v2/team/app/blobs/uploads/';
const BLOB = Buffer.from('The bytes of a layer, or at least of a small one.');
const DIGEST = digestOf(BLOB);
const SHA512 = digestOf(BLOB, 'sha512');
const OTHER = digestOf(Buffer.from('other bytes'));
const MIB = 1024 * 1024;

const range = (first: number, last: number) => ({ 'content-range': `${first}-${last}` });
const codeOf = ({ body }: UploadAnswer): string => JSON.parse(body).errors[0].code;

/** The address of a new session. */
async function begin(stage: UploadStage, query = '', user = 'alice'): Promise<string> {
  const { status, headers } = await stage.send('POST', `${UPLOADS}${query}`, { user });
  assert.equal(status, 202);
  return headers.location ?? '';
}

async function rangeOf(stage: UploadStage, session: string): Promise<string | undefined> {
  const { status, headers } = await stage.send('GET', session);
  assert.equal(status, 204);
  return headers['range'];
}

function assertRefused(answer: UploadAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, codeOf(answer)], [status, code], answer.body);
}

async function assertStored(stage: UploadStage, answer: UploadAnswer, bytes: Buffer, digest = digestOf(bytes)) {
  assert.equal(answer.status, 201, answer.body);
  assert.equal(answer.headers['docker-content-digest'], digest);
  assert.equal(answer.headers.location, `/v2/team/app/blobs/${digest}`);
  assert.deepEqual(await stage.contentOf(APP, digest), bytes);
}

/** Sends the head of a request and a part of its body. */
async function sendPart(stage: UploadStage, head: string, part: Buffer): Promise<Socket> {
  const { hostname, port } = new URL(`http://${stage.address}`);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  await once(socket, 'connect');
  const lines = `${head} HTTP/1.1\r\nhost: ${stage.address}\r\nauthorization: ${loginOf('alice')}\r\n`;
  socket.write(Buffer.concat([Buffer.from(lines), part]));
  return socket;
}

/** Resolves when no request is at work on an upload. */
async function untilIdle(stage: UploadStage): Promise<void> {
  while (stage.uploads.busy > 0) await turn();
}

async function untilBusy(stage: UploadStage): Promise<void> {
  while (stage.uploads.busy === 0) await turn();
}

describe('POST', () => {
  test('begins a session: its address relative to the host, and nothing in it', async (t) => {
    const stage = await uploadStage(t);
    const { status, headers } = await stage.send('POST', UPLOADS);
    const id = String(headers['docker-upload-uuid']);
    assert.equal(status, 202);
    assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(headers.location, `${UPLOADS}${id}`);
    assert.equal(headers['range'], '0-0');
    assert.equal(headers['oci-chunk-min-length'], String(MIB));
    assert.equal(headers['content-length'], '0');
  });

  for (const [path, location] of [
    ['/v2/docker.io/acme/app/blobs/uploads/', '/v2/docker.io/acme/app/blobs/uploads/ID'],
    ['/hub/v2/acme/app/blobs/uploads/', '/hub/v2/acme/app/blobs/uploads/ID'],
    ['/v2/acme/app/blobs/uploads/?ns=docker.io', '/v2/acme/app/blobs/uploads/ID?ns=docker.io'],
  ] as const) {
    test(`answers in the addressing of the client: ${path}`, async (t) => {
      const stage = await uploadStage(t);
      const { headers } = await stage.send('POST', path);
      const session = String(headers.location);
      assert.equal(session.replace(String(headers['docker-upload-uuid']), 'ID'), location);
      const separator = session.includes('?') ? '&' : '?';
      const put = await stage.send('PUT', `${session}${separator}digest=${DIGEST}`, { body: BLOB });
      assert.equal(put.headers.location, location.replace('uploads/ID', DIGEST));
      const acme = { registry: 'docker.io', repository: 'acme/app' };
      assert.deepEqual(await stage.contentOf(acme, DIGEST), BLOB);
    });
  }

  for (const [how, body] of [
    ['with its length', BLOB],
    ['in chunks', [BLOB.subarray(0, 10), BLOB.subarray(10)]],
  ] as const) {
    for (const digest of [DIGEST, SHA512]) {
      test(`takes a whole blob ${how}: ${digest.slice(0, 6)}`, async (t) => {
        const stage = await uploadStage(t);
        const answer = await stage.send('POST', `${UPLOADS}?digest=${digest}`, { body });
        await assertStored(stage, answer, BLOB, digest);
        assert.equal(stage.uploads.count, 0);
      });
    }
  }

  test('keeps nothing of a whole blob with another digest', async (t) => {
    const stage = await uploadStage(t);
    assertRefused(await stage.send('POST', `${UPLOADS}?digest=${OTHER}`, { body: BLOB }), 400, 'DIGEST_INVALID');
    assert.equal(await stage.store.stat(OTHER), undefined);
    assert.equal(await stage.store.stat(DIGEST), undefined);
  });

  test('begins a session where a digest comes without a body', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage, `?digest=${DIGEST}`);
    await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB }), BLOB);
  });

  for (const query of ['?digest=sha256:abc', '?mount=sha256:abc', '?digest-algorithm=md5', '?mount=']) {
    test(`refuses ${query}`, async (t) => {
      const stage = await uploadStage(t);
      assertRefused(await stage.send('POST', `${UPLOADS}${query}`, { body: BLOB }), 400, 'DIGEST_INVALID');
      assert.equal(stage.uploads.count, 0);
    });
  }

  test('says what was pushed', async (t) => {
    const stage = await uploadStage(t);
    for (const _ of [1, 2]) await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: BLOB });
    const event = { ...APP, digest: DIGEST, size: BLOB.length };
    assert.deepEqual(stage.pushed, [
      { ...event, how: 'uploaded' },
      { ...event, how: 'present' },
    ]);
  });
});

describe('a session', () => {
  test('takes a stream without a length, then an empty PUT (docker, podman)', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    const patched = await stage.send('PATCH', session, { body: [BLOB.subarray(0, 7), BLOB.subarray(7)] });
    assert.equal(patched.status, 202);
    assert.equal(patched.headers['range'], `0-${BLOB.length - 1}`);
    assert.equal(patched.headers.location, session);
    await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`), BLOB);
    assertRefused(await stage.send('GET', session), 404, 'BLOB_UPLOAD_UNKNOWN');
  });

  for (const [how, digest, query] of [
    ['sha256', DIGEST, ''],
    ['sha512', SHA512, ''],
    ['sha512, announced', SHA512, '?digest-algorithm=sha512'],
    ['sha256, announced otherwise', DIGEST, '?digest-algorithm=sha512'],
  ] as const) {
    test(`takes a PUT with the whole body (containerd, crane, oras): ${how}`, async (t) => {
      const stage = await uploadStage(t);
      const session = await begin(stage, query);
      await assertStored(stage, await stage.send('PUT', `${session}?digest=${digest}`, { body: BLOB }), BLOB, digest);
    });

    test(`takes chunks, the last one in the PUT: ${how}`, async (t) => {
      const stage = await uploadStage(t);
      const session = await begin(stage, query);
      const one = await stage.send('PATCH', session, { body: BLOB.subarray(0, 10), headers: range(0, 9) });
      assert.deepEqual([one.status, one.headers['range']], [202, '0-9']);
      const rfc = { 'content-range': `bytes 10-19/*` };
      const two = await stage.send('PATCH', session, { body: BLOB.subarray(10, 20), headers: rfc });
      assert.deepEqual([two.status, two.headers['range']], [202, '0-19']);
      const last = { body: BLOB.subarray(20), headers: range(20, BLOB.length - 1) };
      await assertStored(stage, await stage.send('PUT', `${session}?digest=${digest}`, last), BLOB, digest);
    });
  }

  test('answers a chunk out of order with how far it is, and goes on', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    for (const method of ['PATCH', 'PUT']) {
      for (const [first, expected] of [
        [5, '0-0'],
        [20, '0-9'],
        [0, '0-9'],
      ] as const) {
        if (first === 20 && method === 'PATCH') {
          await stage.send('PATCH', session, { body: BLOB.subarray(0, 10), headers: range(0, 9) });
        }
        const body = BLOB.subarray(first, first + 5);
        const path = method === 'PUT' ? `${session}?digest=${DIGEST}` : session;
        const answer = await stage.send(method, path, { body, headers: range(first, first + 4) });
        assertRefused(answer, 416, 'RANGE_INVALID');
        assert.equal(answer.headers['range'], method === 'PUT' ? '0-9' : expected);
        assert.equal(answer.headers.location, session);
      }
    }
    assert.equal(await rangeOf(stage, session), '0-9');
    const last = { body: BLOB.subarray(10), headers: range(10, BLOB.length - 1) };
    await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`, last), BLOB);
  });

  for (const [why, headers, body, status, code] of [
    ['longer than its window', range(0, 8), BLOB.subarray(0, 10), 400, 'SIZE_INVALID'],
    ['shorter than its window', range(0, 10), BLOB.subarray(0, 10), 400, 'SIZE_INVALID'],
    ['longer, without a length', range(0, 8), [BLOB.subarray(0, 5), BLOB.subarray(5, 10)], 400, 'SIZE_INVALID'],
    ['shorter, without a length', range(0, 10), [BLOB.subarray(0, 5), BLOB.subarray(5, 10)], 400, 'SIZE_INVALID'],
    ['without a body', range(0, 10), undefined, 400, 'SIZE_INVALID'],
    ['that ends before it begins', range(10, 0), BLOB.subarray(0, 10), 400, 'RANGE_INVALID'],
    ['in another unit', { 'content-range': 'lines 0-9' }, BLOB.subarray(0, 10), 400, 'RANGE_INVALID'],
    ['of no number', { 'content-range': '0-' }, BLOB.subarray(0, 10), 400, 'RANGE_INVALID'],
    ['of too large a number', range(0, 2 ** 60), BLOB.subarray(0, 10), 400, 'RANGE_INVALID'],
  ] as const) {
    test(`keeps nothing of a chunk ${why}, and the connection`, async (t) => {
      const stage = await uploadStage(t);
      const session = await begin(stage);
      const answer = await stage.send('PATCH', session, { headers, ...(body === undefined ? {} : { body }) });
      assertRefused(answer, status, code);
      const next = await stage.send('GET', session);
      assert.deepEqual([next.headers['range'], next.reused], ['0-0', true]);
      await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB }), BLOB);
    });
  }

  test('is gone after a wrong digest', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    assertRefused(await stage.send('PUT', `${session}?digest=${OTHER}`, { body: BLOB }), 400, 'DIGEST_INVALID');
    assertRefused(await stage.send('GET', session), 404, 'BLOB_UPLOAD_UNKNOWN');
    assert.equal(await stage.store.stat(OTHER), undefined);
    assert.deepEqual(await stage.store.listNamed(), []);
  });

  for (const query of ['', '?digest=', '?digest=sha256:123', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e']) {
    test(`stays after a PUT with no digest that can be: ${query}`, async (t) => {
      const stage = await uploadStage(t);
      const session = await begin(stage);
      assertRefused(await stage.send('PUT', `${session}${query}`, { body: BLOB }), 400, 'DIGEST_INVALID');
      await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB }), BLOB);
    });
  }

  test('ends with DELETE', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    assert.equal((await stage.send('DELETE', session)).status, 204);
    assertRefused(await stage.send('DELETE', session), 404, 'BLOB_UPLOAD_UNKNOWN');
    assertRefused(await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB }), 404, 'BLOB_UPLOAD_UNKNOWN');
    assert.deepEqual(await stage.store.listNamed(), []);
  });

  test('has its last answer again for a client that lost it', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    const finish = `${session}?digest=${DIGEST}`;
    for (const _ of [1, 2]) await assertStored(stage, await stage.send('PUT', finish, { body: BLOB }), BLOB);
    assert.equal(stage.pushed.length, 1);
    const unknown: readonly (readonly [path: string, user: string])[] = [
      [`${session}?digest=${OTHER}`, 'alice'],
      [finish.replace('team/app', 'team/other'), 'alice'],
      [finish, 'bob'],
    ];
    for (const [path, user] of unknown) {
      assertRefused(await stage.send('PUT', path, { body: BLOB, user }), 404, 'BLOB_UPLOAD_UNKNOWN');
    }
    await stage.records.deleteBlob(APP, DIGEST);
    assertRefused(await stage.send('PUT', finish, { body: BLOB }), 404, 'BLOB_UPLOAD_UNKNOWN');
  });

  test('begins empty whatever body its POST has', async (t) => {
    const stage = await uploadStage(t);
    for (const body of [BLOB, [BLOB], [Buffer.alloc(0)]]) {
      const { status, headers } = await stage.send('POST', UPLOADS, { body });
      assert.deepEqual([status, headers['range']], [202, '0-0']);
      const put = await stage.send('PUT', `${headers.location}?digest=${DIGEST}`, { body: BLOB });
      assert.deepEqual([put.status, put.reused], [201, true]);
    }
  });

  test('is its own in repository and principal', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    const elsewhere = session.replace('team/app', 'team/other');
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const query = method === 'PUT' ? `?digest=${DIGEST}` : '';
      for (const [path, user] of [
        [session, 'bob'],
        [elsewhere, 'alice'],
        [session.slice(0, -1), 'alice'],
      ] as const) {
        assertRefused(await stage.send(method, `${path}${query}`, { user }), 404, 'BLOB_UPLOAD_UNKNOWN');
      }
    }
    assert.equal(await rangeOf(stage, session), '0-0');
  });

  test('goes on after a restart', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    await stage.send('PATCH', session, { body: BLOB.subarray(0, 10) });
    await stage.restart();
    assert.equal(await rangeOf(stage, session), '0-9');
    await stage.send('PATCH', session, { body: BLOB.subarray(10, 30), headers: range(10, 29) });
    await stage.restart();
    await assertStored(
      stage,
      await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB.subarray(30) }),
      BLOB,
    );
  });

  test('takes one request at a time', async (t) => {
    const stage = await uploadStage(t, { limits: { patienceMs: 10 } });
    const session = await begin(stage);
    const head = `PATCH ${session}`;
    const busy = await sendPart(stage, head, Buffer.from('content-length: 10\r\n\r\n01234'));
    t.after(() => busy.destroy());
    await untilBusy(stage);
    for (const method of ['PATCH', 'PUT', 'GET']) {
      const query = method === 'PUT' ? `?digest=${DIGEST}` : '';
      const answer = await stage.send(method, `${session}${query}`, method === 'GET' ? {} : { body: BLOB });
      assertRefused(answer, 409, 'BLOB_UPLOAD_INVALID');
      assert.equal(answer.headers['retry-after'], '1');
    }
    busy.write('56789');
    const [answer] = (await once(busy, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 202 /);
    assert.equal(await rangeOf(stage, session), '0-9');
  });

  test('ends with DELETE in the middle of a request, which learns it', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    const busy = await sendPart(stage, `PATCH ${session}`, Buffer.from('content-length: 10\r\n\r\n01234'));
    t.after(() => busy.destroy());
    await untilBusy(stage);
    const answered = once(busy, 'data');
    assert.equal((await stage.send('DELETE', session)).status, 204);
    assert.match(String((await answered)[0]), /^HTTP\/1\.1 404 /);
    assert.deepEqual(await stage.store.listNamed(), []);
  });

  test('goes on beside a request that has gone silent, which gives way', async (t) => {
    const stage = await uploadStage(t, { limits: { giveWayMs: 0 } });
    const session = await begin(stage);
    const silent = await sendPart(stage, `PATCH ${session}`, Buffer.from('content-length: 10\r\n\r\n01234'));
    t.after(() => silent.destroy());
    const answered = once(silent, 'data');
    await untilBusy(stage);
    await rangeOf(stage, session);
    assert.match(String((await answered)[0]), /^HTTP\/1\.1 409 /);
  });

  test('answers a client that stops to send, and stays', async (t) => {
    const stage = await uploadStage(t, { limits: { stallMs: 20 } });
    const session = await begin(stage);
    const stalled = await sendPart(stage, `PATCH ${session}`, Buffer.from('content-length: 10\r\n\r\n01234'));
    t.after(() => stalled.destroy());
    const [answer] = (await once(stalled, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 408 /);
    assert.equal(await rangeOf(stage, session), '0-4');
  });
});

describe('a connection that is cut', () => {
  const large = Buffer.alloc(3 * MIB, 'abcdefghijklm');
  const digest = digestOf(large);

  test('in a stream: what arrived stays', async (t) => {
    const stage = await uploadStage(t);
    const session = await begin(stage);
    const part = Buffer.concat([
      Buffer.from('transfer-encoding: chunked\r\n\r\na\r\n'),
      large.subarray(0, 10),
      Buffer.from('\r\n'),
    ]);
    const socket = await sendPart(stage, `PATCH ${session}`, part);
    await untilBusy(stage);
    socket.end();
    await untilIdle(stage);
    const found = await rangeOf(stage, session);
    assert.equal(found, '0-9');
    const rest = { body: [large.subarray(10)] };
    assert.equal((await stage.send('PATCH', session, rest)).status, 202);
    await assertStored(stage, await stage.send('PUT', `${session}?digest=${digest}`), large);
  });

  for (const [what, head] of [
    ['a chunk', (session: string) => `PATCH ${session} HTTP/1.1\r\ncontent-range: 10-${large.length - 1}`],
    ['a PUT', (session: string) => `PUT ${session}?digest=${digest} HTTP/1.1`],
  ] as const) {
    test(`in ${what}: it is as before, and takes the same again`, async (t) => {
      const stage = await uploadStage(t);
      const session = await begin(stage);
      await stage.send('PATCH', session, { body: large.subarray(0, 10), headers: range(0, 9) });
      const lines = head(session).split(' HTTP/1.1');
      const rest = lines[1] === '' ? '' : `${lines[1]?.trim()}\r\n`;
      const length = `content-length: ${large.length - 10}\r\n\r\n`;
      const part = Buffer.concat([Buffer.from(`${rest}${length}`), large.subarray(10, 2 * MIB)]);
      const socket = await sendPart(stage, lines[0] ?? '', part);
      await untilBusy(stage);
      socket.end();
      await untilIdle(stage);
      assert.equal(await rangeOf(stage, session), '0-9');
      const again = { body: large.subarray(10), headers: range(10, large.length - 1) };
      await assertStored(stage, await stage.send('PUT', `${session}?digest=${digest}`, again), large);
    });
  }
});

describe('bounds', () => {
  for (const [what, limits, sameRepository, sameUser] of [
    ['of a repository', { perRepository: 2 }, true, false],
    ['of a principal', { perPrincipal: 2 }, false, true],
  ] as const) {
    test(`uploads ${what}`, async (t) => {
      const stage = await uploadStage(t, { limits });
      const start = (at: number) =>
        stage.send('POST', sameRepository ? UPLOADS : UPLOADS.replace('app', `app${at}`), {
          user: sameUser ? 'alice' : `user${at}`,
        });
      const session = (await start(1)).headers.location ?? '';
      assert.equal((await start(2)).status, 202);
      const refused = await start(3);
      assertRefused(refused, 429, 'TOOMANYREQUESTS');
      const retryAfter = Number(refused.headers['retry-after']);
      assert.ok(retryAfter >= 3 && retryAfter <= 10);
      const user = sameUser ? 'alice' : 'user1';
      assert.equal((await stage.send('DELETE', session, { user })).status, 204);
      assert.equal((await start(3)).status, 202);
    });
  }

  test('idle uploads make room for new ones', async (t) => {
    const stage = await uploadStage(t, { limits: { perRepository: 1 } });
    const session = await begin(stage);
    stage.now += 24 * 3_600_000 - 1;
    assertRefused(await stage.send('POST', UPLOADS), 429, 'TOOMANYREQUESTS');
    stage.now += 1;
    await begin(stage);
    assertRefused(await stage.send('GET', session), 404, 'BLOB_UPLOAD_UNKNOWN');
    assert.equal((await stage.store.listNamed()).length, 1);
  });

  test('the quota of a repository: refused with figures, and no file stays', async (t) => {
    const stage = await uploadStage(t, { quota: 60 });
    assert.equal((await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: BLOB })).status, 201);
    const second = Buffer.from('twelve bytes');
    const session = await begin(stage);
    const answer = await stage.send('PUT', `${session}?digest=${digestOf(second)}`, { body: second });
    assertRefused(answer, 403, 'DENIED');
    assert.match(answer.body, /quota: apps\/team\/app has 49 B of 60 B, and this blob has 12 B/);
    assert.equal(await stage.store.stat(digestOf(second)), undefined);
    assert.equal(stage.uploads.count, 0);
    // What is there already costs nothing.
    assert.equal((await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: BLOB })).status, 201);
  });

  test('a blob larger than the quota is not read', async (t) => {
    const stage = await uploadStage(t, { quota: 10 });
    assertRefused(await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: BLOB }), 403, 'DENIED');
    const session = await begin(stage);
    assertRefused(await stage.send('PATCH', session, { body: [BLOB] }), 403, 'DENIED');
    assert.equal(await rangeOf(stage, session), '0-0');
  });

  test('the space that stays free: refused, and the operator is told once', async (t) => {
    let isRoom = true;
    const stage = await uploadStage(t, { mayStore: () => isRoom });
    const session = await begin(stage);
    isRoom = false;
    for (const answer of [
      await stage.send('POST', UPLOADS),
      await stage.send('PATCH', session, { body: BLOB }),
      await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: BLOB }),
    ]) {
      assertRefused(answer, 503, 'UNAVAILABLE');
      assert.equal(answer.headers['retry-after'], '30');
    }
    assert.equal(stage.warnings.length, 1);
    isRoom = true;
    await assertStored(stage, await stage.send('PUT', `${session}?digest=${DIGEST}`, { body: BLOB }), BLOB);
  });
});

describe('other methods', () => {
  for (const [method, path, allow] of [
    ['GET', UPLOADS, 'POST'],
    ['PUT', UPLOADS, 'POST'],
    ['POST', `${UPLOADS}7a4c`, 'GET, PATCH, PUT, DELETE'],
    ['HEAD', `${UPLOADS}7a4c`, 'GET, PATCH, PUT, DELETE'],
    ['OPTIONS', UPLOADS, 'POST'],
  ] as const) {
    test(`${method} ${path}`, async (t) => {
      const stage = await uploadStage(t);
      const { status, headers } = await stage.send(method, path);
      assert.deepEqual([status, headers['allow']], [405, allow]);
    });
  }
});
