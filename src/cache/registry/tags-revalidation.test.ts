import type { TestContext } from 'node:test';
import { revalidationSuite, type StageOptions } from '../../../test/suites/revalidation.ts';
import { cacheWorld, LIBRARY } from '../../../test/support/cache-world.ts';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import { isOriginFailure } from '../../oci/index.ts';

const OLD = smallImage('old', []).manifest;
const NEW = smallImage('new', []).manifest;

revalidationSuite('tags', {
  headIsEnough: true,
  notFound: 'for 10 s',
  async stage(t: TestContext, { freshFor = 0, staleAfter = 30 }: StageOptions = {}) {
    const clock = { now: 1_700_000_000_000 };
    const { cache, origin } = await cacheWorld(t, { tags: { freshFor, staleAfter }, now: () => clock.now });
    origin.addManifest(LIBRARY, OLD, 'one', 'other');
    for (const tag of ['one', 'other']) await cache.manifest(LIBRARY, { kind: 'tag', tag }, {});
    origin.calls.length = 0;
    return {
      clock,
      async request({ key: tag = 'one', head = false, signal } = {}) {
        try {
          const answer = await cache.manifest(LIBRARY, { kind: 'tag', tag }, { head, signal });
          const content = answer.digest === OLD.digest ? 'old' : 'new';
          return { outcome: answer.outcome, content, warning: answer.warning };
        } catch (error) {
          if (!isOriginFailure(error)) throw error;
          return { outcome: error.kind, content: undefined, warning: undefined };
        }
      },
      play(reply) {
        origin.before = async () => {
          const { fails, retryAfter } = (await reply()) ?? {};
          if (fails !== undefined) throw Object.assign(new FakeFailure(fails), { retryAfter });
        };
      },
      questions: () => origin.count(),
      move: () => origin.addManifest(LIBRARY, NEW, 'one', 'other'),
    };
  },
});
