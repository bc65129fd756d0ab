import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { imageName } from '../../format.ts';
import { speedBetween } from '../../merge.ts';
import { Link, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { formats, words } from '../../words/index.ts';
import { Outcome } from '../outcome.tsx';
import type { Overview, Pull, Transfer } from './overview.ts';

/** The pulls that run, each with its progress. */
export function PullsNow({ data: { pulls, pullCount } }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  const speedOf = useSpeeds(pulls);
  const { number } = formats.value;
  return (
    <Section title={w.underWay} aside={number(pullCount)}>
      {pulls.length === 0 ? (
        <p class="quiet">{w.underWayNone}</p>
      ) : (
        <ul class="flows">
          {pulls.map((pull) => (
            <PullRow key={pull.id} pull={pull} speed={speedOf.get(pull.id)} />
          ))}
        </ul>
      )}
      {pullCount > pulls.length && (
        <p class="quiet">
          <Link to="pulls">{w.moreRunning(number(pullCount - pulls.length))}</Link>
        </p>
      )}
    </Section>
  );
}

function PullRow({ pull, speed }: { readonly pull: Pull; readonly speed: number | undefined }): JSX.Element {
  const { now: w, units } = words.value;
  const { bytes, rate, duration } = formats.value;
  const name = imageName(pull);
  const running = pull.running === true;
  const facts = [
    pull.size === undefined ? bytes(pull.bytes) : units.of(bytes(pull.bytes), bytes(pull.size)),
    running && speed !== undefined && rate(speed),
    duration(pull.durationMs),
    pull.user,
    pull.client,
    pull.fetched > 0 && `${w.fetchedRate} ${bytes(pull.fetched)}`,
  ];
  return (
    <li class="flow">
      <div class="flow-head">
        <Link to={`pulls/${pull.id}`} class="flow-name" title={name}>
          {name}
        </Link>
        {!running && <Outcome pull={pull} />}
      </div>
      <Progress
        value={running ? pull.bytes : 1}
        max={running ? pull.size : 1}
        label={name}
        tone={pull.outcome === 'failed' ? 'bad' : 'accent'}
      />
      <Facts of={facts} />
    </li>
  );
}

/** What comes from upstreams. */
export function TransfersNow({ data: { transfers, transferCount } }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  return (
    <Section title={w.transfers} aside={formats.value.number(transferCount)}>
      {transfers.length === 0 ? (
        <p class="quiet">{w.transfersNone}</p>
      ) : (
        <ul class="flows">
          {transfers.map((transfer) => (
            <TransferRow key={transfer.id} transfer={transfer} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function TransferRow({ transfer }: { readonly transfer: Transfer }): JSX.Element {
  const { now: w, units } = words.value;
  const { bytes, rate, number } = formats.value;
  const { registry, repository, digest, size, bytesPerSecond, followers, segments, upstream, upstreams, gain } =
    transfer;
  const name = `${registry}/${repository}`;
  const isFromSeveral = upstreams !== undefined && upstreams.length > 1;
  const connectionsOf = (count: number) => w.segments(count, number(count));
  const facts = [
    size === undefined ? bytes(transfer.bytes) : units.of(bytes(transfer.bytes), bytes(size)),
    bytesPerSecond !== undefined && rate(bytesPerSecond),
    w.followers(followers, number(followers)),
    segments !== undefined && connectionsOf(segments),
    !isFromSeveral && w.from(upstream),
    // What is less is due to the measurement.
    gain !== undefined && gain >= 1.1 && w.gain(number(gain)),
  ];
  return (
    <li class="flow">
      <div class="flow-head">
        <Link to={`images/${name}`} class="flow-name" title={name}>
          {name}
        </Link>
        {digest !== undefined && <code class="quiet">{digest.slice(0, 19)}</code>}
      </div>
      <Progress value={transfer.bytes} max={size} label={`${name} ${digest ?? ''}`} />
      <Facts of={facts} />
      {isFromSeveral &&
        upstreams.map((each) => (
          <Facts
            key={each.upstream}
            of={[w.from(each.upstream), connectionsOf(each.connections), rate(each.bytesPerSecond), bytes(each.bytes)]}
          />
        ))}
    </li>
  );
}

/** A line of short facts. What is false, empty or not known is left out. */
function Facts({ of }: { readonly of: readonly (string | false | undefined)[] }): JSX.Element {
  return <p class="flow-facts">{of.map((fact) => fact && <span key={fact}>{fact}</span>)}</p>;
}

interface Look {
  readonly bytes: number;
  readonly at: number;
  readonly speed: number | undefined;
}

/** Bytes a second of each pull, from one look at it to the next. */
function useSpeeds(pulls: readonly Pull[]): ReadonlyMap<string, number | undefined> {
  const looks = useRef<ReadonlyMap<string, Look>>(new Map());
  const at = performance.now();
  const next = new Map<string, Look>();
  for (const { id, bytes, durationMs } of pulls) {
    const before = looks.current.get(id);
    if (before === undefined) {
      next.set(id, { bytes, at, speed: durationMs > 0 ? (bytes * 1000) / durationMs : undefined });
      continue;
    }
    const speed = bytes === before.bytes && at - before.at < 3000 ? undefined : speedBetween(before, { bytes, at });
    next.set(id, speed === undefined ? before : { bytes, at, speed });
  }
  looks.current = next;
  return new Map([...next].map(([id, { speed }]) => [id, speed]));
}
