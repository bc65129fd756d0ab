import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CopyJobs } from '../../copy/index.ts';
import { TransferSlots } from '../../jobs/index.ts';
import { OciError, type Reference } from '../../oci/index.ts';
import type { CopyEnds, CopyNames } from '../settings/index.ts';
import { type ImageEnds, runCopy } from './copy-run.ts';

const placeOf = (name: string) => {
  const slash = name.indexOf('/');
  return { text: name, repository: { registry: name.slice(0, slash), repository: name.slice(slash + 1) } };
};
const tag = (name: string): Reference => ({ kind: 'tag', tag: name });

function endsOf({ from, to }: CopyNames): CopyEnds {
  if (to.startsWith('bad')) throw new OciError('UNSUPPORTED', `${to} takes no copy`);
  return { source: { ...placeOf(from), reference: tag('1') }, destination: { ...placeOf(to), reference: tag('1') } };
}

function imageOf({ source, destination }: CopyEnds, name = '1'): ImageEnds {
  return {
    source: { ...source, text: `${source.text}:${name}` },
    destination: { ...destination, text: `${destination.text}:${name}` },
    from: tag(name),
    to: tag(name),
  };
}

/** A run whose copies all fail, as there is no source: what is tested is what becomes a copy. */
function stage(names: readonly (readonly [from: string, to: string, allTags?: boolean])[]) {
  const fault = (): never => {
    throw new OciError('NAME_UNKNOWN', 'nothing to copy from');
  };
  const jobs = new CopyJobs({ slots: new TransferSlots(() => 1), sourceOf: async () => fault(), destinationOf: fault });
  const lists: { readonly signal: AbortSignal; readonly give: (tags: readonly string[] | Error) => void }[] = [];
  const asked: (() => void)[] = [];
  const begin = () =>
    runCopy(
      { images: names.map(([from, to, allTags = false]) => ({ from, to, allTags })), platforms: [] },
      {
        by: 'alice',
        jobs,
        endsOf,
        imageOf: (ends) => imageOf(ends),
        tagsOf(ends, signal) {
          const { promise, resolve, reject } = Promise.withResolvers<readonly ImageEnds[]>();
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          const give = (tags: readonly string[] | Error): void =>
            tags instanceof Error ? reject(tags) : resolve(tags.map((name) => imageOf(ends, name)));
          lists.push({ signal, give });
          asked.shift()?.();
          return promise;
        },
        retryAfter: (error, failures) => (failures < 3 && String(error).includes('passing') ? 1 : undefined),
      },
    );
  /** The next list that is asked for. */
  const nextList = async () => {
    if (lists.length === 0) await new Promise<void>((resolve) => asked.push(resolve));
    return lists.shift() as (typeof lists)[number];
  };
  return { jobs, begin, nextList };
}

describe('a run of a copy', () => {
  test('is a job at once where no list is needed, and what cannot be copied stops no other image', async () => {
    const { jobs, begin } = stage([
      ['cold/a', 'hot/a'],
      ['cold/b', 'bad/b'],
    ]);
    const run = begin();
    assert.ok(jobs.find(run.job ?? '') !== undefined);
    const { done, failed, errors, sent } = await run.ended;
    assert.deepEqual([done, failed, sent], [0, 2, 0]);
    assert.deepEqual(errors, [
      { image: 'bad/b', error: 'bad/b takes no copy' },
      { image: 'hot/a:1', error: 'nothing to copy from' },
    ]);
  });

  test('does not begin where nothing of it can be copied', () => {
    assert.throws(() => stage([['cold/b', 'bad/b', true]]).begin(), { message: 'bad/b takes no copy' });
  });

  test('is a job once the tags are read, and a list that fails stops no other image', async () => {
    const { jobs, begin, nextList } = stage([
      ['cold/a', 'hot/a', true],
      ['cold/b', 'hot/b', true],
      ['cold/c', 'hot/c'],
    ]);
    const run = begin();
    (await nextList()).give(['1', '2']);
    assert.equal(run.job, undefined);
    (await nextList()).give(new Error('a passing one'));
    (await nextList()).give(new Error('no list'));
    const { failed, errors } = await run.ended;
    assert.equal(failed, 4);
    assert.deepEqual(errors[0], { image: 'hot/b', error: 'no list' });
    const job = jobs.find(run.job ?? '');
    assert.equal(job?.entries.size, 3);
  });

  test('that is cancelled while tags are read begins no job', async () => {
    const { jobs, begin, nextList } = stage([
      ['cold/a', 'hot/a', true],
      ['cold/c', 'hot/c'],
    ]);
    const run = begin();
    const list = await nextList();
    run.cancel();
    assert.equal(list.signal.aborted, true);
    const { cancelled, failed } = await run.ended;
    assert.deepEqual([cancelled, failed, run.job], [2, 0, undefined]);
    assert.deepEqual(await jobs.list(() => true), []);
  });
});
