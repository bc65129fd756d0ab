import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, ApiError, change, session } from '../api.ts';
import { Button, IconButton } from '../parts/button.tsx';
import { CopyButton, Snippet } from '../parts/copy.tsx';
import { Empty, Fault, Loaded } from '../parts/feedback.tsx';
import { SearchField } from '../parts/field.tsx';
import { Icon } from '../parts/icons.tsx';
import { Heading, Prose } from '../parts/page.tsx';
import { Table } from '../parts/table.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Badge } from '../parts/values.tsx';
import { asApiError } from '../reason.ts';
import { useRead } from '../resource.ts';
import { navigate, place, setQuery } from '../router.ts';
import { formats, words } from '../words/index.ts';
import type { ViewProps } from './view.ts';

type Known = Answer<'configuration'>;
type Option = Known['options'][number];
type Reloaded = Answer<'reload'>;

const TABS = ['options', 'problems', 'yaml'] as const;
type TabName = (typeof TABS)[number];

/** What holds and where it comes from, what is wrong with it, and the reload: `/ui/configuration/problems`. */
export function Configuration({ rest }: ViewProps): JSX.Element {
  const known = useRead('configuration', {}, { on: ['reloaded'] });
  const chosen = TABS.find((each) => each === rest) ?? 'options';
  return (
    <>
      <Heading title={words.value.nav.configuration}>
        {session.value?.canChange === true && <ReloadButton done={known.reload} />}
      </Heading>
      <Outcome />
      <Loaded of={known} lines={10}>
        {(data) => <Parts data={data} chosen={chosen} />}
      </Loaded>
    </>
  );
}

function Parts({ data, chosen }: { readonly data: Known; readonly chosen: TabName }): JSX.Element {
  const { configuration: w } = words.value;
  const { problems, source, yaml } = data;
  const count = problems.length;
  return (
    <>
      <p class="lead">{w.source(source)}</p>
      <section class="card">
        <Tabs<TabName>
          label={words.value.nav.configuration}
          tabs={[
            { name: 'options', title: w.options },
            {
              name: 'problems',
              title: (
                <>
                  {w.problems} {count > 0 && <Badge tone="warn" text={formats.value.number(count)} />}
                </>
              ),
            },
            { name: 'yaml', title: w.yaml },
          ]}
          chosen={chosen}
          choose={(name) =>
            navigate(name === 'options' ? 'configuration' : `configuration/${name}`, {}, { quiet: true })
          }
        >
          {chosen === 'options' && <Options options={data.options} />}
          {chosen === 'problems' && <Problems problems={problems} />}
          {chosen === 'yaml' && (
            <>
              <p class="quiet">{w.secrets}</p>
              <Snippet code={yaml} what={w.yaml} />
            </>
          )}
        </Tabs>
      </section>
    </>
  );
}

/** Without the folder of a file: what differs from row to row is the end, which would be cut off. */
function placeText(from: string): string {
  // Of a long name the end, where the line stands.
  return from.slice(from.lastIndexOf('/') + 1).replace(/.+(?=.{21})/, '…');
}

function Options({ options }: { readonly options: readonly Option[] }): JSX.Element {
  const { configuration: w } = words.value;
  const { filter = '', set } = place.value.query;
  const parts = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = options.filter(
    ({ name, value, from }) =>
      (set === undefined || from !== 'default') &&
      parts.every((part) => `${name} ${value} ${from}`.toLowerCase().includes(part)),
  );
  return (
    <>
      <div class="toolbar">
        <SearchField label={w.filter} value={filter} change={(value) => setQuery({ filter: value })} />
        <label class="check">
          <input
            type="checkbox"
            checked={set !== undefined}
            onChange={(event) => setQuery({ set: event.currentTarget.checked ? 'only' : undefined })}
          />
          {w.onlySet}
        </label>
      </div>
      <Table
        label={w.options}
        rows={shown}
        keyOf={({ name }) => name}
        columns={[
          {
            key: 'name',
            title: w.name,
            width: '1.4fr',
            cell: ({ name, from }) => (
              <>
                <code title={name}>{name}</code>
                <span class="cell-more">{from === 'default' ? w.byDefault : placeText(from)}</span>
              </>
            ),
          },
          {
            key: 'value',
            title: w.value,
            width: '1.4fr',
            cell: ({ value }) => <code title={value}>{value}</code>,
          },
          {
            key: 'from',
            title: w.from,
            width: '1fr',
            narrow: false,
            cell: ({ from }) =>
              from === 'default' ? (
                <span class="quiet">{w.byDefault}</span>
              ) : (
                <strong title={from}>{placeText(from)}</strong>
              ),
          },
        ]}
        empty={<Empty title={w.none} icon="search" />}
      />
    </>
  );
}

function Problems({ problems }: { readonly problems: Known['problems'] }): JSX.Element {
  const { configuration: w } = words.value;
  if (problems.length === 0) return <Empty title={w.problemsNone} icon="check" />;
  return (
    <ul>
      {problems.map(({ text, place: where }) => (
        <li key={`${where} ${text}`} class="note note-warn">
          <Icon name="warning" />
          <div>
            {where !== undefined && (
              <p class="digest">
                <code>{where}</code>
                <CopyButton text={where} small />
              </p>
            )}
            <p>
              <Prose text={text} />
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}

/** The result of the last reload from this page. */
const result = signal<Reloaded | ApiError | undefined>(undefined);

function ReloadButton({ done }: { readonly done: () => void }): JSX.Element {
  const { configuration: w } = words.value;
  const busy = useSignal(false);
  const run = async (): Promise<void> => {
    busy.value = true;
    try {
      result.value = await change('reload', {});
      done();
    } catch (error) {
      result.value = asApiError(error);
    }
    busy.value = false;
  };
  return (
    <Button icon="refresh" title={w.reloadText} disabled={busy.value} act={() => void run()}>
      {busy.value ? w.reloading : w.reload}
    </Button>
  );
}

function Outcome(): JSX.Element {
  const { configuration: w, actions } = words.value;
  const last = result.value;
  return (
    <div role="status">
      {last instanceof ApiError && <Fault error={last} />}
      {last !== undefined && !(last instanceof ApiError) && (
        <div class={last.outcome === 'refused' ? 'note note-bad' : 'note note-good'}>
          <Icon name={last.outcome === 'refused' ? 'warning' : 'check'} />
          <div>
            <p class="note-title">{w.outcome[last.outcome]}</p>
            <List title={undefined} entries={last.problems} />
            <List title={w.changed} entries={last.changed} />
            <List title={w.added} entries={last.registries.added} />
            <List title={w.removed} entries={last.registries.removed} />
            <List title={w.changedRegistries} entries={last.registries.changed} />
            <List title={w.restart} entries={last.restart} />
          </div>
          <IconButton icon="cross" label={actions.dismiss} act={() => (result.value = undefined)} />
        </div>
      )}
    </div>
  );
}

function List({
  title,
  entries,
}: {
  readonly title: string | undefined;
  readonly entries: readonly string[];
}): JSX.Element | null {
  if (entries.length === 0) return null;
  return (
    <div>
      {title !== undefined && <p class="quiet">{title}</p>}
      <ul class="sentences">
        {entries.map((entry) => (
          <li key={entry}>
            <Prose text={entry} />
          </li>
        ))}
      </ul>
    </div>
  );
}
