import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Badge, type Tone } from '../../parts/values.tsx';
import { words } from '../../words/index.ts';

export type Upstream = Answer<'registries'>['registries'][number]['upstreams'][number];
type Health = NonNullable<Upstream['health']>;

const TONES: Readonly<Record<Health['state'], Tone>> = { closed: 'good', open: 'bad', 'half-open': 'warn' };

/** How an upstream is, in a word. */
export function HealthBadge({ health }: { readonly health: Health | undefined }): JSX.Element {
  const { state, scope } = words.value.registries;
  if (health === undefined) return <Badge tone="quiet" text={state.unknown} />;
  const isOfAll = health.state === 'closed' || health.scope === 'all';
  const of = isOfAll ? '' : (scope[health.scope as keyof typeof scope] ?? health.scope);
  const text = state[health.state];
  return (
    <Badge
      tone={TONES[health.state]}
      text={of === '' ? text : `${text} (${of})`}
      {...(health.reason === undefined ? {} : { title: health.reason })}
    />
  );
}
