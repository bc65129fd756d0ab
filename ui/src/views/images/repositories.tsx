import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Answer } from '../../api.ts';
import { onLive } from '../../live.ts';
import { Button } from '../../parts/button.tsx';
import { Empty } from '../../parts/feedback.tsx';
import { SearchField, SelectField } from '../../parts/field.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Heading, Link } from '../../parts/page.tsx';
import { PullBox } from '../../parts/pull-box.tsx';
import { PagedTable } from '../../parts/table.tsx';
import { Badge, Time } from '../../parts/values.tsx';
import { usePages } from '../../resource.ts';
import { href, navigate, place, setQuery } from '../../router.ts';
import { formats, words } from '../../words/index.ts';
import { ChoiceBar, useImageActions } from './actions.tsx';
import { useChoice } from './choice.ts';

type Repository = Answer<'repositories'>['repositories'][number];

const nameOf = ({ registry, repository }: Repository): string => `${registry}/${repository}`;

/** The repositories of all registries, or of one. */
export function Repositories({ registry }: { readonly registry: string }): JSX.Element {
  const { images: w } = words.value;
  const { search, home } = place.value.query;
  const input = {
    search,
    ...(registry !== '' && { registry }),
    ...(home === 'hosted' || home === 'mirrored' ? ({ home } as const) : {}),
  };
  const pages = usePages('repositories', input, ({ repositories }) => repositories);
  useReloadOn(pages.reload, ['evicted']);
  const actions = useImageActions(pages.reload);
  const { choice, entries, clear } = useChoice(pages.entries, {
    keyOf: nameOf,
    labelOf: (entry) => w.choose(nameOf(entry)),
    labelOfAll: w.chooseAll,
  });
  const isFiltered = search !== undefined || home !== undefined || registry !== '';
  const names = entries.map(nameOf);
  const lead = registry !== '' && <Crumbs registry="" />;
  return (
    <>
      <Heading title={registry === '' ? words.value.nav.images : registry} {...(lead && { lead })} />
      <div class="toolbar">
        <SearchField label={w.search} value={search ?? ''} change={(value) => setQuery({ search: value })} />
        <RegistryField chosen={registry} entries={pages.entries} />
        <SelectField
          label={w.home}
          value={home ?? ''}
          options={[
            ['', w.any],
            ['mirrored', w.homes.mirrored],
            ['hosted', w.homes.hosted],
          ]}
          change={(value) => setQuery({ home: value })}
        />
      </div>
      <div class="section card">
        <PagedTable
          label={words.value.nav.images}
          pages={pages}
          keyOf={nameOf}
          hrefOf={(entry) => href(`images/${nameOf(entry)}`)}
          choice={mayChange() ? choice : undefined}
          columns={[
            { key: 'name', title: w.repository, width: '4fr', cell: (entry) => <Name entry={entry} /> },
            {
              key: 'home',
              title: w.home,
              width: '6rem',
              narrow: false,
              cell: ({ home: of }) => (
                <Badge tone={of === 'hosted' ? 'info' : 'quiet'} text={w.homes[of]} title={w.homeText[of]} />
              ),
            },
            {
              key: 'tags',
              title: w.tags,
              width: '5rem',
              align: 'end',
              cell: ({ tags }) => formats.value.number(tags),
            },
            { key: 'pulled', title: w.lastPull, width: '2fr', narrow: false, cell: (entry) => <LastPull of={entry} /> },
          ]}
          empty={isFiltered ? <NoMatch text={w.none} /> : <NothingYet />}
        />
      </div>
      <ChoiceBar count={entries.length} clear={clear}>
        <Button icon="refresh" title={w.actions.refreshText} disabled={actions.busy} act={() => actions.refresh(names)}>
          {w.actions.refresh}
        </Button>
        <Button icon="trash" disabled={actions.busy} act={() => actions.purge(names)}>
          {w.actions.purge}
        </Button>
      </ChoiceBar>
      {actions.dialog}
    </>
  );
}

/** The registries of what is listed. One that is chosen has a place of its own, below which its repositories are. */
function RegistryField({
  chosen,
  entries,
}: {
  readonly chosen: string;
  readonly entries: readonly Repository[];
}): JSX.Element {
  const { images: w } = words.value;
  const known = new Set([...(chosen === '' ? [] : [chosen]), ...entries.map(({ registry }) => registry)]);
  return (
    <SelectField
      label={w.registry}
      value={chosen}
      options={[['', w.any] as const, ...[...known].map((name) => [name, name] as const)]}
      change={(name) => navigate(name === '' ? 'images' : `images/${name}`, place.value.query)}
    />
  );
}

function Name({ entry }: { readonly entry: Repository }): JSX.Element {
  const { registry, repository } = entry;
  return (
    <>
      <span class="name-front">{registry}/</span>
      {repository}
      <span class="cell-more">
        <LastPull of={entry} />
      </span>
    </>
  );
}

/** When it was last pulled, and by whom. */
export function LastPull({
  of: { pulledAt, pulledBy },
}: {
  readonly of: { readonly pulledAt?: number; readonly pulledBy?: string };
}): JSX.Element {
  const { images: w } = words.value;
  if (pulledAt === undefined) return <span class="quiet">{w.never}</span>;
  return (
    <span title={pulledBy === undefined ? undefined : w.by(pulledBy)}>
      <Time at={pulledAt} /> {pulledBy !== undefined && <span class="quiet">{w.by(pulledBy)}</span>}
    </span>
  );
}

/** The way back: images, then the registry, then the repository. */
export function Crumbs({
  registry,
  repository,
}: {
  readonly registry: string;
  readonly repository?: string;
}): JSX.Element {
  return (
    <p class="crumbs">
      <Link to="images">{words.value.nav.images}</Link>
      {registry !== '' && (
        <>
          <span aria-hidden="true">/</span>
          <Link to={`images/${registry}`}>{registry}</Link>
        </>
      )}
      {repository !== undefined && (
        <>
          <span aria-hidden="true">/</span>
          <Link to={`images/${registry}/${repository}`}>{repository}</Link>
        </>
      )}
    </p>
  );
}

export function NoMatch({ text }: { readonly text: string }): JSX.Element {
  return (
    <Empty title={text} icon="search">
      <Link to="images" class="button">
        {words.value.images.clearFilters}
      </Link>
    </Empty>
  );
}

function NothingYet(): JSX.Element {
  const { images: w } = words.value;
  return (
    <Empty title={w.noneYet} icon="images">
      <p>{w.noneYetText}</p>
      <PullBox image="docker.io/library/alpine" />
    </Empty>
  );
}

/** Reads a list again at live messages, once for many. */
export function useReloadOn(reload: () => void, kinds: readonly ('tag' | 'evicted' | 'warm')[]): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        reload();
      }, 1500);
    };
    const ends = kinds.map((kind) => onLive(kind, later));
    return () => {
      clearTimeout(timer);
      for (const end of ends) end();
    };
  }, []);
}
