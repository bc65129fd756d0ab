import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { IconButton } from '../../parts/button.tsx';
import { Confirm } from '../../parts/confirm.tsx';
import { toast } from '../../parts/feedback.tsx';
import { Note } from '../../parts/note.tsx';
import { textOf } from '../../reason.ts';
import { formats, words } from '../../words/index.ts';

/** Images of one list in a dialog. */
const SHOWN = 20;

/** What can be done with images; each says what it did, and calls `done`. */
export interface ImageActions {
  readonly busy: boolean;
  readonly refresh: (images: readonly string[]) => void;
  readonly pin: (images: readonly string[], pinned: boolean) => void;
  readonly warm: (images: readonly string[]) => void;
  /** Shows first what would go. */
  readonly purge: (patterns: readonly string[]) => void;
  /** The dialog that is open. */
  readonly dialog: JSX.Element | null;
}

export function useImageActions(done: () => void): ImageActions {
  const busy = useSignal(false);
  const purging = useSignal<readonly string[] | undefined>(undefined);
  const run = (act: () => Promise<void>): void => {
    if (busy.value) return;
    busy.value = true;
    act()
      .catch((reason: unknown) => toast(textOf(reason), 'bad'))
      .finally(() => {
        busy.value = false;
        done();
      });
  };
  const close = (): void => {
    purging.value = undefined;
  };
  return {
    busy: busy.value,
    refresh: (images) => run(() => refresh(images)),
    pin: (images, pinned) => run(() => setPinned(images, pinned)),
    warm: (images) => run(() => warm(images)),
    purge: (patterns) => {
      purging.value = patterns;
    },
    dialog: purging.value === undefined ? null : <Purge patterns={purging.value} close={close} done={done} />,
  };
}

async function refresh(images: readonly string[]): Promise<void> {
  const { tags } = await change('refresh', { patterns: images });
  const { images: w } = words.value;
  const count = (...outcomes: readonly string[]): string =>
    formats.value.number(tags.filter(({ outcome }) => outcomes.includes(outcome)).length);
  const failed = tags.find(({ outcome }) => outcome === 'failed');
  toast(w.refreshed(count('moved', 'new'), count('unchanged'), count('failed')), failed === undefined ? 'good' : 'bad');
  if (failed !== undefined) toast(w.refreshFailed(failed.image, failed.error ?? ''), 'bad');
}

async function setPinned(images: readonly string[], pinned: boolean): Promise<void> {
  for (const image of images) await change(pinned ? 'pin' : 'unpin', { image });
  const { images: w } = words.value;
  toast((pinned ? w.pinDone : w.unpinDone)(images.length, formats.value.number(images.length)));
}

async function warm(images: readonly string[]): Promise<void> {
  await change('warm', { images });
  toast(words.value.images.warmBegun(images.length, formats.value.number(images.length)));
}

function Purge({
  patterns,
  close,
  done,
}: {
  readonly patterns: readonly string[];
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const { images: w } = words.value;
  const freed = useSignal<number | undefined>(undefined);
  return (
    <Confirm
      title={w.purgeTitle}
      action={w.purgeAction(freed.value === undefined ? '' : formats.value.bytes(freed.value))}
      danger
      preview={async () => {
        const answer = await change('purge', { patterns, dryRun: true });
        freed.value = answer.freed;
        return answer;
      }}
      show={(answer) => <PurgePreview answer={answer} />}
      act={async () => {
        const { freed: bytes } = await change('purge', { patterns, dryRun: false });
        toast(w.purgeDone(formats.value.bytes(bytes)));
        done();
      }}
      close={close}
    />
  );
}

function PurgePreview({ answer }: { readonly answer: Answer<'purge'> }): JSX.Element {
  const { images: w } = words.value;
  const { tags, tagCount, blobs, freed, held = [], hosted, patterns } = answer;
  const { number, bytes } = formats.value;
  const isEmpty = tagCount === 0 && blobs === 0 && held.length === 0;
  return (
    <div class="stack">
      {isEmpty ? (
        <p>{w.purgeNothing}</p>
      ) : (
        <p>
          {w.purgeSums(
            w.tagCount(tagCount, number(tagCount)),
            words.value.now.blobs(blobs, number(blobs)),
            bytes(freed),
          )}
        </p>
      )}
      <NameList
        names={tags.length > 0 ? tags.map(({ image }) => image) : patterns}
        count={Math.max(tagCount, tags.length)}
      />
      {held.length > 0 && <Note text={w.purgeHeld(held.length, number(held.length))} />}
      {hosted !== undefined && (
        <>
          <p>{w.purgeHosted}</p>
          <NameList names={hosted.names} count={hosted.count} />
        </>
      )}
      <p class="quiet">{w.purgeText}</p>
    </div>
  );
}

function NameList({ names, count }: { readonly names: readonly string[]; readonly count: number }): JSX.Element {
  const shown = names.slice(0, SHOWN);
  const more = Math.max(count, names.length) - shown.length;
  return (
    <ul class="names">
      {shown.map((name) => (
        <li key={name}>
          <code>{name}</code>
        </li>
      ))}
      {more > 0 && <li class="quiet">{words.value.images.purgeMore(formats.value.number(more))}</li>}
    </ul>
  );
}

/** The bar of what can be done with the chosen rows. It stays in sight at the foot of the window. */
export function ChoiceBar({
  count,
  clear,
  children,
}: {
  readonly count: number;
  readonly clear: () => void;
  readonly children: ComponentChildren;
}): JSX.Element | null {
  const { images: w } = words.value;
  if (count === 0) return null;
  return (
    <div class="choice-bar" role="toolbar" aria-label={w.chosen(count, formats.value.number(count))}>
      <p aria-live="polite">{w.chosen(count, formats.value.number(count))}</p>
      {children}
      <IconButton icon="cross" size={18} label={w.clearChoice} act={clear} />
    </div>
  );
}
