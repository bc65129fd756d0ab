import type { TestContext } from 'node:test';
import { type Failing, revalidationSuite, type StageOptions } from '../../../test/suites/revalidation.ts';
import { drain } from '../../../test/support/cache-world.ts';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { FILE_KEY, plainResponse, urlRequest } from '../../../test/support/fake-site.ts';
import { FILE, FIRST, SECOND, urlStage } from '../../../test/support/url-stage.ts';
import { isOriginFailure } from '../../oci/index.ts';

const STATUS: Readonly<Record<Failing, number>> = { unavailable: 503, throttled: 429, denied: 403, 'not-found': 404 };

/** @param sends what a failing site does: it sends a status, or does not answer at all */
function register(sends: 'a status' | 'nothing where it is unavailable'): void {
  revalidationSuite(`URLs, whose site sends ${sends}`, {
    headIsEnough: false,
    notFound: 'never',
    async stage(t: TestContext, { freshFor = 0, staleAfter = 30 }: StageOptions = {}) {
      const headers = { ...FIRST.headers, 'cache-control': `max-age=${freshFor / 1000}` };
      const { site, clock, cache, next } = await urlStage(t, { ...FIRST, headers }, { tags: { staleAfter } });
      const keyOf = (key: string) => ({ ...FILE_KEY, url: `https://site.test/${encodeURIComponent(key)}` });
      for (const key of ['one', 'other']) {
        const finished = next('ingest.finished');
        const answer = await cache.urls.answer(keyOf(key), urlRequest(site));
        if (answer.kind === 'kept') await drain(answer.reader);
        await finished;
      }
      site.calls.length = 0;
      return {
        clock,
        async request({ key = 'one', head = false, signal } = {}) {
          const method = head ? 'HEAD' : 'GET';
          const changes = { method, ...(signal === undefined ? {} : { signal }) } as const;
          try {
            const answer = await cache.urls.answer(keyOf(key), urlRequest(site, changes));
            if (answer.kind === 'kept') {
              const { outcome, warning, reader } = answer;
              const bytes = await drain(reader);
              return { outcome, warning, content: head || bytes.equals(FILE) ? 'old' : 'new' };
            }
            const { status, body } = answer.response;
            body.cancel();
            const [failing] = Object.entries(STATUS).find(([, each]) => each === status) ?? [];
            return { outcome: failing ?? 'PASS', content: undefined, warning: undefined };
          } catch (error) {
            if (!isOriginFailure(error)) throw error;
            return { outcome: error.kind, content: undefined, warning: undefined };
          }
        },
        play(reply) {
          site.before = async () => {
            const { fails, retryAfter } = (await reply()) ?? {};
            if (fails === undefined) return undefined;
            if (fails === 'unavailable' && sends !== 'a status') throw new FakeFailure(fails);
            return plainResponse(STATUS[fails], retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
          };
        },
        questions: () => site.calls.length,
        move: () => {
          site.version = { ...SECOND, headers: { ...SECOND.headers, 'cache-control': 'max-age=0' } };
        },
      };
    },
  });
}

register('a status');
register('nothing where it is unavailable');
