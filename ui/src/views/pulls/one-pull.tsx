import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Answer, ApiError } from '../../api.ts';
import { imageName } from '../../format.ts';
import { onLive } from '../../live.ts';
import { CopyButton } from '../../parts/copy.tsx';
import { Empty, Fault, Skeleton } from '../../parts/feedback.tsx';
import { Icon } from '../../parts/icons.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Heading, Link, Prose, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { Bytes, Duration, Time } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';
import { Outcome } from '../outcome.tsx';
import { Waterfall } from './waterfall.tsx';

export type PullDetail = NonNullable<Answer<'explain'>['pull']>;

/** One pull, explained: by the id of any of its requests. */
export function OnePull({ id }: { readonly id: string }): JSX.Element {
  const { pulls: w } = words.value;
  const found = useRead('explain', { of: id });
  const { data, error } = found;
  const first = data?.pull?.id;
  // A message of it comes once a second at most.
  useEffect(() => onLive('pull', (pull) => pull.id === first && found.reload()), [first]);
  const back = (
    <Link to="pulls" class="crumb">
      <Icon name="back" size={16} />
      {w.back}
    </Link>
  );
  if (data?.pull !== undefined) return <Explained pull={data.pull} back={back} />;
  const isUnknown = error instanceof ApiError && error.status === 404;
  return (
    <>
      <Heading title={id} lead={back} />
      {data === undefined && error === undefined && <Skeleton lines={8} />}
      {error !== undefined && !isUnknown && <Fault error={error} retry={found.reload} />}
      {isUnknown && <Empty title={w.notFound} icon="search" />}
      {data?.image !== undefined && (
        <Link to={`images/${data.image.image}`} class="button">
          {w.openImage}
        </Link>
      )}
    </>
  );
}

function Explained({ pull, back }: { readonly pull: PullDetail; readonly back: JSX.Element }): JSX.Element {
  const { pulls: w, outcome } = words.value;
  const { registry, repository, reference } = pull;
  const name = imageName({ registry, repository, reference });
  return (
    <>
      <Heading title={name} lead={back}>
        <Link to={`images/${name}`} class="button">
          <Icon name="images" size={16} />
          {w.openImage}
        </Link>
      </Heading>
      <div class="columns columns-even">
        <Section title={w.explained} aside={<Outcome pull={pull} />}>
          {pull.running === true ? (
            <Progress value={pull.bytes} max={pull.size} label={name} />
          ) : (
            <p>{outcome[`${pull.outcome}Text`]}</p>
          )}
          <ul class="sentences">
            {sentencesOf(pull).map((text) => (
              <li key={text}>
                <Prose text={text} />
              </li>
            ))}
          </ul>
        </Section>
        <Section title={w.details}>
          <dl class="facts">
            <dt>{w.when}</dt>
            <dd>
              <Time at={pull.at} /> <span class="quiet">({formats.value.time(pull.at)})</span>
            </dd>
            <dt>{w.took}</dt>
            <dd>
              <Duration ms={pull.durationMs} />
            </dd>
            <dt>{w.size}</dt>
            <dd>
              <Bytes value={pull.bytes} />
            </dd>
            <dt>{w.fetched}</dt>
            <dd>
              <Bytes value={pull.fetched} />
            </dd>
            <dt>{w.requests}</dt>
            <dd>{formats.value.number(pull.requests)}</dd>
            <dt>{w.id}</dt>
            <dd class="digest">
              <code>{pull.id}</code>
              <CopyButton text={pull.id} small />
            </dd>
          </dl>
        </Section>
      </div>
      <Waterfall pull={pull} />
    </>
  );
}

/** What happened, in whole sentences. */
function sentencesOf(pull: PullDetail): readonly string[] {
  const { pulls: w } = words.value;
  const { bytes, number } = formats.value;
  const { namedBy, user, client, userAgent, rule, verdict } = pull;
  const named = Object.entries(w.named).find(([way]) => way === namedBy)?.[1] ?? w.named.unknown;
  const who = user === undefined || user === 'anonymous' ? w.whoAnonymous : user;
  const ruled =
    verdict === 'denied'
      ? w.ruleDenied
      : verdict === 'would-deny'
        ? w.ruleWouldDeny
        : rule === undefined
          ? verdict === undefined
            ? w.ruleNone
            : undefined
          : w.ruleAllowed(rule);
  return [
    named,
    // Without an address it is hidden from this reader, or there is none.
    ...(client === '' && !mayChange() ? [] : [w.whoText(who, client)]),
    ...(userAgent === undefined ? [] : [w.agent(userAgent.replaceAll('`', "'"))]),
    ...(ruled === undefined ? [] : [ruled]),
    w.countText(pull.requests, number(pull.requests), number(pull.hits)),
    w.bytesText(bytes(pull.bytes), bytes(pull.fetched)),
    ...(pull.hits > 0 && pull.bytes > pull.fetched ? [w.savedText(bytes(pull.bytes - pull.fetched))] : []),
  ];
}
