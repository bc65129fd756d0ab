import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { underAudit } from './audit.ts';
import { ACTIONS } from './gate.ts';

const REPOSITORY = { registry: 'docker.io', repository: 'library/nginx' };

describe('underAudit()', () => {
  test('lets a pull through where its repository is public', () => {
    assert.deepEqual(underAudit('no', { action: 'pull', repository: REPOSITORY }), {
      allowed: true,
      onlyPublic: true,
      wouldDeny: 'no',
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
