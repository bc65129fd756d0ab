import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { run } from '../../program.ts';

async function command(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const { output, said: result } = captureOutput();
  return { code: await run(argv, { output }), ...result };
}

describe('entrepot ca', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'entrepot-ca-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  test('init makes one, print shows it, and a second init changes nothing', async () => {
    const place = join(dir, 'own');
    const made = await command('ca', 'init', '--dir', place);
    assert.equal(made.code, 0, made.err);
    const cert = await readFile(join(place, 'ca.crt'), 'utf8');
    assert.ok(made.out.includes(new X509Certificate(cert).fingerprint256));
    assert.equal((await stat(join(place, 'ca.key'))).mode & 0o777, 0o600);
    assert.deepEqual(await command('ca', 'print', '--dir', place), { code: 0, out: cert, err: '' });
    const again = await command('ca', 'init', '--dir', place);
    assert.equal(again.code, 1);
    assert.match(again.err, /exists already, and clients may trust it/);
    assert.equal(await readFile(join(place, 'ca.crt'), 'utf8'), cert);
  });

  test('without --dir it is where the server looks: in the cache directory', async () => {
    const cache = join(dir, 'cache');
    assert.equal((await command('ca', 'init', '--cache-dir', cache)).code, 0);
    assert.match((await command('ca', 'print', '--cache-dir', cache)).out, /BEGIN CERTIFICATE/);
    assert.ok((await stat(join(cache, 'ca', 'ca.key'))).isFile());
  });

  test('print shows the one that the configuration names; init makes none in its place', async () => {
    const { out } = await command('ca', 'print', '--dir', join(dir, 'own'));
    const mitm = { ca_cert_file: join(dir, 'own', 'ca.crt'), ca_key_file: join(dir, 'own', 'ca.key') };
    const file = join(dir, 'entrepot.json');
    await writeFile(file, JSON.stringify({ cache: 'off', forward_proxy: { mitm } }));
    assert.equal((await command('ca', 'print', '--config', file)).out, out);
    const made = await command('ca', 'init', '--config', file);
    assert.equal(made.code, 1);
    assert.match(made.err, /--dir/);
  });

  test('where there is none, print says how to make one', async () => {
    const { code, err } = await command('ca', 'print', '--dir', join(dir, 'none'));
    assert.equal(code, 1);
    assert.match(err, /ca\.crt does not exist; create an authority with `entrepot ca init`/);
  });

  test('a configuration without a place for it is a problem of the configuration', async () => {
    const file = join(dir, 'off.json');
    await writeFile(file, '{"cache": "off"}');
    const { code, err } = await command('ca', 'print', '--config', file);
    assert.equal(code, 78);
    assert.match(err, /found no ca_cert_file/);
  });
});
