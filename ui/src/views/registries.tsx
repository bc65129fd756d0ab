import type { ComponentChildren, JSX } from 'preact';
import type { Answer } from '../api.ts';
import { now } from '../clock.ts';
import { Button } from '../parts/button.tsx';
import { Empty, Loaded } from '../parts/feedback.tsx';
import { SearchField } from '../parts/field.tsx';
import { mayChange, ReadOnly } from '../parts/may-change.tsx';
import { Heading, Link, Prose } from '../parts/page.tsx';
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
      <Heading title={words.value.nav.registries} />
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
            <CheckButton name={name} running={state?.running === true} run={run} />
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
        <HealthBadge requests={requests} health={health} />
        <strong>{name}</strong>
        {url !== `https://${name}` && <span class="quiet">{url}</span>}
      </p>
      {health !== undefined && health.state !== 'closed' && (
        <p class="upstream-trouble">
          <Prose text={health.reason ?? ''} />
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
        <Figure title={w.latency} hint={w.latencyText}>
          {latencyMs === undefined ? '—' : <Duration ms={latencyMs} />}
        </Figure>
        <Figure title={w.requests}>{number(requests)}</Figure>
        <Figure title={w.failures}>
          <span class={failures > 0 ? 'low' : undefined}>{number(failures)}</span>
        </Figure>
        <Figure title={w.bytes}>
          <Bytes value={bytes} />
        </Figure>
        <Figure title={w.credential}>{credential ?? words.value.now.anonymousCredential}</Figure>
        {maxConnections !== undefined && <Figure title={w.connections}>{number(maxConnections)}</Figure>}
        {(health?.quota ?? []).map(({ credential: of, limit, remaining, windowSeconds }) => (
          <Figure key={of} title={`${words.value.now.quota} ${w.quotaFor(of)}`}>
            {limit === undefined ? number(remaining) : words.value.units.of(number(remaining), number(limit))}
            {windowSeconds !== undefined && (
              <span class="quiet"> {words.value.now.quotaWindow(formats.value.duration(windowSeconds * 1000))}</span>
            )}
          </Figure>
        ))}
      </dl>
    </div>
  );
}

function Figure({
  title,
  hint,
  children,
}: {
  readonly title: string;
  readonly hint?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div>
      <dt>{title}</dt>
      <dd title={hint}>{children}</dd>
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
        {mayChange() && <CheckButton name={name} running={state?.running === true} run={run} />}
      </div>
      {state !== undefined && <CheckSteps state={state} />}
    </li>
  );
}

function CheckButton({
  name,
  running,
  run,
}: {
  readonly name: string;
  readonly running: boolean;
  readonly run: () => void;
}): JSX.Element {
  const { registries: w } = words.value;
  return (
    <Button aria-label={w.checkOf(name)} disabled={running} act={run}>
      {running ? w.checking : w.check}
    </Button>
  );
}
