import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SegmentSlots } from './slots.ts';

const POLICY = { connections: 8, minSegment: 1, mostOfUpstream: 4 };

describe('the connections of segments', () => {
  test('are no more than an upstream may have, and come back', () => {
    const slots = new SegmentSlots();
    const taken = [1, 2, 3, 4].map(() => slots.take('docker.io', 'hub', POLICY));
    assert.ok(taken.every((release) => release !== undefined));
    assert.equal(slots.take('docker.io', 'hub', POLICY), undefined);
    assert.ok(slots.take('docker.io', 'other', POLICY) !== undefined);
    assert.ok(slots.take('ghcr.io', 'hub', POLICY) !== undefined);
    taken[0]?.();
    assert.ok(slots.take('docker.io', 'hub', POLICY) !== undefined);
  });

  test('are half as many for ten minutes where the upstream refuses one', () => {
    const clock = { now: 0 };
    const slots = new SegmentSlots(() => clock.now);
    for (let each = 0; each < 4; each += 1) slots.take('docker.io', 'hub', POLICY);
    slots.refused('docker.io', 'hub', POLICY);
    assert.equal(slots.mostOf('docker.io', 'hub', POLICY), 2);
    slots.refused('docker.io', 'hub', POLICY);
    assert.equal(slots.mostOf('docker.io', 'hub', POLICY), 2);
    clock.now = 10 * 60_000;
    assert.equal(slots.mostOf('docker.io', 'hub', POLICY), 4);
  });

  test('are counted for each upstream', () => {
    const slots = new SegmentSlots();
    const release = slots.take('docker.io', 'hub', POLICY);
    assert.equal(slots.left('docker.io', 'hub', POLICY), POLICY.mostOfUpstream - 1);
    assert.equal(slots.left('docker.io', 'mirror', POLICY), POLICY.mostOfUpstream);
    slots.sendsNoParts('docker.io', 'hub', POLICY);
    assert.equal(slots.left('docker.io', 'hub', POLICY), 0);
    release?.();
    assert.equal(slots.left('docker.io', 'hub', POLICY), 0);
  });

  test('are counted together for upstreams of one host', () => {
    const slots = new SegmentSlots();
    const policy = { ...POLICY, host: 'registry.example' };
    for (let each = 0; each < POLICY.mostOfUpstream; each += 1) {
      assert.ok(slots.take('docker.io', each % 2 === 0 ? 'hub' : 'mirror', policy) !== undefined);
    }
    assert.equal(slots.take('ghcr.io', 'third', policy), undefined);
    assert.equal(slots.left('docker.io', 'mirror', policy), 0);
    assert.ok(slots.take('docker.io', 'hub', { ...POLICY, host: 'another.example' }) !== undefined);
  });

  test('are none where the upstream sends no parts', () => {
    const slots = new SegmentSlots();
    slots.sendsNoParts('docker.io', 'hub', POLICY);
    assert.equal(slots.take('docker.io', 'hub', POLICY), undefined);
  });

  test('are forgotten of the oldest of a thousand upstreams', () => {
    const slots = new SegmentSlots();
    slots.sendsNoParts('docker.io', 'first', POLICY);
    for (let each = 0; each < 1000; each += 1) slots.refused('docker.io', `u${each}`, POLICY);
    assert.equal(slots.mostOf('docker.io', 'first', POLICY), 4);
  });
});
