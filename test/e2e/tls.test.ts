import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { makeCertificate, type TestCertificate } from '../support/certificates.ts';
import { skopeo } from '../support/engines.ts';
import { buildImage } from '../support/image.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

describe('HTTPS on both sides', needs('skopeo', 'openssl'), () => {
  const image = buildImage({ seed: 'tls' });
  let workspace: Workspace;
  let front: TestCertificate;
  let back: TestCertificate;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;

  before(async () => {
    workspace = await Workspace.open();
    // Two authorities: code that mixed up what is trusted on which side would be found out.
    front = await makeCertificate(workspace, 'front');
    back = await makeCertificate(workspace, 'back');
    upstream = await startScriptedUpstream({ personality: 'dockerHub', tls: back });
    workspace.defer(() => upstream.stop());
    upstream.add(image, 'library/app', ['latest']);
    entrepot = await startEntrepot(workspace, {
      listen: [
        { address: '127.0.0.1:0', tls: { cert_file: front.certFile, key_file: front.keyFile } },
        { address: '127.0.0.1:0', redirect_to_https: true },
      ],
      registries: { 'docker.io': { upstreams: [{ url: upstream.url, tls: { ca_file: back.caFile } }] } },
    });
  });
  after(() => workspace.close());

  test('skopeo trusts the authority it was given, and pulls', async () => {
    const trusted = workspace.path('trusted');
    await mkdir(trusted);
    await copyFile(front.caFile, `${trusted}/ca.crt`);
    const name = `docker://${entrepot.host}/library/app:latest`;
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      `--src-cert-dir=${trusted}`,
      name,
      `dir:${workspace.path('copy')}`,
    );
    assert.ok((await readFile(workspace.path('copy', 'manifest.json'))).equals(image.index.bytes));
    assert.equal(upstream.blobBodies().length, image.blobs.length, upstream.journal());
    assert.deepEqual(upstream.leaks(), []);
  });

  test('without that authority it does not', async () => {
    const name = `docker://${entrepot.host}/library/app:latest`;
    await assert.rejects(check(['skopeo', 'inspect', '--raw', name]), /certificate|x509/);
  });

  test('the plain listener leads to HTTPS', async () => {
    const addresses = entrepot.logs().filter((line) => line.msg === 'listening');
    assert.equal(addresses.length, 2);
    const plain = String(addresses[1]?.['address']);
    const response = await fetch(`http://${plain}/v2/?n=1`, { redirect: 'manual' });
    assert.equal(response.status, 308);
    assert.match(response.headers.get('location') ?? '', /^https:\/\/127\.0\.0\.1.*\/v2\/\?n=1$/);
  });

  test('an upstream whose certificate no authority has signed is not believed', async () => {
    const strict = await startEntrepot(workspace, { registries: { 'docker.io': { upstreams: [upstream.url] } } });
    const response = await fetch(`${strict.url}/v2/library/app/manifests/latest`);
    assert.ok([502, 503].includes(response.status), String(response.status));
    await strict.stop();
  });
});
