import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { underAudit } from './audit.ts';
import { ACTIONS } from './gate.ts';
import { Guard } from './guard.ts';
import { Tokens } from './tokens.ts';

const REPOSITORY = { registry: 'docker.io', repository: 'library/nginx' };

describe('underAudit()', () => {
  test('lets a pull through where its repository is public', () => {
    assert.deepEqual(underAudit('no', { action: 'pull', repository: REPOSITORY }), {
      allowed: true,
      onlyPublic: true,
      reason: 'no',
      wouldDeny: true,
    });
  });

  for (const action of ACTIONS.filter((each) => each !== 'pull')) {
    test(`leaves ${action} refused`, () => {
      assert.deepEqual(underAudit('no', { action, repository: REPOSITORY }), { allowed: false, reason: 'no' });
    });
  }

  test('leaves a pull refused that is of no repository', () => {
    for (const repository of [undefined, { registry: 'docker.io', repository: '' }]) {
      assert.deepEqual(underAudit('no', { action: 'pull', repository }), { allowed: false, reason: 'no' });
    }
  });
});

describe('a guard in audit mode', () => {
  test('leaves a user refused who does not exist, or no longer does', async () => {
    const plainUser = { name: 'robot', password: () => Promise.resolve('x') };
    const guard = await Guard.open({
      groups: {},
      rules: [],
      audit: true,
      plainUser,
      tokens: new Tokens(),
      onWarning: assert.fail,
    });
    const verdictOf = (name: string) =>
      guard.authorize({ principal: { kind: 'user', name }, action: 'pull', repository: REPOSITORY });
    assert.equal(verdictOf('gone').allowed, false);
    assert.equal(verdictOf('robot').allowed, true);
  });
});
