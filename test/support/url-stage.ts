import assert from 'node:assert/strict';
import type { KeptUrl, UrlAnswer, UrlRequest } from '../../src/cache/index.ts';
import { type CacheWorld, cacheWorld, drain, type Scope, type WorldOptions } from './cache-world.ts';
import { CuedBody } from './fake-origin.ts';
import { FakeSite, FILE_KEY, type SiteVersion, urlRequest } from './fake-site.ts';
import { noise } from './image.ts';

export const FILE = noise('file', 300_000);
export const FIRST: SiteVersion = { bytes: FILE, headers: { etag: '"v1"', 'content-type': 'application/gzip' } };
export const SECOND: SiteVersion = { bytes: noise('other', 300_000), headers: { etag: '"v2"' } };

/** A cache by URL with a site behind it. */
export interface UrlStage extends CacheWorld {
  readonly site: FakeSite;
  readonly clock: { now: number };
  readonly ask: (changes?: Partial<UrlRequest>) => Promise<UrlAnswer>;
  /** Fails where it is passed on. */
  readonly kept: (changes?: Partial<UrlRequest>) => Promise<KeptUrl>;
  /** Asks, reads all of it, and waits until it is kept. */
  readonly fill: () => Promise<void>;
  readonly seen: CacheWorld['seen'];
  readonly next: CacheWorld['next'];
}

export async function urlStage(t: Scope, version: SiteVersion = FIRST, options: WorldOptions = {}): Promise<UrlStage> {
  const clock = { now: Date.parse('2026-11-21T12:00:00Z') };
  const world = await cacheWorld(t, { now: () => clock.now, ...options });
  const site = new FakeSite(version);
  const ask = (changes?: Partial<UrlRequest>) => world.cache.urls.answer(FILE_KEY, urlRequest(site, changes));
  const kept = async (changes?: Partial<UrlRequest>): Promise<KeptUrl> => {
    const answer = await ask(changes);
    assert.equal(answer.kind, 'kept');
    return answer;
  };
  const fill = async (): Promise<void> => {
    const finished = world.next('ingest.finished');
    const { reader } = await kept();
    await drain(reader);
    assert.equal((await finished).outcome, 'committed');
    site.calls.length = 0;
  };
  return { ...world, site, clock, ask, kept, fill };
}

/** Bodies that come on cue: one for each opening, in order. */
export function cue(site: FakeSite): (n: number) => Promise<CuedBody> {
  const bodies: CuedBody[] = [];
  let opened = Promise.withResolvers<void>();
  site.deliver = () => {
    const body = new CuedBody();
    bodies.push(body);
    opened.resolve();
    opened = Promise.withResolvers();
    return body;
  };
  return async (n) => {
    while (bodies.length <= n) await opened.promise;
    return bodies[n] as CuedBody;
  };
}

/** What was passed on, read to its end. */
export async function through(answer: UrlAnswer): Promise<{ readonly status: number; readonly bytes: Buffer }> {
  assert.equal(answer.kind, 'through');
  if (answer.kind !== 'through') throw new TypeError();
  const parts: Buffer[] = [];
  for (;;) {
    const chunk = await answer.response.body.read();
    if (chunk === undefined) return { status: answer.response.status, bytes: Buffer.concat(parts) };
    parts.push(Buffer.from(chunk));
  }
}
