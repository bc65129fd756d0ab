import type { JSX } from 'preact';
import type { Answer } from '../api.ts';
import { Badge, type Tone } from '../parts/values.tsx';
import { words } from '../words/index.ts';

type Pull = Answer<'pulls'>['pulls'][number];

const TONES: Readonly<Record<Pull['outcome'], Tone>> = {
  hit: 'good',
  miss: 'info',
  stale: 'warn',
  refused: 'warn',
  failed: 'bad',
};

/** How a pull ended, or that it runs. */
export function Outcome({ pull }: { readonly pull: Pick<Pull, 'outcome' | 'running'> }): JSX.Element {
  const { outcome } = words.value;
  if (pull.running === true) return <Badge tone="info" text={outcome.running} />;
  return <Badge tone={TONES[pull.outcome]} text={outcome[pull.outcome]} title={outcome[`${pull.outcome}Text`]} />;
}
