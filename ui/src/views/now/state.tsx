import type { JSX } from 'preact';
import { serverTime } from '../../clock.ts';
import { Prose, Section } from '../../parts/page.tsx';
import { Progress } from '../../parts/progress.tsx';
import { Badge } from '../../parts/values.tsx';
import { formats, words } from '../../words/index.ts';
import type { Overview } from './overview.ts';

/** How full the cache and its disk are. */
export function CacheCard({ data: { cache } }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  const { bytes, number } = formats.value;
  if (cache === 'off') {
    return (
      <Section title={w.cache}>
        <p>{w.cacheOff}</p>
      </Section>
    );
  }
  const { maxSize, disk } = cache;
  const used = disk === undefined ? 0 : disk.total - disk.free;
  return (
    <Section title={w.cache} aside={w.blobs(cache.blobs, number(cache.blobs))}>
      <p class="stat-value">
        {bytes(cache.bytes)}
        {maxSize !== undefined && <span class="stat-more">{w.maxSize(bytes(maxSize))}</span>}
      </p>
      {maxSize !== undefined && <Progress value={cache.bytes} max={maxSize} label={w.stored} />}
      {disk !== undefined && (
        <>
          <p class="label">
            {w.disk}: {w.diskFree(bytes(disk.free), bytes(disk.total))}
          </p>
          <Progress value={used} max={disk.total} label={w.disk} tone={disk.free < disk.total / 20 ? 'bad' : 'quiet'} />
        </>
      )}
    </Section>
  );
}

/** Upstreams that are unwell and why, and the pulls that are left. */
export function UpstreamsCard({ data: { upstreams } }: { readonly data: Overview }): JSX.Element {
  const { now: w } = words.value;
  const { scope: scopes } = words.value.registries;
  const { number, duration, clock, relative } = formats.value;
  const unwell = upstreams.filter(({ state }) => state !== 'closed');
  const quotas = upstreams.flatMap(({ registry, quota = [] }) => quota.map((each) => ({ registry, ...each })));
  return (
    <>
      <Section title={w.upstreams}>
        {unwell.length === 0 && <p class="quiet">{w.upstreamsWell}</p>}
        <ul class="flows">
          {unwell.map(({ registry, upstream, state, scope, reason, since, openUntil }) => (
            <li key={`${registry} ${upstream} ${scope}`} class="flow">
              <div class="flow-head">
                <strong>{registry}</strong>
                <Badge tone={state === 'open' ? 'bad' : 'warn'} text={w.state[state]} />
              </div>
              <p class="quiet">{upstream}</p>
              {reason !== undefined && (
                <p>
                  <Prose text={reason} />
                </p>
              )}
              <p class="flow-facts">
                {scope !== 'all' && <span>{scopes[scope as keyof typeof scopes] ?? scope}</span>}
                {openUntil !== undefined && openUntil > serverTime() && <span>{w.until(clock(openUntil))}</span>}
                {since !== undefined && <span>{w.since(relative(since, serverTime()))}</span>}
              </p>
            </li>
          ))}
        </ul>
      </Section>
      {quotas.length > 0 && (
        <Section title={w.quota}>
          <ul class="flows">
            {quotas.map(({ registry, credential, limit, remaining, windowSeconds }) => {
              const name = `${registry} · ${credential === 'anonymous' ? w.anonymousCredential : credential}`;
              const low = limit !== undefined && remaining < limit / 5;
              return (
                <li key={name} class="flow">
                  <div class="flow-head">
                    <span>{name}</span>
                    <span class={low ? 'number low' : 'number'}>
                      {limit === undefined ? number(remaining) : words.value.units.of(number(remaining), number(limit))}
                    </span>
                  </div>
                  {limit !== undefined && (
                    <Progress
                      value={remaining}
                      max={limit}
                      label={`${w.quota}: ${name}`}
                      tone={low ? 'bad' : 'accent'}
                    />
                  )}
                  {windowSeconds !== undefined && (
                    <p class="flow-facts">{w.quotaWindow(duration(windowSeconds * 1000))}</p>
                  )}
                </li>
              );
            })}
          </ul>
        </Section>
      )}
    </>
  );
}
