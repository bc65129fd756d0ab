import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { shortDigest } from '../../format.ts';
import { Button } from '../../parts/button.tsx';
import { toast } from '../../parts/feedback.tsx';
import { Field } from '../../parts/field.tsx';
import { textIn } from '../../parts/form.ts';
import { FormDialog } from '../../parts/form-dialog.tsx';
import { Icon } from '../../parts/icons.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Prose } from '../../parts/page.tsx';
import { formats, words } from '../../words/index.ts';

type Move = Answer<'history'>['tags'][number]['moves'][number];
type Hold = NonNullable<Answer<'image'>['hold']>;
type Home = Answer<'tagList'>['home'];

const MAX_REASON = 200;

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
          <Field label={w.reason}>
            {(ids) => <input {...ids} name="reason" maxLength={MAX_REASON} autocomplete="off" />}
          </Field>
          <Field label={w.until} hint={w.untilText}>
            {(ids) => <input {...ids} name="until" type="datetime-local" />}
          </Field>
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
  const end = until === undefined ? w.heldForGood : words.value.now.until(formats.value.time(until));
  return (
    <div class="note note-warn">
      <Icon name="pin" />
      <div>
        <p class="note-title">
          {w.heldAt(shortDigest(digest))}, {end}
        </p>
        {reason !== '' && <p>{w.heldReason(reason)}</p>}
        {mayChange() && <Button act={() => (isAsking.value = true)}>{w.actions.unhold}</Button>}
      </div>
      {isAsking.value && (
        <FormDialog
          title={w.unholdTitle}
          action={w.unholdTitle}
          act={async () => {
            await change('unhold', { image });
            toast(w.unholdDone);
            done();
          }}
          close={() => (isAsking.value = false)}
        >
          <p>{w.unholdText}</p>
        </FormDialog>
      )}
    </div>
  );
}
