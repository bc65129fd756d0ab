import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type inventoryWorld, inventoryWorld as makeWorld, onlyFor } from '../../test/support/inventory-world.ts';
import { smallImage, smallLayer } from '../../test/support/small-image.ts';
import type { Repository } from '../oci/index.ts';

type World = ReturnType<typeof inventoryWorld>;

const BLOB = smallLayer('shared', 10);
const repositoryOf = (n: number): Repository => ({
  registry: n % 3 === 0 ? 'ghcr.io' : 'docker.io',
  repository: `team/r${n}`,
});
const nameOf = ({ registry, repository }: Repository): string => `${registry}/${repository}`;

/** Between two pages: what is added or removed, by number. */
const CHANGE = fc.record({ adds: fc.boolean(), which: fc.integer({ min: 0, max: 29 }) });
const PLAN = fc.record({
  initial: fc.uniqueArray(fc.integer({ min: 0, max: 29 }), { maxLength: 25 }),
  hidden: fc.uniqueArray(fc.integer({ min: 0, max: 29 }), { maxLength: 15 }),
  limits: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
  changes: fc.array(CHANGE, { maxLength: 20 }),
});

/** Walks every page; after each, one thing changes. */
async function walk(
  {
    limits,
    changes,
  }: {
    readonly limits: readonly number[];
    readonly changes: readonly (typeof CHANGE extends fc.Arbitrary<infer C> ? C : never)[];
  },
  page: (
    limit: number,
    after: string | undefined,
  ) => Promise<{ readonly names: readonly string[]; readonly next?: string }>,
  change: (step: { readonly adds: boolean; readonly which: number }) => Promise<void>,
): Promise<readonly string[]> {
  const seen: string[] = [];
  let after: string | undefined;
  for (let step = 0; ; step += 1) {
    const limit = limits[step % limits.length] ?? 1;
    const { names, next } = await page(limit, after);
    assert.ok(names.length <= limit);
    seen.push(...names);
    if (next === undefined) return seen;
    after = next;
    const changed = changes[step];
    if (changed !== undefined) await change(changed);
    assert.ok(step < 200, 'it ends');
  }
}

function assertSeenOnce(
  seen: readonly string[],
  { stayed, ever }: { stayed: ReadonlySet<string>; ever: ReadonlySet<string> },
) {
  assert.equal(new Set(seen).size, seen.length, 'none twice');
  for (const name of stayed) assert.ok(seen.includes(name), `${name} was there all the time`);
  for (const name of seen) assert.ok(ever.has(name), `${name} may be seen`);
}

test('the pages of repositories hold each that stays once, whatever comes and goes, and none that is hidden', async () => {
  await fc.assert(
    fc.asyncProperty(PLAN, async ({ initial, hidden, limits, changes }) => {
      const world: World = makeWorld();
      for (const n of initial) await world.add(repositoryOf(n), BLOB);
      const isHidden = new Set(hidden.map((n) => nameOf(repositoryOf(n))));
      const visible = initial.map((n) => nameOf(repositoryOf(n))).filter((name) => !isHidden.has(name));
      const [stayed, ever] = [new Set(visible), new Set(visible)];
      const caller = onlyFor((name) => !isHidden.has(name));
      const seen = await walk(
        { limits, changes },
        async (limit, after) => {
          const { repositories, ...rest } = await world.inventory.repositories({ limit, after }, caller);
          return { names: repositories.map(nameOf), ...rest };
        },
        async ({ adds, which }) => {
          const name = nameOf(repositoryOf(which));
          if (adds) {
            await world.add(repositoryOf(which), BLOB);
            if (!isHidden.has(name)) ever.add(name);
            return;
          }
          await world.metadata.deleteMember(repositoryOf(which), BLOB.digest);
          stayed.delete(name);
        },
      );
      assertSeenOnce(seen, { stayed, ever });
      assert.deepEqual(seen, seen.toSorted(), 'in order');
    }),
    { numRuns: 60 },
  );
});

const APP: Repository = { registry: 'docker.io', repository: 'team/app' };
const IMAGES = Array.from({ length: 30 }, (_, n) => smallImage(`image ${n}`, []));

test('the pages of tags and untagged manifests hold each that stays once, whatever comes and goes', async () => {
  await fc.assert(
    fc.asyncProperty(PLAN, async ({ initial, hidden, limits, changes }) => {
      const world: World = makeWorld();
      await world.add(APP, BLOB);
      const tagOf = (n: number): string => (n % 2 === 0 ? `1.${n}` : `name-${n}`);
      const manifestOf = (n: number) => (IMAGES[n] as (typeof IMAGES)[number]).manifest;
      const untagged = hidden.filter((n) => !initial.includes(n));
      for (const n of [...initial, ...untagged]) await world.add(APP, manifestOf(n));
      for (const n of initial) await world.tag(APP, tagOf(n), manifestOf(n));
      const [stayed, ever] = [new Set(initial.map(tagOf)), new Set(initial.map(tagOf))];
      for (const n of untagged) for (const set of [stayed, ever]) set.add(manifestOf(n).digest);
      const seen = await walk(
        { limits, changes },
        async (limit, after) => {
          const { tags, next } = await world.inventory.tags(
            { image: nameOf(APP), limit, after },
            onlyFor(() => true),
          );
          return { names: tags.map(({ tag, digest }) => tag || digest), ...(next === undefined ? {} : { next }) };
        },
        async ({ adds, which }) => {
          // A manifest that loses or gets a tag changes its place, and need not be seen at either.
          ever.add(tagOf(which)).add(manifestOf(which).digest);
          if (adds) {
            const isThere = (await world.metadata.getTag(APP, tagOf(which))) !== undefined;
            await world.add(APP, manifestOf(which));
            await world.tag(APP, tagOf(which), manifestOf(which));
            if (!isThere) stayed.delete(manifestOf(which).digest);
            return;
          }
          await world.metadata.deleteTag(APP, tagOf(which));
          stayed.delete(tagOf(which));
        },
      );
      assertSeenOnce(seen, { stayed, ever });
    }),
    { numRuns: 60 },
  );
});
