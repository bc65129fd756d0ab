import { signal } from '@preact/signals';
import { Component, type ComponentChildren, type JSX } from 'preact';
import type { ApiError } from '../api.ts';
import type { Resource } from '../resource.ts';
import { words } from '../words/index.ts';
import { Button, IconButton } from './button.tsx';
import { Icon, type IconName } from './icons.tsx';
import { Prose } from './page.tsx';

/** Grey lines in the place of what is being read. */
export function Skeleton({ lines = 3 }: { readonly lines?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label={words.value.table.loading}>
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} style={{ width: `${[92, 74, 83, 61, 88][at % 5]}%` }} />
      ))}
    </div>
  );
}

/** Says that there is nothing, and what to do about it. */
export function Empty({
  title,
  icon,
  children,
}: {
  readonly title: string;
  readonly icon?: IconName;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      {icon !== undefined && <Icon name={icon} size={36} />}
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** What went wrong, and what to do about it. */
export function Fault({ error, retry }: { readonly error: ApiError; readonly retry?: () => void }): JSX.Element {
  const { errors, actions } = words.value;
  const text = error.status === 0 && error.message === 'unreachable' ? errors.unreachable : error.message;
  const remedy = error.status === 0 ? errors.unreachableRemedy : error.remedy;
  return (
    <div class="note note-bad" role="alert">
      <Icon name="warning" />
      <div>
        <p class="note-title">{error.status === 403 ? errors.notAllowed : errors.title}</p>
        <p>
          <Prose text={text} />
        </p>
        {remedy !== undefined && (
          <pre class="remedy">
            <Prose text={remedy} />
          </pre>
        )}
        {retry !== undefined && error.status !== 403 && <Button act={retry}>{actions.reload}</Button>}
      </div>
    </div>
  );
}

/** Draws what was read; until then a skeleton, and an error in its place. Old data stays under the error of a later read. */
export function Loaded<Data>({
  of,
  lines = 5,
  children,
}: {
  readonly of: Resource<Data>;
  readonly lines?: number;
  readonly children: (data: Data) => ComponentChildren;
}): JSX.Element {
  return (
    <>
      {of.error !== undefined && <Fault error={of.error} retry={of.reload} />}
      {of.data !== undefined ? children(of.data) : of.error === undefined && <Skeleton lines={lines} />}
    </>
  );
}

interface ToastEntry {
  readonly id: number;
  readonly kind: 'good' | 'bad';
  readonly text: string;
}

const toasts = signal<readonly ToastEntry[]>([]);
let lastToast = 0;
const TOAST_TIME = 6000;

/** Says what a change has done. A failure stays until it is dismissed. */
export function toast(text: string, kind: 'good' | 'bad' = 'good'): void {
  lastToast += 1;
  const id = lastToast;
  toasts.value = [...toasts.value.slice(-3), { id, kind, text }];
  if (kind === 'good') setTimeout(() => dismiss(id), TOAST_TIME);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, kind, text }) => (
        <div key={id} class={`toast toast-${kind}`}>
          <Icon name={kind === 'good' ? 'check' : 'warning'} />
          <span>
            <Prose text={text} />
          </span>
          <IconButton icon="cross" label={words.value.actions.dismiss} act={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}

/** Keeps a fault in one view from taking the page with it. */
export class Boundary extends Component<{ readonly children: ComponentChildren }, { readonly failure?: unknown }> {
  override state: { readonly failure?: unknown } = {};

  static override getDerivedStateFromError(failure: unknown): { readonly failure: unknown } {
    return { failure };
  }

  override render(): ComponentChildren {
    const { failure } = this.state;
    if (failure === undefined) return this.props.children;
    return (
      <div class="note note-bad" role="alert">
        <Icon name="warning" />
        <div>
          <h1>{words.value.errors.broken}</h1>
          <p>{failure instanceof Error ? failure.message : words.value.units.unknown}</p>
          <Button act={() => this.setState({ failure: undefined })}>{words.value.actions.reload}</Button>
        </div>
      </div>
    );
  }
}
