import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uploadStage } from '../../../test/support/upload-stage.ts';
import { type Digest, digestOf } from '../../oci/index.ts';

const APP = { registry: 'apps', repository: 'team/app' };
const UPLOADS = '/v2/team/app/blobs/uploads/';
const BLOB = Buffer.from('The bytes of a layer, or at least of a small one.');
const DIGEST = digestOf(BLOB);

const SIZED = (first: number, last: number) => ({ 'content-range': `${first}-${last}` });

describe('POST', () => {
  test('begins a session: its address relative to the host, and nothing in it', async (t) => {
    const stage = await uploadStage(t);
    const { status, headers } = await stage.send('POST', UPLOADS);
    assert.equal(status, 202);
    const id = headers['docker-upload-uuid'];
    assert.match(String(id), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(headers.location, `${UPLOADS}${String(id)}`);
    assert.equal(headers['range'], '0-0');
    assert.match(String(headers['oci-chunk-min-length']), /^\d+$/);
    assert.equal(headers['content-length'], '0');
  });
});
test('x', async (t) => {
  const stage = await uploadStage(t);
  const { headers } = await stage.send('POST', UPLOADS);
  const put = await stage.send('PUT', `${headers.location}?digest=${DIGEST}`, { body: BLOB });
  console.log(put);
  const r = await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`, { body: [Buffer.alloc(3_000_000)] });
  console.log(r);
  const r2 = await stage.send('POST', `${UPLOADS}?digest=${DIGEST}`);
  console.log(r2);
  const r3 = await stage.send('PATCH', r2.headers.location, {
    body: Buffer.alloc(30_000_000),
    headers: SIZED(10, 30_000_009),
  });
  console.log(r3);
  const r4 = await stage.send('PATCH', r2.headers.location, {
    body: [Buffer.alloc(3_000_000), Buffer.alloc(3_000_000)],
    headers: SIZED(0, 999),
  });
  console.log(r4);
  console.log(await stage.send('GET', r2.headers.location));
  assert.deepEqual(await stage.contentOf(APP, DIGEST), BLOB);
});
