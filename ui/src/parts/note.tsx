import type { JSX } from 'preact';
import { Icon } from './icons.tsx';
import { Prose } from './page.tsx';

/** A sentence that must not be missed, in a box. */
export function Note({ text, bad = false }: { readonly text: string; readonly bad?: boolean }): JSX.Element {
  return (
    <p class={bad ? 'note note-bad' : 'note note-warn'}>
      <Icon name="warning" />
      <span>
        <Prose text={text} />
      </span>
    </p>
  );
}

/** Why a form was refused. Its place is there before, as screen readers read out what appears in it. */
export function FormFault({ text }: { readonly text: string | undefined }): JSX.Element {
  return <div role="alert">{text !== undefined && <Note text={text} bad />}</div>;
}
