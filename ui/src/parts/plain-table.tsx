import type { ComponentChildren, JSX } from 'preact';
import { words } from '../words/index.ts';

export interface PlainRow {
  readonly key: string;
  /** One for each title; the first names the row. */
  readonly cells: readonly ComponentChildren[];
  /** What can be done with it. */
  readonly actions?: ComponentChildren;
}

/**
 * A short table whose rows may have several lines. On a phone each row is a card, with the titles beside its cells. The roles are
 * written out: browsers forget them where a table is not drawn as one.
 */
export function PlainTable({
  label,
  titles,
  rows,
}: {
  readonly label: string;
  readonly titles: readonly string[];
  readonly rows: readonly PlainRow[];
}): JSX.Element {
  const hasActions = rows.some(({ actions }) => actions !== undefined && actions !== null && actions !== false);
  return (
    <table class="plain-table cards" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {titles.map((title) => (
            <th key={title} role="columnheader" scope="col">
              {title}
            </th>
          ))}
          {hasActions && (
            <th role="columnheader" scope="col">
              <span class="hidden">{words.value.access.manage}</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ key, cells, actions }) => (
          <tr key={key} role="row">
            {cells.map((cell, at) =>
              at === 0 ? (
                <th key={titles[at]} role="rowheader" scope="row">
                  {cell}
                </th>
              ) : (
                <td key={titles[at]} role="cell" data-title={titles[at]}>
                  <div>{cell}</div>
                </td>
              ),
            )}
            {hasActions && (
              <td role="cell" class="cell-end row-actions">
                {actions}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
