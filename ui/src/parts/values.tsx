import type { JSX } from 'preact';
import { serverTime } from '../clock.ts';
import { shortDigest } from '../format.ts';
import { formats } from '../words/index.ts';
import { CopyButton } from './copy.tsx';

/** `3.2 GB`, with the exact number to hover. */
export function Bytes({ value }: { readonly value: number }): JSX.Element {
  return (
    <span class="number" title={`${value.toLocaleString()} B`}>
      {formats.value.bytes(value)}
    </span>
  );
}

/** `1.4 s` */
export function Duration({ ms }: { readonly ms: number }): JSX.Element {
  return <span class="number">{formats.value.duration(ms)}</span>;
}

/** `3 minutes ago`, with the time itself to hover. */
export function Time({ at }: { readonly at: number }): JSX.Element {
  return (
    <time dateTime={new Date(at).toISOString()} title={formats.value.time(at)}>
      {formats.value.relative(at, serverTime())}
    </time>
  );
}

/** `sha256:0123456789ab`, with the whole digest to hover and to copy. */
export function Digest({ value, copy = true }: { readonly value: string; readonly copy?: boolean }): JSX.Element {
  return (
    <span class="digest">
      <code title={value}>{shortDigest(value)}</code>
      {copy && <CopyButton text={value} small />}
    </span>
  );
}

export type Tone = 'good' | 'info' | 'warn' | 'bad' | 'quiet';

/** A short word of a state, in its colour. */
export function Badge({
  tone,
  text,
  title,
}: {
  readonly tone: Tone;
  readonly text: string;
  readonly title?: string;
}): JSX.Element {
  return (
    <span class={`badge badge-${tone}`} {...(title === undefined ? {} : { title })}>
      {text}
    </span>
  );
}
