import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Repository } from '../../src/oci/index.ts';
import type { FoundRepositories, RepositorySearch } from '../../src/store/index.ts';

/** What can be searched, and how a repository gets into it. */
interface Searched {
  readonly search: (search: RepositorySearch) => Promise<FoundRepositories>;
  readonly add: (repository: Repository) => Promise<unknown>;
}

/** What every store that searches repositories must do. Makes an empty one, and cleans up after the test. */
export function repositorySearchSuite(name: string, make: (t: TestContext) => Promise<Searched>): void {
  const named = (text: string): Repository => {
    const slash = text.indexOf('/');
    return { registry: text.slice(0, slash), repository: text.slice(slash + 1) };
  };
  const NAMES = [
    'docker.io/grafana/grafana',
    'docker.io/library/nginx',
    'docker.io/library/redis',
    'ghcr.io/owner/nginx-proxy',
    'ghcr.io/owner/tool',
    'quay.io/team/100%',
  ];
  const filled = async (t: TestContext) => {
    const searched = await make(t);
    for (const each of NAMES.toReversed()) await searched.add(named(each));
    const find = async (search: Omit<RepositorySearch, 'limit'> & { readonly limit?: number }) => {
      const { repositories, next } = await searched.search({ limit: 99, ...search });
      return {
        names: repositories.map((each) => `${each.registry}/${each.repository}`),
        next: next && `${next.registry}/${next.repository}`,
      };
    };
    return { ...searched, find };
  };

  describe(`${name} as a list of repositories that is searched`, () => {
    test('finds nothing when it is new', async (t) => {
      const { search } = await make(t);
      assert.deepEqual(await search({ limit: 9 }), { repositories: [], next: undefined });
      assert.deepEqual(await search({ limit: 9, words: ['a'], registry: 'docker.io' }), {
        repositories: [],
        next: undefined,
      });
    });

    test('finds the names that hold every word, whichever order they have, in the order of the names', async (t) => {
      const { find } = await filled(t);
      assert.deepEqual(await find({}), { names: NAMES, next: undefined });
      assert.deepEqual(await find({ words: ['nginx'] }), { names: [NAMES[1], NAMES[3]], next: undefined });
      assert.deepEqual(await find({ words: ['proxy', 'ghcr.io/'] }), { names: [NAMES[3]], next: undefined });
      assert.deepEqual(await find({ words: ['nginx', 'redis'] }), { names: [], next: undefined });
      // What SQL patterns mean something by is a character as any other.
      assert.deepEqual(await find({ words: ['%'] }), { names: [NAMES[5]], next: undefined });
      assert.deepEqual(await find({ words: ["'"] }), { names: [], next: undefined });
    });

    test('looks at one registry alone, wherever the page begins', async (t) => {
      const { find } = await filled(t);
      assert.deepEqual(await find({ registry: 'ghcr.io' }), { names: NAMES.slice(3, 5), next: undefined });
      const after = (text: string) => ({ registry: 'ghcr.io', after: named(text) });
      assert.deepEqual((await find(after('docker.io/library/redis'))).names, NAMES.slice(3, 5));
      assert.deepEqual((await find(after('ghcr.io/owner/nginx-proxy'))).names, [NAMES[4]]);
      assert.deepEqual(await find(after('quay.io/team/100%')), { names: [], next: undefined });
      assert.deepEqual(await find({ registry: 'gone.io' }), { names: [], next: undefined });
    });

    test('gives each name once, page by page', async (t) => {
      const { find, search } = await filled(t);
      const seen: string[] = [];
      let after: Repository | undefined;
      for (let page = 0; page < 9; page += 1) {
        const { repositories, next } = await search({ limit: 2, after });
        seen.push(...repositories.map((each) => `${each.registry}/${each.repository}`));
        after = next;
        if (next === undefined) break;
      }
      assert.deepEqual(seen, NAMES);
      assert.deepEqual(await find({ limit: 1, words: ['nginx'] }), { names: [NAMES[1]], next: NAMES[1] });
    });
  });
}
