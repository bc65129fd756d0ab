import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { now } from '../../clock.ts';
import { shortDigest } from '../../format.ts';
import { Button } from '../../parts/button.tsx';
import { Empty } from '../../parts/feedback.tsx';
import { SearchField } from '../../parts/field.tsx';
import { mayChange, ReadOnly } from '../../parts/may-change.tsx';
import { Heading } from '../../parts/page.tsx';
import { PullBox } from '../../parts/pull-box.tsx';
import { PagedTable } from '../../parts/table.tsx';
import { Badge, Time } from '../../parts/values.tsx';
import { usePages } from '../../resource.ts';
import { href, place, setQuery } from '../../router.ts';
import { formats, words } from '../../words/index.ts';
import { ChoiceBar, useImageActions } from './actions.tsx';
import { useChoice } from './choice.ts';
import { nameOfEntry, splitImage } from './name.ts';
import { Crumbs, LastPull, NoMatch, useReloadOn } from './repositories.tsx';

type Tag = Answer<'tagList'>['tags'][number];
type Home = Answer<'tagList'>['home'];

const SHOWN_PLATFORMS = 3;

/** The tags of one repository, and its manifests without one. */
export function RepositoryTags({ repository }: { readonly repository: string }): JSX.Element {
  const { images: w } = words.value;
  const { search } = place.value.query;
  const { registry, repository: name } = splitImage(repository);
  const pages = usePages('tagList', { image: repository, search }, ({ tags, home }) =>
    tags.map((tag) => ({ ...tag, home })),
  );
  useReloadOn(pages.reload, ['tag', 'evicted', 'warm']);
  const actions = useImageActions(pages.reload);
  const { choice, entries, clear } = useChoice(pages.entries, {
    keyOf: ({ tag, digest }) => `${tag} ${digest}`,
    labelOf: ({ tag, digest }) => w.choose(tag === '' ? shortDigest(digest) : tag),
    labelOfAll: w.chooseAll,
  });
  const isMirrored = pages.entries.every(({ home }) => home === 'mirrored');
  const names = entries.map((entry) => nameOfEntry(repository, entry));
  const tagged = entries.filter(({ tag }) => tag !== '').map((entry) => nameOfEntry(repository, entry));
  const may = mayChange();
  return (
    <>
      <Heading title={name} lead={<Crumbs registry={registry} />}>
        {may && isMirrored && (
          <>
            <Button
              icon="refresh"
              title={w.actions.refreshText}
              disabled={actions.busy}
              act={() => actions.refresh([repository])}
            >
              {w.actions.refresh}
            </Button>
            <Button icon="trash" disabled={actions.busy} act={() => actions.purge([repository])}>
              {w.actions.purge}
            </Button>
          </>
        )}
      </Heading>
      <ReadOnly />
      <div class="toolbar">
        <SearchField label={w.filterTags} value={search ?? ''} change={(value) => setQuery({ search: value })} />
      </div>
      <div class="section card">
        <PagedTable
          label={w.tags}
          pages={pages}
          keyOf={({ tag, digest }) => `${tag} ${digest}`}
          hrefOf={(entry) => href(`images/${nameOfEntry(repository, entry)}`)}
          choice={may && isMirrored ? choice : undefined}
          columns={[
            {
              key: 'tag',
              title: w.tag,
              width: '2fr',
              cell: (entry) => (
                <>
                  <TagName entry={entry} />
                  <span class="cell-more">
                    {sizeOf(entry)} · <LastPull of={entry} />
                  </span>
                </>
              ),
            },
            {
              key: 'platforms',
              title: w.platforms,
              width: '1.7fr',
              narrow: false,
              cell: ({ platforms }) => <Platforms names={platforms} />,
            },
            { key: 'state', title: w.stored, width: '5.5rem', cell: (entry) => <State entry={entry} /> },
            { key: 'size', title: w.size, width: '7rem', align: 'end', narrow: false, cell: sizeOf },
            {
              key: 'fresh',
              title: w.fresh,
              width: '7.5rem',
              narrow: false,
              cell: (entry) => <Fresh entry={entry} home={entry.home} />,
            },
            {
              key: 'pulled',
              title: w.lastPull,
              width: '2.3fr',
              narrow: false,
              cell: (entry) => <LastPull of={entry} />,
            },
          ]}
          empty={
            search === undefined ? (
              <Empty title={w.noTagsYet} icon="images">
                <PullBox image={`${repository}:latest`} />
              </Empty>
            ) : (
              <NoMatch text={w.noTags} />
            )
          }
        />
      </div>
      <ChoiceBar count={entries.length} clear={clear}>
        <Button
          icon="refresh"
          title={w.actions.refreshText}
          disabled={actions.busy || tagged.length === 0}
          act={() => actions.refresh(tagged)}
        >
          {w.actions.refresh}
        </Button>
        <Button
          icon="flame"
          title={w.actions.warmText}
          disabled={actions.busy || tagged.length === 0}
          act={() => actions.warm(tagged)}
        >
          {w.actions.warm}
        </Button>
        <Button
          icon="pin"
          title={w.actions.pinText}
          disabled={actions.busy || tagged.length === 0}
          act={() => actions.pin(tagged, true)}
        >
          {w.actions.pin}
        </Button>
        <Button
          disabled={actions.busy || !entries.some(({ pinned }) => pinned === 'operator')}
          act={() =>
            actions.pin(
              entries.filter(({ pinned }) => pinned === 'operator').map((entry) => nameOfEntry(repository, entry)),
              false,
            )
          }
        >
          {w.actions.unpin}
        </Button>
        <Button icon="trash" disabled={actions.busy} act={() => actions.purge(names)}>
          {w.actions.purge}
        </Button>
      </ChoiceBar>
      {actions.dialog}
    </>
  );
}

