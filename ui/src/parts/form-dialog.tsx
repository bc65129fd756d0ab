import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { textOf } from '../reason.ts';
import { words } from '../words/index.ts';
import { Button } from './button.tsx';
import { Dialog } from './confirm.tsx';
import { FormFault } from './note.tsx';

/** A dialog with a form: it closes when `act` has ended, and shows why where it fails. */
export function FormDialog({
  title,
  action,
  danger = false,
  act,
  close,
  children,
}: {
  readonly title: string;
  readonly action: string;
  readonly danger?: boolean;
  /** @throws what the dialog then shows */
  readonly act: (data: FormData) => Promise<void>;
  readonly close: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    error.value = undefined;
    try {
      await act(new FormData(event.currentTarget as HTMLFormElement));
      close();
    } catch (reason) {
      error.value = textOf(reason);
    }
    busy.value = false;
  };
  return (
    <Dialog title={title} close={close}>
      <form class="dialog-form" onSubmit={(event) => void submit(event)}>
        <div class="dialog-body stack">
          {children}
          <FormFault text={error.value} />
        </div>
        <div class="dialog-foot">
          <Button act={close}>{words.value.actions.cancel}</Button>
          <Button look={danger ? 'button button-danger' : 'button button-main'} disabled={busy.value}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
