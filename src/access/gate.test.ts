import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACTIONS, type Action, authorize } from './gate.ts';
import { ANONYMOUS } from './principal.ts';

const repository = { registry: 'docker.io', repository: 'library/nginx' };

describe('authorize', () => {
  const anonymousMay: Record<Action, boolean> = {
    pull: true,
    catalog: true,
    push: false,
    delete: false,
    status: true,
    admin: false,
    connect: true,
    proxy: true,
  };
  for (const action of ACTIONS) {
    test(`anonymous ${anonymousMay[action] ? 'may' : 'may not'} ${action}`, () => {
      assert.equal(authorize({ principal: ANONYMOUS, action, repository }).allowed, anonymousMay[action]);
    });
  }

  test('a refusal says what is refused and names no repository', () => {
    const decision = authorize({ principal: ANONYMOUS, action: 'push', repository });
    assert.deepEqual(decision, { allowed: false, reason: 'push is not open to anonymous clients' });
  });

  test('an action outside the table is refused', () => {
    assert.equal(authorize({ principal: ANONYMOUS, action: 'toString' as Action, repository }).allowed, false);
  });
});
