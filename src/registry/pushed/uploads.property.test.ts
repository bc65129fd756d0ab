import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { noise } from '../../../test/support/image.ts';
import {
  loginOf,
  startUploadStage,
  type UploadAnswer,
  type UploadStage,
  uploadStage,
} from '../../../test/support/upload-stage.ts';
import { type Digest, digestOf } from '../../oci/index.ts';
import { openHostedBlobStore } from '../../store/index.ts';

const APP = { registry: 'apps', repository: 'team/app' };
const UPLOADS = '/v2/team/app/blobs/uploads/';

/** What a client does next, with the session that `session` counts to. */
type Step =
  | { readonly kind: 'post'; readonly sha512: boolean }
  | { readonly kind: 'whole'; readonly length: number; readonly wrong: boolean }
  | { readonly kind: 'stream'; readonly session: number; readonly length: number; readonly pieces: number }
  | { readonly kind: 'chunk'; readonly session: number; readonly length: number; readonly shift: number }
  | {
      readonly kind: 'cut';
      readonly session: number;
      readonly length: number;
      readonly sent: number;
      readonly how: 'stream' | 'chunk' | 'put';
    }
  | {
      readonly kind: 'put';
      readonly session: number;
      readonly length: number;
      readonly wrong: boolean;
      readonly sha512: boolean;
    }
  | { readonly kind: 'get' | 'delete'; readonly session: number }
  | { readonly kind: 'restart' };

