import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Loaded } from '../../parts/feedback.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { type PlainRow, PlainTable } from '../../parts/plain-table.tsx';
import { Badge, Digest, Time } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';
import { Rollback } from './rollback.tsx';

type Move = Answer<'history'>['tags'][number]['moves'][number];
type Home = Answer<'tagList'>['home'];

/** Where a tag pointed, newest first, and the way back. */
export function History({
  image,
  home,
  done,
}: {
  readonly image: string;
  readonly home: Home;
  readonly done: () => void;
}): JSX.Element {
  const { images: w } = words.value;
  const history = useRead('history', { image }, { on: ['tag'] });
  const rollingBack = useSignal<Move | undefined>(undefined);
  const reload = (): void => {
    history.reload();
    done();
  };
  return (
    <>
      <Loaded of={history} lines={4}>
        {({ tags }) => {
          const moves = tags[0]?.moves ?? [];
          if (moves.length === 0) return <p class="quiet">{w.noHistory}</p>;
          return (
            <PlainTable
              label={w.tabs.history}
              titles={[w.seen, w.digest, w.from, w.parts]}
              rows={moves.map((move) => rowOf(move, { home, rollBack: () => (rollingBack.value = move) }))}
            />
          );
        }}
      </Loaded>
      {rollingBack.value !== undefined && (
        <Rollback
          image={image}
          move={rollingBack.value}
          home={home}
          done={reload}
          close={() => (rollingBack.value = undefined)}
        />
      )}
    </>
  );
}

function rowOf(
  { seenAt, digest, upstream, by, current, held, parts }: Move,
  { home, rollBack }: { readonly home: Home; readonly rollBack: () => void },
): PlainRow {
  const { images: w } = words.value;
  const { number } = formats.value;
  const isDeleted = digest === '';
  // A hosted tag moves; a mirrored one can be held where it is.
  const isWhereItIs = held || (current && home === 'hosted');
  return {
    key: `${seenAt} ${digest}`,
    cells: [
      <Time at={seenAt} />,
      <>
        {isDeleted ? <span class="quiet">{w.deleted}</span> : <Digest value={digest} />}{' '}
        {current && <Badge tone="good" text={w.current} />} {held && <Badge tone="warn" text={w.held} />}
      </>,
      by ?? upstream,
      isDeleted ? '' : words.value.units.of(number(parts.stored + Number(parts.manifest)), number(parts.named + 1)),
    ],
    actions: mayChange() && !isDeleted && !isWhereItIs && <Button act={rollBack}>{w.actions.rollback}</Button>,
  };
}
