import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HostingRules } from './rules.ts';

const NONE = { hosted: [], push: [], immutableTags: [], sparse: false };

function rules(immutableTags: readonly string[]): HostingRules {
  return new HostingRules([
    { name: 'apps', hosting: { ...NONE, hosted: ['team/**'], push: ['ours/*'], immutableTags } },
    { name: 'docker.io' },
  ]);
}

const at = (repository: string, registry = 'apps') => ({ registry, repository });

describe('HostingRules', () => {
  test('says where a repository is at home', () => {
    const homes = ['team/web', 'ours/app', 'ours/a/b', 'team', ''].map((name) => rules([]).homeOf(at(name)));
    assert.deepEqual(homes, ['here', 'pushed through', 'mirrored', 'mirrored', 'mirrored']);
    assert.equal(rules([]).homeOf(at('team/web', 'docker.io')), 'mirrored');
  });

  test('knows the tags that never move, and the repositories that can have one', () => {
    const some = rules(['v*', 'team/web:stable']);
    assert.equal(some.isImmutable(at('ours/app'), 'v1'), true);
    assert.equal(some.isImmutable(at('team/web'), 'stable'), true);
    assert.equal(some.isImmutable(at('ours/app'), 'stable'), false);
    assert.equal(some.hasImmutable(at('ours/app')), true);
    const one = rules(['team/web:stable']);
    assert.deepEqual(
      ['team/web', 'ours/app'].map((name) => one.hasImmutable(at(name))),
      [true, false],
    );
    assert.equal(one.hasImmutable(at('team/web', 'docker.io')), false);
  });
});
