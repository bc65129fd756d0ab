import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { CredentialSource } from '../../oci/index.ts';
import { basicAuthorization, CredentialError } from './credential.ts';
import { CredentialReader } from './credential-reader.ts';

const CANARY = 'canary-secret';

let directory = '';
const path = process.env['PATH'];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-credential-'));
  process.env['PATH'] = `${directory}${delimiter}${path}`;
});

after(async () => {
  process.env['PATH'] = path;
  await rm(directory, { recursive: true });
});

function readerOf(source: CredentialSource | undefined, options: { url?: string; now?: () => number } = {}) {
  const upstream = new URL(options.url ?? 'https://ghcr.io');
  return new CredentialReader({ source, upstream, now: options.now ?? Date.now });
}

/** Writes a helper that notes what it was asked, and then does as the script says. */
async function helper(name: string, script: string): Promise<() => Promise<string[]>> {
  const file = join(directory, `docker-credential-${name}`);
  const log = join(directory, `${name}.log`);
  await writeFile(log, '');
  await writeFile(file, `#!/bin/sh\nprintf '%s ' "$1" >>'${log}'\ncat >>'${log}'\n${script}\n`);
  await chmod(file, 0o755);
  return async () => (await readFile(log, 'utf8')).trim().split('\n');
}

async function failureOf(source: CredentialSource, url?: string): Promise<string> {
  const error: unknown = await readerOf(source, url === undefined ? {} : { url })
    .read()
    .then(
      () => assert.fail('it should not be readable'),
      (reason: unknown) => reason,
    );
  assert.ok(error instanceof CredentialError, String(error));
  assert.doesNotMatch(`${error.message} ${String(error.cause)} ${error.stack}`, new RegExp(CANARY));
  return error.message;
}

describe('CredentialReader', () => {
  test('has nothing where nothing is configured', async () => {
    assert.equal(readerOf(undefined).configured, false);
    assert.equal(await readerOf(undefined).read(), undefined);
  });

  test('reads environment and file each time, so that a rotated secret takes effect', async () => {
    const file = join(directory, 'secret');
    await writeFile(file, 'one\r\n');
    process.env['ENTREPOT_TEST_USER'] = 'first';
    const reader = readerOf({ username: { env: 'ENTREPOT_TEST_USER' }, password: { file } });
    const first = await reader.read();
    assert.deepEqual([first?.username, first?.password], ['first', 'one']);
    await writeFile(file, ' two\n\n');
    process.env['ENTREPOT_TEST_USER'] = 'second';
    const second = await reader.read();
    assert.deepEqual([second?.username, second?.password], ['second', ' two\n'], 'one newline is not of the secret');
    delete process.env['ENTREPOT_TEST_USER'];
  });

  test('names what cannot be read', async () => {
    const password = { file: join(directory, 'absent') };
    assert.match(await failureOf({ username: 'u', password }), /absent cannot be read \(ENOENT\)/);
    assert.match(
      await failureOf({ username: { env: 'ENTREPOT_NOT_SET' }, password: 'x' }),
      /ENTREPOT_NOT_SET is not set/,
    );
    await writeFile(join(directory, 'empty'), '\n');
    assert.match(await failureOf({ username: 'u', password: { file: join(directory, 'empty') } }), /is empty/);
    await writeFile(join(directory, 'blank'), ' \n\n');
    assert.match(
      await failureOf({ username: 'u', password: { file: join(directory, 'blank') } }),
      /blank is only white space/,
    );
    process.env['ENTREPOT_TEST_EMPTY'] = '';
    assert.match(
      await failureOf({ username: { env: 'ENTREPOT_TEST_EMPTY' }, password: 'x' }),
      /ENTREPOT_TEST_EMPTY is empty/,
    );
    delete process.env['ENTREPOT_TEST_EMPTY'];
    await writeFile(join(directory, 'large'), CANARY.repeat(10_000));
    assert.match(await failureOf({ username: 'u', password: { file: join(directory, 'large') } }), /over 65536 bytes/);
    assert.match(await failureOf({ username: 'a:b', password: CANARY }), /colon/);
  });

  test('asks a helper by host, and Docker Hub by the name docker stores it under', async () => {
    const asked = await helper('names', `echo '{"ServerURL":"x","Username":"u","Secret":"p"}'`);
    for (const url of ['https://reg.example:8443/prefix', 'https://registry-1.docker.io', 'https://indexdocker.io']) {
      const credential = await readerOf({ helper: 'names' }, { url }).read();
      assert.deepEqual([credential?.username, credential?.password], ['u', 'p']);
    }
    assert.deepEqual(await asked(), ['get reg.example:8443', 'get https://index.docker.io/v1/', 'get indexdocker.io']);
  });

  test("keeps a helper's answer for five minutes, runs it once for many, and forgets it when told", async () => {
    const asked = await helper('kept', `echo '{"Username":"u","Secret":"p"}'`);
    let now = 0;
    const reader = readerOf({ helper: 'kept' }, { now: () => now });
    await Promise.all([reader.read(), reader.read(), reader.read()]);
    now = 299_999;
    assert.equal((await reader.read())?.readAt, 0);
    assert.equal((await asked()).length, 1);
    now = 300_000;
    assert.equal((await reader.read())?.readAt, 300_000);
    reader.forget();
    await reader.read();
    assert.equal((await asked()).length, 3);
  });

  test('a helper that has none is no failure', async () => {
    await helper('none', `echo 'credentials not found in native keychain'; exit 1`);
    assert.equal(await readerOf({ helper: 'none' }).read(), undefined);
  });

  test('names a helper that fails, and never shows what it said', async () => {
    await helper('fails', `echo '${CANARY}'; echo '${CANARY}' >&2; exit 3`);
    assert.match(await failureOf({ helper: 'fails' }), /docker-credential-fails failed with exit code 3/);
    await helper('babbles', `echo '{"Username":"${CANARY}", nonsense'`);
    assert.match(await failureOf({ helper: 'babbles' }), /did not answer with JSON/);
    await helper('partial', `echo '{"Username":"${CANARY}"}'`);
    assert.match(await failureOf({ helper: 'partial' }), /without Username and Secret/);
    await helper('empty', `echo '{"Username":"u","Secret":""}'`);
    assert.match(await failureOf({ helper: 'empty' }), /docker-credential-empty answered with an empty Secret/);
    await helper('null', `echo null`);
    assert.match(await failureOf({ helper: 'null' }), /without Username and Secret/);
    await helper('endless', `exec yes ${CANARY}`);
    assert.match(await failureOf({ helper: 'endless' }), /more than 65536 bytes/);
    await helper('killed', 'kill -9 $$');
    assert.match(await failureOf({ helper: 'killed' }), /was ended by SIGKILL/);
    assert.match(await failureOf({ helper: 'no-such-helper' }), /docker-credential-no-such-helper is not on the PATH/);
    assert.match(await failureOf({ helper: '../evil' }), /no name of a credential helper/);
  });
});

describe('basicAuthorization', () => {
  test('is UTF-8 in Base64 (RFC 7617)', () => {
    assert.equal(basicAuthorization({ username: 'test', password: '123£' }), 'Basic dGVzdDoxMjPCow==');
  });
});
