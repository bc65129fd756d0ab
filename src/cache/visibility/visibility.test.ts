import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { memberRecord } from '../../../test/suites/metadata-store.ts';
import {
  type AnonymousSources,
  digestOf,
  type FailureKind,
  MEDIA_TYPES,
  type Origin,
  type OriginSource,
  type Reference,
  type Repository,
} from '../../oci/index.ts';
import { MemoryMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { RepositoryVisibilities, type VisibilityQuestion } from './visibility.ts';

const APP: Repository = { registry: 'docker.io', repository: 'acme/app' };
const MANIFEST: VisibilityQuestion['wanted'] = { manifest: { kind: 'tag', tag: 'latest' } };
const MINUTE = 60_000;

type Said = 'shown' | 'page' | FailureKind;

/** What an upstream says to a request without a credential; `page` is a page to log in with status 200. */
interface Upstream {
  manifest: Said;
  tags: Said;
  /** What it says to a HEAD by digest. @default the same as by tag */
  stored?: Said;
  asked: string[];
}

type Answers = Readonly<Record<'shown' | 'page', object>>;
const MANIFESTS: Answers = {
  shown: { mediaType: MEDIA_TYPES.ociIndex },
  page: { mediaType: 'application/problem+json' },
};
const BLOBS: Answers = { shown: { size: 1000 }, page: { size: 36 } };
const LISTS: Answers = {
  shown: { bytes: Buffer.from('{"name":"acme/app","tags":["1.0"]}') },
  page: { bytes: Buffer.from('{"title":"Log in"}') },
};

function upstream(manifest: Said, tags: Said = manifest): Upstream {
  return { manifest, tags, asked: [] };
}

function sourcesOf(...upstreams: readonly Upstream[]): AnonymousSources {
  return { sources: upstreams.map(originOf), upstreams: 'https://hub.test' };
}

function originOf(on: Upstream): OriginSource {
  const answer = async (on: Upstream, question: 'manifest' | 'tags' | 'stored', answers: Answers): Promise<never> => {
    on.asked.push(question);
    const said = on[question] ?? on.manifest;
    if (said === 'shown' || said === 'page') return answers[said] as never;
    throw Object.assign(new Error(said), { kind: said, upstream: 'hub', retryAfter: undefined });
  };
  return async () => {
    const origin: Partial<Origin> = {
      headManifest: (_, reference) =>
        answer(on, reference.kind === 'digest' && on.stored !== undefined ? 'stored' : 'manifest', MANIFESTS),
      headBlob: () => answer(on, 'manifest', BLOBS),
      getManifest: () => answer(on, 'manifest', MANIFESTS),
      openBlob: () => answer(on, 'manifest', BLOBS),
      list: () => answer(on, 'tags', LISTS),
    };
    return origin as Origin;
  };
}

let now: number;
let metadata: MemoryMetadataStore;
let adds: number;
let visibilities: RepositoryVisibilities;
let changes: boolean[];
/** A server that starts with what is in the database. */
function restart(): void {
  const telemetry = new Telemetry();
  telemetry.on('visibility.changed', ({ isPublic }) => changes.push(isPublic));
  visibilities = new RepositoryVisibilities({
    metadata,
    telemetry,
    policy: () => ({ freshness: () => 10 * MINUTE }),
    privateAdds: () => adds,
    now: () => now,
  });
}

beforeEach(async () => {
  now = 1_000_000_000;
  metadata = new MemoryMetadataStore();
  const putMembers = metadata.putMembers.bind(metadata);
  adds = 0;
  metadata.putMembers = (...members) => {
    adds += 1;
    return putMembers(...members);
  };
  await metadata.putMembers(APP, [memberRecord(1)]);
  changes = [];
  restart();
});

const isPublic = (
  anonymous: AnonymousSources | undefined,
  wanted: VisibilityQuestion['wanted'] = MANIFEST,
  own: Upstream = upstream('not-found'),
): Promise<boolean> => visibilities.isPublic(APP, { anonymous, wanted, origin: originOf(own) });

describe('what upstreams show without a credential', () => {
  const rows: readonly (readonly [why: string, on: Upstream, expected: boolean, asked: readonly string[]])[] = [
    ['the manifest is shown', upstream('shown'), true, ['manifest']],
    ['the manifest is refused', upstream('denied', 'shown'), false, ['manifest']],
    ['the manifest is missing and the tags are shown', upstream('not-found', 'shown'), true, ['manifest', 'tags']],
    ['the manifest is missing and the tags are refused', upstream('not-found', 'denied'), false, ['manifest', 'tags']],
    ['the repository is missing', upstream('not-found'), false, ['manifest', 'tags']],
    ['a page to log in comes for both', upstream('invalid'), false, ['manifest', 'tags']],
    ['a page in the form of the answer comes for both', upstream('page'), false, ['manifest', 'tags']],
    ['such a page comes for the manifest alone', upstream('page', 'shown'), true, ['manifest', 'tags']],
  ];
  for (const [why, on, expected, asked] of rows) {
    test(`${why}: ${expected ? 'public' : 'private'}`, async () => {
      assert.equal(await isPublic(sourcesOf(on)), expected);
      assert.deepEqual(on.asked, asked);
    });
  }

  test('a missing tag does not close a repository that lists no tags, while a stored one is still shown', async () => {
    const on: Upstream = { ...upstream('not-found', 'denied'), stored: 'shown' };
    assert.equal(await isPublic(sourcesOf(on)), false);
    now += 2 * MINUTE;
    const digest = digestOf(Buffer.from('manifest'));
    const record = { digest, mediaType: '', size: 1, upstream: 'hub', checkedAt: now, visibility: 'private' } as const;
    await metadata.putTag(APP, '1.0', record);
    assert.equal(await isPublic(sourcesOf(on)), true);
    on.stored = 'denied';
    now += 11 * MINUTE;
    assert.equal(await isPublic(sourcesOf(on)), false);
    assert.deepEqual(on.asked.slice(-3), ['manifest', 'tags', 'stored']);
  });

  test('a blob shows its repository where it has the size that a manifest says, and else the tags decide', async () => {
    const digest = digestOf(Buffer.from('blob'));
    const wanted = { blob: digest };
    const unknown = upstream('shown', 'denied');
    assert.equal(await isPublic(sourcesOf(unknown), wanted), false);
    assert.deepEqual(unknown.asked, ['tags']);
    const member = { digest, kind: 'blob', mediaType: '', size: 1000, visibility: 'private' } as const;
    await metadata.putMembers(APP, [member]);
    for (const [on, expected] of [
      [upstream('page', 'denied'), false],
      [upstream('shown', 'denied'), true],
    ] as const) {
      restart();
      assert.equal(await isPublic(sourcesOf(on), wanted), expected);
    }
  });

  for (const text of ['{"tags":null}', '{"tags":[]}', '{"tags":[1]}', '{"tags":"1.0"}', '{"tags":["1.0"', '["1.0"]']) {
    test(`a list that is ${text} shows nothing`, async () => {
      const origin = async () => ({ list: async () => ({ bytes: Buffer.from(text) }) }) as unknown as Origin;
      assert.equal(await isPublic({ sources: [origin], upstreams: '' }, 'list'), false);
    });
  }

  test('every upstream that gets a credential has to show it', async () => {
    assert.equal(await isPublic(sourcesOf(upstream('shown'), upstream('denied'))), false);
    now += 2 * MINUTE;
    assert.equal(await isPublic(sourcesOf(upstream('shown'), upstream('shown'))), true);
  });

  test('where no upstream gets a credential all is public, and where one wants our certificate nothing is', async () => {
    assert.equal(await isPublic({ sources: [], upstreams: '' }), true);
    assert.equal(await isPublic(undefined), false);
  });

  for (const kind of ['throttled', 'unavailable', 'loop'] as const) {
    test(`${kind}: nothing is decided, and the failure is the answer`, async () => {
      await assert.rejects(isPublic(sourcesOf(upstream(kind))), { kind });
      assert.equal(await visibilities.isKnownPublic(APP, sourcesOf(upstream('shown'))), false);
    });
  }
});

describe('a digest that a private repository has too', () => {
  const digest = digestOf(Buffer.from('private'));
  const CLOSED: Repository = { registry: 'ghcr.io', repository: 'acme/closed' };
  const OPEN: AnonymousSources = { sources: [], upstreams: '' };
  const record = (visibility: 'public' | 'private') =>
    ({ digest, kind: 'blob', mediaType: '', size: 1000, visibility }) as const;
  const kinds = [
    ['blob', { blob: digest }],
    ['manifest', { manifest: { kind: 'digest', digest } }],
  ] as const;

  for (const [kind, wanted] of kinds) {
    test(`is shown as a ${kind} where the upstream has it in the public one`, async () => {
      await metadata.putMembers(CLOSED, [record('private')]);
      await metadata.putMembers(APP, [record('public')]);
      const own = upstream('not-found');
      // As for a digest that no repository has: a refusal would say that a private one has it.
      await assert.rejects(isPublic(OPEN, wanted, own), { kind: 'not-found' });
      own.manifest = 'unavailable';
      await assert.rejects(isPublic(OPEN, wanted, own), { kind: 'unavailable' });
      own.manifest = 'shown';
      assert.equal(await isPublic(OPEN, wanted, own), true);
      own.manifest = 'unavailable';
      assert.equal(await isPublic(OPEN, wanted, own), true);
      // What is missing is asked for twice, the second time as the client does.
      assert.deepEqual(own.asked, ['manifest', 'manifest', 'manifest', 'manifest']);
    });
  }

  test('needs no question where all that have it are public, or only this one does', async () => {
    const own = upstream('not-found');
    assert.equal(await isPublic(OPEN, { blob: digest }, own), true);
    await metadata.putMembers(APP, [record('public')]);
    assert.equal(await isPublic(OPEN, { blob: digest }, own), true);
    await metadata.putMembers({ registry: 'quay.io', repository: 'open/app' }, [record('public')]);
    await metadata.putMembers(CLOSED, [record('private')]);
    await metadata.putPublic(CLOSED, { checkedAt: now, upstreams: 'x' });
    assert.equal(await isPublic(OPEN, { blob: digest }, own), true);
    assert.deepEqual(own.asked, []);
  });

  test('what a credential fetched that was removed since is asked for, by tag and by digest', async () => {
    await metadata.putMembers(APP, [record('private')]);
    const row = { digest, mediaType: '', size: 1, upstream: 'hub', checkedAt: now };
    await metadata.putTag(APP, 'latest', { ...row, visibility: 'private' });
    await metadata.putTag(APP, 'new', { ...row, visibility: 'public' });
    const asks: readonly (readonly [VisibilityQuestion['wanted'], boolean])[] = [
      [MANIFEST, false],
      [{ blob: digest }, false],
      [{ manifest: { kind: 'tag', tag: 'new' } }, true],
      ['list', true],
    ];
    for (const [wanted, expected] of asks) assert.equal(await isPublic(OPEN, wanted), expected);
    await metadata.putPublic(APP, { checkedAt: now, upstreams: 'before' });
    for (const [wanted] of asks) assert.equal(await isPublic(OPEN, wanted), true);
  });

  test('a tag that a credential fetched is asked for by its digest, as long as it is served without a question', async () => {
    const row = { digest, mediaType: '', size: 1, upstream: 'hub', checkedAt: now };
    await metadata.putTag(APP, 'latest', { ...row, visibility: 'private' });
    // Another upstream has come, which has another manifest under the tag.
    const asked: Reference['kind'][] = [];
    const origin: Partial<Origin> = {
      headManifest: (_, reference) => {
        asked.push(reference.kind);
        return reference.kind === 'tag'
          ? Promise.resolve({ mediaType: MEDIA_TYPES.ociIndex } as never)
          : Promise.reject(
              Object.assign(new Error('missing'), { kind: 'not-found', upstream: 'hub', retryAfter: undefined }),
            );
      },
    };
    const ask = (): Promise<boolean> =>
      visibilities.isPublic(APP, {
        anonymous: OPEN,
        wanted: MANIFEST,
        origin: () => Promise.resolve(origin as Origin),
      });
    assert.equal(await ask(), false);
    now += 10 * MINUTE;
    assert.equal(await ask(), true);
    assert.deepEqual(asked, ['digest', 'tag']);
  });

  test('is looked up once, until something else is fetched with a credential', async () => {
    let looks = 0;
    const look = metadata.isPrivateElsewhere.bind(metadata);
    metadata.isPrivateElsewhere = (...asked) => {
      looks += 1;
      return look(...asked);
    };
    for (let at = 0; at < 3; at += 1) assert.equal(await isPublic(OPEN, { blob: digest }), true);
    assert.equal(looks, 1);
    await metadata.putMembers(CLOSED, [record('private')]);
    await assert.rejects(isPublic(OPEN, { blob: digest }, upstream('not-found')), { kind: 'not-found' });
    assert.equal(looks, 2);
  });

  test('is asked for however many repositories have it', async () => {
    for (let at = 0; at < 20; at += 1) {
      await metadata.putMembers({ registry: 'docker.io', repository: `a/${at}` }, [record('public')]);
    }
    await metadata.putMembers({ registry: 'docker.io', repository: 'z/closed' }, [record('private')]);
    await assert.rejects(isPublic(OPEN, { blob: digest }, upstream('not-found')), { kind: 'not-found' });
  });
});

describe('how long it holds', () => {
  test('a public repository is asked about again when its tags are, and stays public while its upstream is down', async () => {
    const on = upstream('shown');
    for (const minutes of [0, 9, 11]) {
      now = 1_000_000_000 + minutes * MINUTE;
      assert.equal(await isPublic(sourcesOf(on)), true);
    }
    assert.equal(on.asked.length, 2);
    on.manifest = 'unavailable';
    now += 30 * 24 * 60 * MINUTE;
    assert.equal(await isPublic(sourcesOf(on)), true);
  });

  test('a repository that its upstream has closed is private from the next question on, down or not', async () => {
    const on = upstream('shown');
    await isPublic(sourcesOf(on));
    now += 11 * MINUTE;
    on.manifest = 'denied';
    assert.equal(await isPublic(sourcesOf(on)), false);
    assert.equal(await metadata.getPublic(APP), undefined);
    on.manifest = 'unavailable';
    now += 11 * MINUTE;
    await assert.rejects(isPublic(sourcesOf(on)), { kind: 'unavailable' });
    assert.deepEqual(changes, [false]);
  });

  test('a refused repository is asked about once a minute', async () => {
    const on = upstream('denied');
    assert.equal(await isPublic(sourcesOf(on)), false);
    on.manifest = 'shown';
    now += 59_000;
    assert.equal(await isPublic(sourcesOf(on)), false);
    assert.equal(on.asked.length, 1);
    now += 2000;
    assert.equal(await isPublic(sourcesOf(on)), true);
  });

  test('tags that are not listed say nothing about manifests', async () => {
    const on = upstream('shown', 'not-found');
    assert.equal(await isPublic(sourcesOf(on), 'list'), false);
    assert.equal(await isPublic(sourcesOf(on)), true);
    now += 11 * MINUTE;
    assert.equal(await isPublic(sourcesOf(on), 'list'), false);
    assert.equal(await visibilities.isKnownPublic(APP, sourcesOf(on)), true);
  });

  test('a restart keeps what is public, also while the upstream is down, and nothing of what is private', async () => {
    await isPublic(sourcesOf(upstream('shown')));
    restart();
    now += 60 * MINUTE;
    const down = upstream('unavailable');
    assert.equal(await isPublic(sourcesOf(down)), true);
    assert.equal(await visibilities.isKnownPublic(APP, sourcesOf(down)), true);
  });

  test('what was asked for before it was pulled is kept from the first request after that', async () => {
    await metadata.deleteMember(APP, memberRecord(1).digest);
    const on = upstream('shown');
    await isPublic(sourcesOf(on));
    assert.equal(await metadata.getPublic(APP), undefined);
    await metadata.putMembers(APP, [memberRecord(1)]);
    await isPublic(sourcesOf(on));
    assert.deepEqual(await metadata.getPublic(APP), { checkedAt: now, upstreams: 'https://hub.test' });
    assert.equal(on.asked.length, 1);
  });

  test('what one upstream showed says nothing of the upstream that replaces it', async () => {
    await isPublic(sourcesOf(upstream('shown')));
    const replaced = { ...sourcesOf(upstream('unavailable')), upstreams: 'https://other.test' };
    assert.equal(await visibilities.isKnownPublic(APP, replaced), false);
    await assert.rejects(isPublic(replaced), { kind: 'unavailable' });
  });

  test('a request for a manifest does not wait for the answer to one for the tags, which may not be listed', async () => {
    const on = upstream('shown', 'not-found');
    assert.deepEqual(await Promise.all([isPublic(sourcesOf(on), 'list'), isPublic(sourcesOf(on))]), [false, true]);
  });

  test('requests that come together ask once', async () => {
    const on = upstream('shown');
    const answers = await Promise.all(Array.from({ length: 20 }, () => isPublic(sourcesOf(on))));
    assert.deepEqual([new Set(answers), on.asked.length], [new Set([true]), 1]);
  });
});
