import {
  type Caller,
  detailShownTo,
  type FiguresAnswer,
  type FiguresInput,
  type OperationContext,
  OperationError,
  type PullsAnswer,
  type PullsInput,
  pullShownTo,
} from '../../admin/index.ts';
import { type ListPosition, loadPullReading, type PullRecorder } from '../../pulls/index.ts';
import { withoutOwnHost } from '../../routing/index.ts';
import type { RunningServer } from '../running-server.ts';
import { addUp, isSeenBy, type RepositorySums, sumsOf } from './figure-sums.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const STEPS = { hour: HOUR, day: DAY } as const;

/** Repositories that are listed by their names. */
const MOST_LISTED = 20;

/** What the operations on pulls read: the record of this process and of those before. */
export function pullsOf({ parts, live }: RunningServer): OperationContext['pulls'] {
  const { recorder } = parts.recording;
  const withoutHost = (text: string): string => withoutOwnHost(live.current.upstreams.catalogue, text);
  return {
    async list(input: PullsInput, caller: Caller): Promise<PullsAnswer> {
      const { limit, image, client, outcome, running } = input;
      const { listPulls } = await loadPullReading();
      const { pulls, next } = await listPulls(recorder, {
        after: input.after === undefined ? undefined : positionIn(input.after),
        limit,
        filter: { image: wordsIn(image)?.map(withoutHost), client: wordsIn(client), outcome },
        onlyRunning: running === true,
        isSeen: (repository) => isSeenBy(caller, repository),
        show: (pull) => pullShownTo(caller, pull),
      });
      const { since, omitted } = recorder;
      return {
        pulls,
        since,
        ...offOf(recorder),
        ...(omitted === undefined ? {} : { omitted }),
        ...(next === undefined ? {} : { next: textOf(next) }),
      };
    },
    async find(id: string, caller: Caller) {
      const { findPull } = await loadPullReading();
      const pull = await findPull(recorder, id);
      return pull !== undefined && (await isSeenBy(caller, pull)) ? detailShownTo(caller, pull) : undefined;
    },
    async figures(input: FiguresInput, caller: Caller): Promise<FiguresAnswer> {
      const { readFigures } = await loadPullReading();
      const step = STEPS[input.step];
      const to = input.to ?? Date.now();
      // A step that has begun counts whole.
      const from = input.from === undefined ? aligned(to - DAY + step - 1, step) : aligned(input.from, step);
      const image = withoutHost(input.image?.trim() ?? '');
      const { steps, repositories } = await readFigures(recorder, {
        from,
        to,
        step,
        isSeen: (name) => (image === '' || `${name.registry}/${name.repository}` === image) && isSeenBy(caller, name),
      });
      return {
        since: recorder.since,
        ...offOf(recorder),
        from,
        to,
        total: sumsOf(addUp(repositories)),
        rows: [...steps].map(([at, sums]) => ({ at, ...sumsOf(sums) })),
        top: topOf(repositories),
      };
    },
  };
}

function offOf({ isOn }: PullRecorder): Pick<PullsAnswer, 'off'> {
  return isOn ? {} : { off: true };
}

/** The repositories with the most bytes, and all others together. */
function topOf(repositories: readonly RepositorySums[]): FiguresAnswer['top'] {
  const named = repositories.filter(({ registry }) => registry !== '').sort((one, other) => other.bytes - one.bytes);
  const listed = named.slice(0, MOST_LISTED);
  const others = repositories.filter((each) => !listed.includes(each));
  const top = listed.map(({ registry, repository, ...sums }) => ({ registry, repository, ...sumsOf(sums) }));
  return others.length === 0 ? top : [...top, { registry: '', repository: '', ...sumsOf(addUp(others)) }];
}

function aligned(time: number, step: number): number {
  return time - (time % step);
}

function wordsIn(text: string | undefined): readonly string[] | undefined {
  const words = text
    ?.toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return words === undefined || words.length === 0 ? undefined : words;
}

function textOf({ isRunning, at, id }: ListPosition): string {
  return `${isRunning ? 'running' : 'ended'}.${at}.${id}`;
}

/** @throws {OperationError} */
function positionIn(text: string): ListPosition {
  const [, state, at, id] = /^(running|ended)\.(\d{1,16})\.([\w-]{1,64})$/.exec(text) ?? [];
  if (at === undefined || id === undefined) {
    throw new OperationError('after: expected the `next` of an earlier answer');
  }
  return { isRunning: state === 'running', at: Number(at), id };
}
