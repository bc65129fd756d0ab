import type { JSX } from 'preact';
import type { Answer } from '../api.ts';
import { Snippet } from '../parts/copy.tsx';
import { Loaded } from '../parts/feedback.tsx';
import { TextField } from '../parts/field.tsx';
import { Icon } from '../parts/icons.tsx';
import { Heading, Link, Prose } from '../parts/page.tsx';
import { useRead } from '../resource.ts';
import { place, setQuery } from '../router.ts';
import { language, words } from '../words/index.ts';
import type { ViewProps } from './view.ts';

type ClientEntry = Answer<'clients'>['clients'][number];

/** Settings for each client, with the address of this server. */
export function Clients({ rest }: ViewProps): JSX.Element {
  const { clients: w } = words.value;
  const { host } = place.value.query;
  const clients = useRead('clients', { host }, { fresh: false });
  return (
    <>
      <Heading title={words.value.nav.clients} />
      <p class="lead">{w.intro}</p>
      <div class="toolbar">
        <TextField
          label={w.host}
          hint={w.hostHint}
          value={host ?? ''}
          placeholder={clients.data?.host ?? location.host}
          change={(value) => setQuery({ host: value })}
        />
      </div>
      <Loaded of={clients} lines={8}>
        {(answer) => <Settings answer={answer} chosen={rest} />}
      </Loaded>
    </>
  );
}

function Settings({ answer, chosen }: { readonly answer: Answer<'clients'>; readonly chosen: string }): JSX.Element {
  const { clients: w } = words.value;
  const { host, url, clients } = answer;
  const entry = clients.find(({ client }) => client === chosen) ?? clients[0];
  return (
    <>
      {isLoopback(url) && (
        <p class="note">
          <Icon name="warning" />
          <span>{w.loopback}</span>
        </p>
      )}
      <p class="quiet">
        <Prose text={w.hostOf(url)} /> {w.pull}
      </p>
      <Snippet code={`docker pull ${host}/${answer.defaultRegistry}/library/alpine`} />
      <div class="split">
        <nav class="side" aria-label={w.list}>
          <ul>
            {clients.map(({ client, title }) => (
              <li key={client}>
                <Link
                  to={`clients/${client}`}
                  query={{ host: place.value.query['host'] }}
                  {...(client === entry?.client ? { 'aria-current': 'page' as const } : {})}
                >
                  {title[language.value]}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        {entry !== undefined && <ClientCard entry={entry} />}
      </div>
    </>
  );
}

function isLoopback(url: string): boolean {
  const hostname = URL.parse(url)?.hostname ?? '';
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

function ClientCard({ entry }: { readonly entry: ClientEntry }): JSX.Element {
  const { clients: w } = words.value;
  const { title, setup, files, commands, notes } = entry;
  const chosen = language.value;
  return (
    <section class="card">
      <h2>{title[chosen]}</h2>
      {notes.map((note) => (
        <p key={note.en}>
          <Prose text={note[chosen]} />
        </p>
      ))}
      {setup !== undefined && (
        <>
          <p class="label">
            <Prose text={w.withSetup} />
          </p>
          <Snippet code={setup} />
        </>
      )}
      {files.length > 0 && <h3>{w.byHand}</h3>}
      {files.map(({ path, where, content }) => (
        <div key={path + content}>
          <p class="label">
            <code>{path}</code>
            {where !== undefined && ` (${where[chosen]})`}
          </p>
          <Snippet code={content} what={path} />
        </div>
      ))}
      {commands.length > 0 && (
        <>
          <p class="label">{w.commands}</p>
          <Snippet code={commands.join('\n')} />
        </>
      )}
    </section>
  );
}