const session = fc.nat(5);
const length = fc.oneof(fc.nat(40), fc.nat(200_000));
const rarely = fc.integer({ min: 0, max: 6 }).map((chance) => chance === 0);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('post' as const), sha512: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('whole' as const), length, wrong: rarely }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('stream' as const), session, length, pieces: fc.nat(4) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('chunk' as const),
      session,
      length: length.map((each) => each + 1),
      shift: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -9, max: 9 }) },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('cut' as const),
      session,
      length: length.map((each) => each + 1),
      sent: fc.nat(200_000),
      how: fc.constantFrom('stream' as const, 'chunk' as const, 'put' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('put' as const), session, length, wrong: rarely, sha512: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('get' as const, 'delete' as const), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

/** What a client believes, and what the server has to hold. */
class Client {
  readonly #stage: UploadStage;
  readonly #stored = new Map<Digest, Buffer>();
  readonly #sessions: { readonly path: string; bytes: Buffer; isOver: boolean }[] = [];
  #made = 0;

  constructor(stage: UploadStage) {
    this.#stage = stage;
  }

  async take(step: Step): Promise<void> {
    const stage = this.#stage;
    if (step.kind === 'restart') return stage.restart();
    if (step.kind === 'post') {
      const answer = await stage.send('POST', `${UPLOADS}${step.sha512 ? '?digest-algorithm=sha512' : ''}`);
      assert.equal(answer.status, 202);
      this.#sessions.push({ path: answer.headers.location ?? '', bytes: Buffer.alloc(0), isOver: false });
      return;
    }
    if (step.kind === 'whole') {
      const bytes = this.#make(step.length + 1);
      const digest = step.wrong ? digestOf(Buffer.concat([bytes, bytes])) : digestOf(bytes);
      const answer = await stage.send('POST', `${UPLOADS}?digest=${digest}`, { body: bytes });
      assert.equal(answer.status, step.wrong ? 400 : 201);
      if (!step.wrong) this.#stored.set(digest, bytes);
      return;
    }
    const session = this.#sessions[step.session % Math.max(1, this.#sessions.length)];
    if (session === undefined) return;
    if (step.kind === 'cut') return this.#cut(session, step);
    const { answer, bytes, expected } = await this.#request(session, step);
    assert.equal(answer.status, session.isOver ? 404 : expected, `${step.kind}: ${answer.body}`);
    if (session.isOver) return;
    if (answer.status === 202) session.bytes = bytes;
    if (answer.status === 201) this.#stored.set(answer.headers['docker-content-digest'] as Digest, bytes);
    session.isOver = answer.status === 201 || answer.status === 400 || step.kind === 'delete';
    if (!session.isOver) assert.equal(answer.headers['range'], rangeOf(session.bytes));
  }

  async #request(
    { path, bytes: before }: { readonly path: string; readonly bytes: Buffer },
    step: Exclude<Step, { readonly kind: 'post' | 'whole' | 'cut' | 'restart' }>,
  ): Promise<{ readonly answer: UploadAnswer; readonly bytes: Buffer; readonly expected: number }> {
    const stage = this.#stage;
    switch (step.kind) {
      case 'get':
        return { answer: await stage.send('GET', path), bytes: before, expected: 204 };
      case 'delete':
        return { answer: await stage.send('DELETE', path), bytes: before, expected: 204 };
      case 'stream': {
        const body = this.#make(step.length);
        const size = Math.ceil(body.length / (step.pieces + 1)) || 1;
        const pieces = Array.from({ length: step.pieces + 1 }, (_, at) => body.subarray(at * size, (at + 1) * size));
        const answer = await stage.send('PATCH', path, { body: pieces });
        return { answer, bytes: Buffer.concat([before, body]), expected: 202 };
      }
      case 'chunk': {
        const body = this.#make(step.length);
        const first = Math.max(0, before.length + step.shift);
        const headers = { 'content-range': `${first}-${first + body.length - 1}` };
        const answer = await stage.send('PATCH', path, { body, headers });
        const isNext = first === before.length;
        return { answer, bytes: Buffer.concat([before, body]), expected: isNext ? 202 : 416 };
      }
      case 'put': {
        const body = this.#make(step.length);
        const bytes = Buffer.concat([before, body]);
        const algorithm = step.sha512 ? 'sha512' : 'sha256';
        const digest = digestOf(step.wrong ? Buffer.concat([bytes, Buffer.from('!')]) : bytes, algorithm);
        const answer = await stage.send('PUT', `${path}?digest=${digest}`, { body });
        return { answer, bytes, expected: step.wrong ? 400 : 201 };
      }
    }
  }

  async #cut(
    session: { readonly path: string; bytes: Buffer; readonly isOver: boolean },
    { how, length, sent }: Extract<Step, { readonly kind: 'cut' }>,
  ): Promise<void> {
    const stage = this.#stage;
    const body = this.#make(length);
    const part = body.subarray(0, sent % body.length);
    const at = session.bytes.length;
    await sendAndCut(stage, { path: session.path, how, body, part, at });
    const answer = await stage.send('GET', session.path);
    if (session.isOver) return assert.equal(answer.status, 404);
    // A byte that was acknowledged, and nothing more.
    const found = at === 1 ? Math.max(1, sizeIn(answer)) : sizeIn(answer);
    if (how !== 'stream') return assert.equal(found, at, how);
    assert.ok(found >= at && found <= at + part.length, `${at} <= ${found} <= ${at + part.length}`);
    session.bytes = Buffer.concat([session.bytes, part.subarray(0, found - at)]);
  }

  /** Bytes that were never sent before. */
  #make(length: number): Buffer {
    this.#made += 1;
    return noise(`bytes-${this.#made}`, length);
  }

  /** What was answered 201 is there, and nothing else is. */
  async check(): Promise<void> {
    const { store, records } = this.#stage;
    const listed: string[] = [];
    for await (const { digest } of store.list()) listed.push(digest);
    assert.deepEqual(listed.sort(), [...this.#stored.keys()].sort());
    const recorded = await records.listDigests({ after: undefined, limit: 1000 });
    assert.deepEqual(recorded.map(({ digest }) => digest).sort(), listed);
    for (const [digest, bytes] of this.#stored) assert.deepEqual(await this.#stage.contentOf(APP, digest), bytes);
    const open = this.#sessions.filter(({ isOver }) => !isOver).length;
    assert.deepEqual([this.#stage.uploads.count, (await store.listNamed()).length], [open, open]);
    assert.deepEqual(this.#stage.warnings, []);
  }
}

const rangeOf = (bytes: Buffer): string => `0-${Math.max(0, bytes.length - 1)}`;

/** How many bytes an answer says that there are, where that is not one. */
function sizeIn({ headers }: UploadAnswer): number {
  const last = Number(String(headers['range']).slice('0-'.length));
  return last === 0 ? 0 : last + 1;
}

interface Sent {
  readonly path: string;
  readonly how: 'stream' | 'chunk' | 'put';
  readonly body: Buffer;
  readonly part: Buffer;
  readonly at: number;
}

/** Sends a part of a body and ends the connection; resolves when the server has let go of the upload. */
async function sendAndCut(stage: UploadStage, { path, how, body, part, at }: Sent): Promise<void> {
  const { hostname, port } = new URL(`http://${stage.address}`);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {}).resume();
  const digest = digestOf(body);
  const line = how === 'put' ? `PUT ${path}?digest=${digest}` : `PATCH ${path}`;
  const framing = how === 'stream' ? 'transfer-encoding: chunked' : `content-length: ${body.length}`;
  const window = how === 'chunk' ? `content-range: ${at}-${at + body.length - 1}\r\n` : '';
  const head = `${line} HTTP/1.1\r\nhost: ${stage.address}\r\nauthorization: ${loginOf('alice')}\r\n${window}${framing}\r\n\r\n`;
  // A piece of more bytes than follow.
  const piece = how === 'stream' ? `${body.length.toString(16)}\r\n` : '';
  const finished = new Promise<void>((resolve) => {
    const off = stage.telemetry.on('request.finished', () => {
      off();
      resolve();
    });
  });
  socket.end(Buffer.concat([Buffer.from(`${head}${piece}`), part]));
  await Promise.all([once(socket, 'close'), finished]);
  while (stage.uploads.busy > 0) await turn();
}

test('what was answered 201 is there with the right bytes, and nothing else is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      await using stage = await startUploadStage();
      const client = new Client(stage);
      for (const each of steps) await client.take(each);
      await client.check();
    }),
    { numRuns: 40 },
  );
});

test('a push that is cut at any byte goes on from what the server has', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'uploads-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const stage = await uploadStage(t, { store: await openHostedBlobStore(directory), limits: { perRepository: 200 } });
  for (let run = 0; run < 100; run += 1) {
    const how = (['stream', 'chunk', 'put'] as const)[run % 3] ?? 'stream';
    const body = noise(`push-${run}`, 1 + Math.floor(Math.random() * 400_000));
    const digest = digestOf(body);
    const path = (await stage.send('POST', UPLOADS)).headers.location ?? '';
    const at = Math.floor(Math.random() * body.length);
    await sendAndCut(stage, { path, how, body, part: body.subarray(0, at), at: 0 });
    if (run % 10 === 0) await stage.restart();
    const has = sizeIn(await stage.send('GET', path));
    assert.ok(how === 'stream' ? has <= at : has === 0, `${how}: ${has} of ${at}`);
    const rest = body.subarray(has);
    const headers = { 'content-range': `${has}-${body.length - 1}` };
    const answer = await stage.send('PUT', `${path}?digest=${digest}`, { body: rest, headers });
    assert.equal(answer.status, 201, `${how} cut at ${at} of ${body.length}: ${answer.body}`);
    assert.deepEqual(await stage.contentOf(APP, digest), body);
  }
});
