import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { asApiError } from '../reason.ts';
import { words } from '../words/index.ts';
import { Button, IconButton } from './button.tsx';
import { Fault, Skeleton } from './feedback.tsx';

/** A dialog over the page. Escape and the close button call `close`; the focus returns to where it was. */
export function Dialog({
  title,
  close,
  children,
}: {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      // While it is open, all else is inert and takes no focus.
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <IconButton icon="cross" size={20} label={words.value.actions.close} act={close} />
      </div>
      {children}
    </dialog>
  );
}

/**
 * Asks before a change, and shows first what it would do.
 *
 * `preview` is the dry run; `show` draws its answer; `act` does it. The dialog closes when `act` has ended, and shows its error
 * where it fails.
 */
export function Confirm<Preview>({
  title,
  action,
  danger = false,
  preview,
  show,
  act,
  close,
}: {
  readonly title: string;
  /** The button: `Delete 3 tags`. */
  readonly action: string;
  /** True: the button is red. */
  readonly danger?: boolean;
  /** @throws {ApiError} */
  readonly preview: () => Promise<Preview>;
  readonly show: (preview: Preview) => ComponentChildren;
  /** @throws {ApiError} */
  readonly act: (preview: Preview) => Promise<void>;
  readonly close: () => void;
}): JSX.Element {
  const seen = useSignal<{ readonly preview: Preview } | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const busy = useSignal(false);
  const { confirm, actions } = words.value;
  const look = (): void => {
    error.value = undefined;
    preview().then(
      (answer) => (seen.value = { preview: answer }),
      (reason: unknown) => (error.value = asApiError(reason)),
    );
  };
  useEffect(look, []);
  const run = async (wanted: Preview): Promise<void> => {
    busy.value = true;
    error.value = undefined;
    try {
      await act(wanted);
      close();
    } catch (reason) {
      error.value = asApiError(reason);
    }
    busy.value = false;
  };
  return (
    <Dialog title={title} close={close}>
      <div class="dialog-body">
        {seen.value !== undefined && show(seen.value.preview)}
        {seen.value === undefined && error.value === undefined && (
          <>
            <p class="quiet">{confirm.looking}</p>
            <Skeleton />
          </>
        )}
        {error.value !== undefined && (
          <Fault error={error.value} {...(seen.value === undefined ? { retry: look } : {})} />
        )}
      </div>
      <div class="dialog-foot">
        <Button act={close}>{actions.cancel}</Button>
        <Button
          look={danger ? 'button button-danger' : 'button button-main'}
          disabled={seen.value === undefined || busy.value}
          act={() => seen.value !== undefined && void run(seen.value.preview)}
        >
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
