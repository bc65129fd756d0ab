import type { JSX } from 'preact';
import type { Answer } from '../api.ts';
import { now } from '../clock.ts';
import { Empty, Loaded } from '../parts/feedback.tsx';
import { SearchField } from '../parts/field.tsx';
import { mayChange, ReadOnly } from '../parts/may-change.tsx';
import { Heading, Link } from '../parts/page.tsx';
import { Badge, Bytes, Duration, Time } from '../parts/values.tsx';
import { useRead } from '../resource.ts';
import { place, setQuery } from '../router.ts';
import { formats, words } from '../words/index.ts';
import { CheckSteps, useCheck } from './registries/check.tsx';
import { HealthBadge, type Upstream } from './registries/health.tsx';

type Registry = Answer<'registries'>['registries'][number];

/** Every registry and mirror route with its upstreams: how they fare, and what a check of them finds. */
export function Registries(): JSX.Element {
  const { registries: w } = words.value;
  const { search = '' } = place.value.query;
  const registries = useRead('registries', {}, { on: ['health', 'reloaded'] });
  return (
    <>
      <Heading title={w.title} />
      <p class="lead">{w.intro}</p>
      <ReadOnly />
      <div class="toolbar">
        <SearchField label={w.filter} value={search} change={(value) => setQuery({ search: value })} />
      </div>
      <Loaded of={registries} lines={8}>
        {({ registries: all }) => <RegistryList all={all} search={search.toLowerCase()} />}
      </Loaded>
    </>
  );
}

function RegistryList({ all, search }: { readonly all: readonly Registry[]; readonly search: string }): JSX.Element {
  const { registries: w } = words.value;
  const found = all.filter((registry) => isFound(registry, search));
  // What was asked matters, configured or not.
  const isShown = (registry: Registry): boolean =>
    registry.configured || registry.upstreams.some(({ requests }) => requests > 0) || search !== '';
  const shown = found.filter(isShown);
  const idle = found.filter((registry) => !isShown(registry));
  return (
    <>
      {found.length === 0 && <Empty title={w.none} icon="search" />}
      {shown.map((registry) => (
        <RegistryCard key={`${registry.kind} ${registry.name}`} registry={registry} />
      ))}
      {idle.length > 0 && (
        <details class="section card idle" open={shown.length === 0}>
          <summary>{w.builtIn(idle.length, formats.value.number(idle.length))}</summary>
          <p class="quiet">{w.builtInText}</p>
          <ul class="idle-list">
            {idle.map((registry) => (
              <IdleRegistry key={registry.name} registry={registry} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function isFound({ name, aliases, upstreams }: Registry, search: string): boolean {
  return [name, ...aliases, ...upstreams.flatMap(({ name: of, url }) => [of, url])].some((text) =>
    text.toLowerCase().includes(search),
  );
}

function RegistryCard({ registry }: { readonly registry: Registry }): JSX.Element {
  const { registries: w } = words.value;
  const { name, kind, isDefault, aliases, hosted, upstreams } = registry;
  const { state, run } = useCheck(name);
  return (
    <section class="section card" aria-labelledby={`registry-${kind}-${name}`}>
      <div class="registry-head">
        <h2 id={`registry-${kind}-${name}`}>{name}</h2>
        {isDefault && <Badge tone="info" text={w.byDefault} />}
        {kind === 'mirror' && <Badge tone="quiet" text={w.route} />}
        {hosted !== 'none' && <Badge tone="info" text={w.hosted[hosted]} />}
        {aliases.length > 0 && <span class="quiet">{w.aliases(aliases.join(', '))}</span>}
        <span class="registry-actions">
          {kind === 'registry' && (
            <Link to={`images/${name}`} class="button">
              {w.images}
            </Link>
          )}
          {mayChange() && upstreams.length > 0 && (
            <button type="button" class="button" disabled={state?.running === true} onClick={run}>
              {state?.running === true ? w.checking : w.check}
              <span class="hidden">{name}</span>
            </button>
          )}
        </span>
      </div>
      {upstreams.length === 0 && <p class="quiet">{w.noUpstreams}</p>}
      {upstreams.map((upstream) => (
        <UpstreamRow key={upstream.name} upstream={upstream} />
      ))}
      {state !== undefined && <CheckSteps state={state} />}
    </section>
  );
}

function UpstreamRow({ upstream }: { readonly upstream: Upstream }): JSX.Element {
  const { registries: w } = words.value;
  const { name, url, health, latencyMs, requests, failures, bytes, credential, maxConnections } = upstream;
  const { number } = formats.value;
  return (
    <div class="upstream">
      <p class="upstream-name">
        <HealthBadge health={requests === 0 && health?.state === 'closed' ? undefined : health} />
        <strong>{name}</strong>
        {url !== `https://${name}` && <span class="quiet">{url}</span>}
      </p>
      {health !== undefined && health.state !== 'closed' && (
        <p class="upstream-trouble">
          {health.reason}
          {health.openUntil !== undefined && health.openUntil > now.value && (
            <span class="quiet">
              {' '}
              · {w.until('')}
              <Time at={health.openUntil} />
            </span>
          )}
        </p>
      )}
      <dl class="figures" title={w.sinceStart}>
        <div>
          <dt>{w.latency}</dt>
          <dd title={w.latencyText}>{latencyMs === undefined ? '—' : <Duration ms={latencyMs} />}</dd>
        </div>
        <div>
          <dt>{w.requests}</dt>
          <dd>{number(requests)}</dd>
        </div>
        <div>
          <dt>{w.failures}</dt>
          <dd class={failures > 0 ? 'low' : undefined}>{number(failures)}</dd>
        </div>
        <div>
          <dt>{w.bytes}</dt>
          <dd>
            <Bytes value={bytes} />
          </dd>
        </div>
        <div>
          <dt>{w.credential}</dt>
          <dd>{credential ?? w.anonymous}</dd>
        </div>
        {maxConnections !== undefined && (
          <div>
            <dt>{w.connections}</dt>
            <dd>{number(maxConnections)}</dd>
          </div>
        )}
        {(health?.quota ?? []).map(({ credential: of, limit, remaining, windowSeconds }) => (
          <div key={of}>
            <dt>
              {w.quota} {w.quotaFor(of)}
            </dt>
            <dd>
              {limit === undefined ? number(remaining) : w.quotaOf(number(remaining), number(limit))}
              {windowSeconds !== undefined && (
                <span class="quiet"> {w.quotaPer(formats.value.duration(windowSeconds * 1000))}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function IdleRegistry({ registry: { name, aliases, upstreams } }: { readonly registry: Registry }): JSX.Element {
  const { registries: w } = words.value;
  const { state, run } = useCheck(name);
  return (
    <li>
      <div class="idle-row">
        <span class="idle-name">
          {name} {aliases.length > 0 && <span class="quiet">{w.aliases(aliases.join(', '))}</span>}
        </span>
        <span class="quiet idle-url">{upstreams.map(({ url }) => url).join(', ')}</span>
        {mayChange() && (
          <button
            type="button"
            class="button"
            aria-label={w.checkOf(name)}
            disabled={state?.running === true}
            onClick={run}
          >
            {state?.running === true ? w.checking : w.check}
          </button>
        )}
      </div>
      {state !== undefined && <CheckSteps state={state} />}
    </li>
  );
}
