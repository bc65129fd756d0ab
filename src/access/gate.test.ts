import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACTIONS, type Action, openGate } from './gate.ts';
import { ANONYMOUS } from './principal.ts';

const repository = { registry: 'docker.io', repository: 'library/nginx' };

const authorize = openGate({ isReachable: false });

describe('the gate without rules', () => {
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
    const decision = authorize({ principal: ANONYMOUS, action: 'admin', repository });
    assert.ok(!decision.allowed);
    assert.match(
      decision.reason,
      /^only a user may administer this server, .* sets access with a rule that allows admin,/,
    );
    assert.doesNotMatch(decision.reason, /library/);
  });

  test('a refused push says that only a user may, and what the operator does', () => {
    const decision = authorize({ principal: ANONYMOUS, action: 'push', repository });
    assert.ok(!decision.allowed);
    assert.match(decision.reason, /^only a user may push, .* sets access .* entrepot users add NAME$/);
  });

  test('shows other machines the content of a repository only where it is public', () => {
    const reachable = openGate({ isReachable: true });
    const conditional = ACTIONS.filter((action) => {
      const decision = reachable({ principal: ANONYMOUS, action, repository });
      assert.equal(decision.allowed, anonymousMay[action], action);
      return decision.allowed && decision.onlyPublic === true;
    });
    assert.deepEqual(conditional, ['pull', 'catalog']);
  });

  test('an action outside the table is refused', () => {
    assert.equal(authorize({ principal: ANONYMOUS, action: 'toString' as Action, repository }).allowed, false);
  });
});
