import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { shortDigest } from '../../format.ts';
import { Button } from '../../parts/button.tsx';
import { Loaded } from '../../parts/feedback.tsx';
import { mayChange, ReadOnly } from '../../parts/may-change.tsx';
import { Heading, Prose, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { PullBox } from '../../parts/pull-box.tsx';
import { Tabs } from '../../parts/tabs.tsx';
import { Badge, Bytes, Digest, Time } from '../../parts/values.tsx';
import { type Resource, useRead } from '../../resource.ts';
import { place, setQuery } from '../../router.ts';
import { formats, words } from '../../words/index.ts';
import { type ImageActions, useImageActions } from './actions.tsx';
import { Contents } from './contents.tsx';
import { Explanation } from './explanation.tsx';
import { History } from './history.tsx';
import { splitImage } from './name.ts';
import { Crumbs, LastPull } from './repositories.tsx';
import { Fresh, State } from './repository.tsx';
import { HoldNote } from './rollback.tsx';

type ImageData = Answer<'image'>;

const TABS = ['contents', 'history', 'referrers', 'explain'] as const;
type TabName = (typeof TABS)[number];

/** One image: what is stored of it, where its tag pointed, what refers to it, and what its next pull does. */
export function Image({ image }: { readonly image: string }): JSX.Element {
  const { name, registry, repository, reference, isDigest } = splitImage(image);
  const data = useRead('image', { image }, { on: ['tag', 'evicted', 'warm'] });
  const actions = useImageActions(data.reload);
  // Said aloud and in a row of tabs, a tag alone names nothing.
  const title = isDigest ? `${repository}@${shortDigest(reference)}` : `${repository}:${reference}`;
  return (
    <>
      <Heading title={title} lead={<Crumbs registry={registry} repository={repository} />}>
        <ImageButtons image={image} data={data} actions={actions} isDigest={isDigest} />
      </Heading>
      <ReadOnly />
      <Loaded of={data} lines={10}>
        {(known) => <ImageParts image={image} name={name} data={known} reload={data.reload} isDigest={isDigest} />}
      </Loaded>
      {actions.dialog}
      {data.data === undefined && data.error !== undefined && (
        <Section title={words.value.images.tabs.explain}>
          <Explanation image={image} />
        </Section>
      )}
    </>
  );
}

function ImageButtons({
  image,
  data: { data },
  actions,
  isDigest,
}: {
  readonly image: string;
  readonly data: Resource<ImageData>;
  readonly actions: ImageActions;
  readonly isDigest: boolean;
}): JSX.Element | null {
  const { images: w } = words.value;
  if (!mayChange() || data === undefined || data.home === 'hosted') return null;
  const { pinned } = data.entry;
  return (
    <>
      {!isDigest && (
        <>
          <Button
            icon="refresh"
            title={w.actions.refreshText}
            disabled={actions.busy}
            act={() => actions.refresh([image])}
          >
            {w.actions.refresh}
          </Button>
          <Button
            icon="pin"
            title={pinned === 'configuration' ? w.pinnedBy.configuration.replaceAll('`', '') : w.actions.pinText}
            disabled={actions.busy || pinned === 'configuration'}
            act={() => actions.pin([image], pinned === undefined)}
          >
            {pinned === undefined ? w.actions.pin : w.actions.unpin}
          </Button>
        </>
      )}
      <Button
        icon="flame"
        title={w.actions.warmText}
        disabled={actions.busy || data.entry.complete}
        act={() => actions.warm([image])}
      >
        {w.actions.warm}
      </Button>
      <Button icon="trash" disabled={actions.busy} act={() => actions.purge([image])}>
        {w.actions.purge}
      </Button>
    </>
  );
}

function ImageParts({
  image,
  name,
  data,
  reload,
  isDigest,
}: {
  readonly image: string;
  readonly name: string;
  readonly data: ImageData;
  readonly reload: () => void;
  readonly isDigest: boolean;
}): JSX.Element {
  const { images: w } = words.value;
  const wanted = TABS.find((each) => each === place.value.query['tab']);
  const shown: readonly TabName[] = isDigest ? TABS.filter((each) => each !== 'history') : TABS;
  const chosen: TabName = wanted !== undefined && shown.includes(wanted) ? wanted : 'contents';
  const { referrers, hold } = data;
  return (
    <>
      {hold !== undefined && <HoldNote image={image} hold={hold} done={reload} />}
      <Section title={w.pullCommand}>
        <PullBox image={image} />
      </Section>
      <Section title={w.facts}>
        <Facts data={data} />
      </Section>
      <section class="section card">
        <Tabs
          label={w.sections}
          chosen={chosen}
          choose={(tab) => setQuery({ tab: tab === 'contents' ? undefined : tab })}
          tabs={shown.map((tab) => ({
            name: tab,
            title: tab === 'referrers' ? `${w.tabs.referrers} ${formats.value.number(referrers.length)}` : w.tabs[tab],
          }))}
        >
          {chosen === 'contents' && <Contents name={name} data={data} />}
          {chosen === 'history' && <History image={image} home={data.home} done={reload} />}
          {chosen === 'referrers' && <Contents name={name} data={data} referrers />}
          {chosen === 'explain' && <Explanation image={image} />}
        </Tabs>
      </section>
    </>
  );
}

function Facts({ data: { entry, home, created } }: { readonly data: ImageData }): JSX.Element {
  const { images: w } = words.value;
  const { digest, mediaType, platforms, bytes, storedBytes, checkedAt, pinned } = entry;
  const { bytes: text } = formats.value;
  return (
    <dl class="facts">
      <dt>{w.digest}</dt>
      <dd>
        <Digest value={digest} />
      </dd>
      <dt>{w.stored}</dt>
      <dd>
        <State entry={entry} />{' '}
        {bytes === undefined || entry.complete ? (
          <Bytes value={storedBytes} />
        ) : (
          <>
            {words.value.units.of(text(storedBytes), text(bytes))}
            <Progress value={storedBytes} max={bytes} label={w.stored} />
          </>
        )}
      </dd>
      {platforms.length > 0 && (
        <>
          <dt>{w.platforms}</dt>
          <dd>{platforms.join(', ')}</dd>
        </>
      )}
      <dt>{w.home}</dt>
      <dd>
        <Badge tone={home === 'hosted' ? 'info' : 'quiet'} text={w.homes[home]} title={w.homeText[home]} />
      </dd>
      <dt>{w.lastPulled}</dt>
      <dd>
        <LastPull of={entry} />
      </dd>
      {checkedAt !== undefined && (
        <>
          <dt>{home === 'hosted' ? w.pushed : w.checked}</dt>
          <dd>
            <Time at={checkedAt} />
          </dd>
        </>
      )}
      {entry.tag !== '' && (
        <>
          <dt>{w.fresh}</dt>
          <dd>
            <Fresh entry={entry} home={home} />
          </dd>
        </>
      )}
      {pinned !== undefined && (
        <>
          <dt>{w.pinned}</dt>
          <dd>
            <Prose text={w.pinnedBy[pinned]} />
          </dd>
        </>
      )}
      {created !== undefined && !Number.isNaN(Date.parse(created)) && (
        <>
          <dt>{w.created}</dt>
          <dd>
            <Time at={Date.parse(created)} />
          </dd>
        </>
      )}
      <dt>{w.mediaType}</dt>
      <dd>
        <code>{mediaType}</code>
      </dd>
    </dl>
  );
}
