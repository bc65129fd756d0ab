import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { words } from '../words/index.ts';
import { Icon } from './icons.tsx';

const SHOWN = 2000;

/** Copies a text. Browsers offer `navigator.clipboard` on HTTPS and loopback only: elsewhere a hidden field is selected. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.style.position = 'fixed';
    field.style.opacity = '0';
    // In an open dialog, as all else is inert.
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

export function CopyButton({
  text,
  what,
  small = false,
}: {
  readonly text: string;
  /** What is copied, for screen readers: `the pull command`. @default the text */
  readonly what?: string;
  /** True: the icon alone. */
  readonly small?: boolean;
}): JSX.Element {
  const copied = useSignal(false);
  const { actions } = words.value;
  const copy = async (): Promise<void> => {
    copied.value = await copyText(text);
    setTimeout(() => (copied.value = false), SHOWN);
  };
  const label = copied.value ? actions.copied : actions.copy;
  return (
    <button
      type="button"
      class={small ? 'icon-button' : 'copy-button'}
      aria-label={copied.value ? actions.copied : actions.copyOf(what ?? text.split('\n', 1).join('').slice(0, 80))}
      title={label}
      onClick={() => void copy()}
    >
      <Icon name={copied.value ? 'check' : 'copy'} size={16} />
      {!small && <span aria-live="polite">{label}</span>}
    </button>
  );
}

/** Code that scrolls by itself, also by the keyboard, with a button that copies it. */
export function Snippet({ code, what }: { readonly code: string; readonly what?: string }): JSX.Element {
  return (
    <div class="snippet">
      <pre tabIndex={0}>{code}</pre>
      <CopyButton text={code} {...(what === undefined ? {} : { what })} />
    </div>
  );
}
