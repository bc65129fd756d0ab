import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type UploadState, UploadStates } from './upload-states.ts';

const STATE: UploadState = {
  id: 'one',
  segment: 'seen',
  repository: { registry: 'ghcr.io', repository: 'ours/app' },
  principal: 'alice',
  upstream: 'ghcr.io',
  place: { url: "https://ghcr.io/v2/ours/app/blobs/uploads/1?sig=a'b", privateNetwork: false },
  algorithm: 'sha512',
  received: 12,
};

describe('the state of an upload', () => {
  test('comes back as it was, hidden, and different each time', async () => {
    const states = new UploadStates();
    const [one, other] = [await states.seal(STATE), await states.seal(STATE)];
    assert.deepEqual([await states.open(one), await states.open(other)], [STATE, STATE]);
    assert.notEqual(one, other);
    assert.match(one, /^[\w-]+$/);
    assert.ok(!Buffer.from(one, 'base64url').toString('latin1').includes('sig'));
    const { algorithm: _, received: __, ...rest } = STATE;
    const bare = { ...rest, algorithm: undefined, received: undefined };
    assert.deepEqual(await states.open(await states.seal(bare)), bare);
  });

  test('is good for a day, and under its key alone', async () => {
    let now = 1_000_000;
    const key = () => Promise.resolve(Buffer.alloc(32, 1));
    const states = new UploadStates({ key, now: () => now });
    const sealed = await states.seal(STATE);
    assert.deepEqual(await new UploadStates({ key, now: () => now }).open(sealed), STATE);
    assert.equal(await new UploadStates({ now: () => now }).open(sealed), undefined);
    now += 24 * 3_600_000;
    assert.equal(await states.open(sealed), undefined);
  });

  test('is refused with any character changed, cut or added, and whatever else comes', async () => {
    const states = new UploadStates();
    const sealed = await states.seal(STATE);
    for (let at = 0; at < sealed.length; at += 7) {
      const other = sealed[at] === 'A' ? 'B' : 'A';
      assert.equal(await states.open(sealed.slice(0, at) + other + sealed.slice(at + 1)), undefined, `${at}`);
      assert.equal(await states.open(sealed.slice(0, at)), undefined);
    }
    for (const text of ['', 'A', `${sealed}AAAA`, `${sealed}=`, ' ', 'A'.repeat(20_000), 'é']) {
      assert.equal(await states.open(text), undefined);
    }
  });
});
