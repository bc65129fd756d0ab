import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { loadGuard } from '../access/index.ts';
import { type Events, Telemetry } from '../telemetry/index.ts';
import { createDispatch } from './dispatch.ts';
import type { ParsedRequest } from './door.ts';
import { replyBytes } from './exchange/index.ts';
import { FrontDoor } from './listener/front-door.ts';

interface Stage {
  readonly audit?: boolean;
  readonly access?: ParsedRequest['access'];
  readonly isPublic?: (() => Promise<boolean>) | undefined;
  readonly status?: number;
}

const REPOSITORY = { registry: 'docker.io', repository: 'library/nginx' };
const PULL = { action: 'pull', repository: REPOSITORY } as const;
const ALICE = { authorization: `Basic ${Buffer.from('alice:alice-pw').toString('base64')}` };

/** A server whose rules allow nothing but `status` to bob, and what it published. */
async function open(t: TestContext, { audit = true, access = PULL, isPublic, status = 200 }: Stage = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-audit-'));
  const htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, `alice:${bcrypt.hashSync('alice-pw', 4)}\n`);
  const telemetry = new Telemetry();
  const decided: Events['access.decided'][] = [];
  const wouldDeny: Events['access.would_deny'][] = [];
  telemetry.on('access.decided', (event) => decided.push(event));
  telemetry.on('access.would_deny', (event) => wouldDeny.push(event));
  const { Guard, Tokens } = await loadGuard();
  const guard = await Guard.open({
    groups: {},
    rules: [{ who: ['alice'], may: ['status'], on: [] }],
    audit,
    htpasswd,
    tokens: new Tokens(),
    onWarning: assert.fail,
  });
  const door = {
    open: (context: Parameters<Parameters<typeof createDispatch>[0]['doors'][0]['open']>[0]) => ({
      takesSlot: false,
      parse: () => ({ access, isPublic, answer: () => replyBytes(context, status, {}, 'content') }),
    }),
  };
  const names = { publicUrls: [], domainSuffix: undefined };
  const handler = createDispatch({ doors: [door], telemetry, pseudonym: 'entrepot', guarded: { guard, names } });
  const frontDoor = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler,
    onWarning: assert.fail,
  });
  const [listener] = await frontDoor.start();
  t.after(async () => {
    await frontDoor.stop({ timeoutMs: 0 });
    await rm(dir, { recursive: true });
  });
  const get = async (headers: Readonly<Record<string, string>> = {}) => {
    const ended = new Promise((resolve) => telemetry.on('request.finished', resolve));
    const answer = await fetch(`http://${listener?.address}/`, { headers: { connection: 'close', ...headers } });
    const text = await answer.text();
    await ended;
    return { status: answer.status, text, challenge: answer.headers.get('www-authenticate') };
  };
  return { get, decided, wouldDeny };
}

const YES = () => Promise.resolve(true);

describe('audit mode', () => {
  test('lets a pull of public content through, says so, and counts it', async (t) => {
    const { get, decided, wouldDeny } = await open(t, { isPublic: YES });
    assert.equal((await get()).text, 'content');
    assert.equal((await get(ALICE)).text, 'content');
    const outcome = { action: 'pull', ...REPOSITORY };
    assert.deepEqual(decided, [
      { principal: 'anonymous', ...outcome, verdict: 'would-deny' },
      { principal: 'alice', ...outcome, verdict: 'would-deny' },
    ]);
    assert.deepEqual(
      wouldDeny.map(({ id, ...event }) => (assert.match(id, /./), event)),
      ['anonymous', 'alice'].map((principal) => ({ principal, ...outcome, client: '127.0.0.1' })),
    );
  });

  test('refuses what is private as without it', async (t) => {
    const isPublic = () => Promise.resolve(false);
    const audited = await open(t, { isPublic });
    const strict = await open(t, { isPublic, audit: false });
    for (const headers of [{}, ALICE]) assert.deepEqual(await audited.get(headers), await strict.get(headers));
    assert.deepEqual(audited.decided, strict.decided);
    assert.deepEqual(
      audited.decided.map(({ principal, verdict }) => [principal, verdict]),
      [
        ['anonymous', 'denied'],
        ['alice', 'denied'],
      ],
    );
    assert.deepEqual(audited.wouldDeny, []);
  });

  test('asks whether content is public only where no rule allows it', async (t) => {
    const access = { action: 'status', repository: undefined } as const;
    const { get, decided } = await open(t, { access, isPublic: () => assert.fail('asked') });
    assert.equal((await get(ALICE)).status, 200);
    assert.equal((await get()).status, 401);
    assert.deepEqual(
      decided.map(({ verdict }) => verdict),
      ['allowed', 'denied'],
    );
  });

  for (const action of ['catalog', 'admin', 'proxy', 'push', 'delete'] as const) {
    test(`refuses ${action}, public or not`, async (t) => {
      const { get } = await open(t, { access: { action, repository: REPOSITORY }, isPublic: YES });
      assert.equal((await get(ALICE)).status, 403);
    });
  }

  test('lets no wrong credential through', async (t) => {
    const { get, decided } = await open(t, { isPublic: YES });
    const wrong = `Basic ${Buffer.from('alice:guess').toString('base64')}`;
    for (const authorization of [wrong, 'Bearer forged', 'Basic', '']) {
      assert.equal((await get({ authorization })).status, 401, authorization);
    }
    assert.deepEqual(decided, []);
  });
});

describe('what the rules say', () => {
  test('is published once the request was answered with success, or refused', async (t) => {
    const access = { action: 'status', repository: undefined } as const;
    for (const [status, expected] of [
      [200, 1],
      [302, 1],
      [404, 0],
      [502, 0],
    ] as const) {
      const { get, decided } = await open(t, { access, status });
      await get(ALICE);
      assert.equal(decided.length, expected, String(status));
    }
  });

  test('is not published of the version check', async (t) => {
    const { get, decided } = await open(t, { access: { action: 'connect', repository: undefined } });
    assert.equal((await get()).status, 401);
    assert.equal((await get(ALICE)).status, 200);
    assert.deepEqual(decided, []);
  });
});