function TagName({ entry: { tag, digest, held, pinned } }: { readonly entry: Tag }): JSX.Element {
  const { images: w } = words.value;
  return (
    <>
      {tag === '' ? (
        <>
          <code>{shortDigest(digest)}</code> <span class="quiet">{w.untagged}</span>
        </>
      ) : (
        tag
      )}
      {held === true && <Badge tone="warn" text={w.held} />}
      {pinned !== undefined && <Badge tone="info" text={w.pinned} title={plain(w.pinnedBy[pinned])} />}
    </>
  );
}

/** Without the marks of code: a title shows text alone. */
function plain(text: string): string {
  return text.replaceAll('`', '');
}

function Platforms({ names }: { readonly names: readonly string[] }): JSX.Element {
  const more = names.length - SHOWN_PLATFORMS;
  if (names.length === 0) return <span class="quiet">—</span>;
  // Nearly every image is of Linux; the architecture tells them apart.
  const isLinux = names.every((name) => name.startsWith('linux/'));
  return (
    <span title={names.join('\n')}>
      {names
        .slice(0, SHOWN_PLATFORMS)
        .map(isLinux ? withoutSystem : String)
        .join(', ')}
      {more > 0 && <span class="quiet"> +{formats.value.number(more)}</span>}
    </span>
  );
}

function withoutSystem(platform: string): string {
  return platform.slice(platform.indexOf('/') + 1);
}

/** How much of an image is stored, in a word. */
export function State({
  entry: { complete, storedBytes },
}: {
  readonly entry: Pick<Tag, 'complete' | 'storedBytes'>;
}): JSX.Element {
  const { images: w } = words.value;
  const state = complete ? 'stored' : storedBytes > 0 ? 'partial' : 'missing';
  const tone = { stored: 'good', partial: 'quiet', missing: 'warn' } as const;
  return <Badge tone={tone[state]} text={w.state[state]} title={w.stateText[state]} />;
}

function sizeOf({ bytes, storedBytes, complete }: Tag): JSX.Element {
  const { bytes: text } = formats.value;
  if (bytes === undefined) return <span class="number">{text(storedBytes)}</span>;
  return <span class="number">{complete ? text(bytes) : words.value.units.of(text(storedBytes), text(bytes))}</span>;
}

/** Until when no upstream is asked. */
export function Fresh({
  entry: { freshUntil },
  home,
}: {
  readonly entry: Pick<Tag, 'freshUntil'>;
  readonly home: Home;
}): JSX.Element {
  const { images: w } = words.value;
  if (home === 'hosted') return <span class="quiet">{w.freshHosted}</span>;
  if (freshUntil === undefined || freshUntil <= now.value) {
    return (
      <span class="quiet" title={w.freshNotText}>
        {w.freshNot}
      </span>
    );
  }
  return <Time at={freshUntil} />;
}
