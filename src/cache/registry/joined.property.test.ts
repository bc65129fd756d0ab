import { joinedQuestions } from '../../../test/suites/joined-questions.ts';
import { cacheWorld, LIBRARY } from '../../../test/support/cache-world.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import type { Reference } from '../../oci/index.ts';

const IMAGE = smallImage('joined', []);
const BY_TAG: Reference = { kind: 'tag', tag: 'latest' };
const BY_DIGEST: Reference = { kind: 'digest', digest: IMAGE.manifest.digest };

for (const [name, reference, head] of [
  ['a tag', BY_TAG, false],
  ['the head of a tag', BY_TAG, true],
  ['a manifest by digest', BY_DIGEST, false],
  ['the head of a manifest by digest', BY_DIGEST, true],
] as const) {
  joinedQuestions(name, async (origin) => {
    const cleanUps: (() => Promise<void>)[] = [];
    const scope = { after: (cleanUp: () => Promise<void>) => void cleanUps.push(cleanUp) };
    // Nothing is kept, so that each request has to ask.
    const world = await cacheWorld(scope, { keep: false, tags: { freshFor: 0 } });
    world.origin.addManifest(LIBRARY, IMAGE.manifest, 'latest');
    world.origin.before = origin;
    return {
      ask: (signal) => world.cache.manifest(LIBRARY, reference, { head, signal }),
      forget: () => world.cache.clearFailures(),
      close: async () => {
        for (const cleanUp of cleanUps.toReversed()) await cleanUp();
      },
    };
  });
}
