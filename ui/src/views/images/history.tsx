import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Loaded } from '../../parts/feedback.tsx';
import { mayChange } from '../../parts/may-change.tsx';
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
            <div class="table-scroll">
              <table class="plain-table">
                <thead>
                  <tr>
                    <th scope="col">{w.seen}</th>
                    <th scope="col">{w.digest}</th>
                    <th scope="col">{w.from}</th>
                    <th scope="col">{w.parts}</th>
                    <th scope="col">
                      <span class="hidden">{words.value.access.manage}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {moves.map((move) => (
                    <MoveRow
                      isHosted={home === 'hosted'}
                      key={`${move.seenAt} ${move.digest}`}
                      move={move}
                      rollBack={() => {
                        rollingBack.value = move;
                      }}
                    />
                  ))}
                </tbody>
              </table>
            </div>
          );
        }}
      </Loaded>
      {rollingBack.value !== undefined && (
        <Rollback
          image={image}
          move={rollingBack.value}
          home={home}
          done={reload}
          close={() => {
            rollingBack.value = undefined;
          }}
        />
      )}
    </>
  );
}

function MoveRow({
  move,
  isHosted,
  rollBack,
}: {
  readonly move: Move;
  readonly isHosted: boolean;
  readonly rollBack: () => void;
}): JSX.Element {
  const { images: w } = words.value;
  const { seenAt, digest, upstream, by, current, held, parts } = move;
  const { number } = formats.value;
  const isDeleted = digest === '';
  return (
    <tr>
      <td>
        <Time at={seenAt} />
      </td>
      <td>
        {isDeleted ? <span class="quiet">{w.deleted}</span> : <Digest value={digest} />}{' '}
        {current && <Badge tone="good" text={w.current} />} {held && <Badge tone="warn" text={w.held} />}
      </td>
      <td>{by ?? upstream}</td>
      <td>{isDeleted ? '' : w.of(number(parts.stored + Number(parts.manifest)), number(parts.named + 1))}</td>
      <td class="cell-end">
        {mayChange() && !isDeleted && !held && !(isHosted && current) && (
          <button type="button" class="button" onClick={rollBack}>
            {w.actions.rollback}
          </button>
        )}
      </td>
    </tr>
  );
}
