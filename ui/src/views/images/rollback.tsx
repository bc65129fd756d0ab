import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import { type Answer, change } from '../../api.ts';
import { shortDigest } from '../../format.ts';
import { Dialog } from '../../parts/confirm.tsx';
import { toast } from '../../parts/feedback.tsx';
import { textIn } from '../../parts/form.ts';
import { Icon } from '../../parts/icons.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Prose } from '../../parts/page.tsx';
import { formats, words } from '../../words/index.ts';
import { textOf } from './actions.tsx';

type Move = Answer<'history'>['tags'][number]['moves'][number];
type Hold = NonNullable<Answer<'image'>['hold']>;
type Home = Answer<'tagList'>['home'];

const MAX_REASON = 200;

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
          <div role="alert">
            {error.value !== undefined && (
              <p class="note note-bad">
                <Icon name="warning" />
                <span>{error.value}</span>
              </p>
            )}
          </div>
        </div>
        <div class="dialog-foot">
          <button type="button" class="button" onClick={close}>
            {words.value.actions.cancel}
          </button>
          <button type="submit" class={danger ? 'button button-danger' : 'button button-main'} disabled={busy.value}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Points a tag back to a digest where it pointed. */
export function Rollback({
  image,
  move: { digest, parts },
  home,
  done,
  close,
}: {
  readonly image: string;
  readonly move: Move;
  readonly home: Home;
  readonly done: () => void;
  readonly close: () => void;
}): JSX.Element {
  const { images: w } = words.value;
  const id = useId();
  const isHosted = home === 'hosted';
  const act = async (data: FormData): Promise<void> => {
    const until = textIn(data, 'until');
    await change('rollback', {
      image: `${image}@${digest}`,
      reason: textIn(data, 'reason').trim(),
      ...(until !== '' && { until: new Date(until).getTime() }),
    });
    toast(w.rollbackDone);
    done();
  };
  return (
    <FormDialog title={w.rollbackTitle(image)} action={w.rollbackAction} act={act} close={close}>
      <p>
        <Prose text={(isHosted ? w.rollbackHosted : w.rollbackText)(shortDigest(digest))} />
      </p>
      {(!parts.manifest || parts.stored < parts.named) && <p class="quiet">{w.rollbackMissing}</p>}
      {!isHosted && (
        <>
          <div class="field">
            <label for={`${id}-reason`}>{w.reason}</label>
            <input id={`${id}-reason`} name="reason" maxLength={MAX_REASON} autocomplete="off" />
          </div>
          <div class="field">
            <label for={`${id}-until`}>{w.until}</label>
            <input id={`${id}-until`} name="until" type="datetime-local" aria-describedby={`${id}-hint`} />
            <p class="quiet" id={`${id}-hint`}>
              {w.untilText}
            </p>
          </div>
        </>
      )}
    </FormDialog>
  );
}

/** Says that a tag is held, why and until when, and ends that. */
export function HoldNote({
  image,
  hold: { digest, until, reason },
  done,
}: {
  readonly image: string;
  readonly hold: Hold;
  readonly done: () => void;
}): JSX.Element {
  const { images: w } = words.value;
  const isAsking = useSignal(false);
  const end = until === undefined ? w.heldForGood : w.heldUntil(formats.value.time(until));
  return (
    <div class="note note-warn">
      <Icon name="pin" />
      <div>
        <p class="note-title">
          {w.heldAt(shortDigest(digest))}, {end}
        </p>
        {reason !== '' && <p>{w.heldReason(reason)}</p>}
        {mayChange() && (
          <button
            type="button"
            class="button"
            onClick={() => {
              isAsking.value = true;
            }}
          >
            {w.actions.unhold}
          </button>
        )}
      </div>
      {isAsking.value && (
        <FormDialog
          title={w.unholdTitle}
          action={w.unholdAction}
          act={async () => {
            await change('unhold', { image });
            toast(w.unholdDone);
            done();
          }}
          close={() => {
            isAsking.value = false;
          }}
        >
          <p>{w.unholdText}</p>
        </FormDialog>
      )}
    </div>
  );
}
