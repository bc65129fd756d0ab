import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Pages } from '../resource.ts';
import { visibleRows } from '../rows.ts';
import { formats, words } from '../words/index.ts';
import { Fault, Skeleton } from './feedback.tsx';

export interface Column<Entry> {
  readonly key: string;
  readonly title: string;
  readonly cell: (entry: Entry) => ComponentChildren;
  /** Of a CSS grid: `2fr`, `7rem`. @default 1fr */
  readonly width?: string;
  /** Numbers stand at the end. @default start */
  readonly align?: 'start' | 'end';
  /** False: left out on a phone, where a row shows what matters. @default true */
  readonly narrow?: boolean;
}

interface TableProps<Entry> {
  readonly label: string;
  readonly columns: readonly Column<Entry>[];
  readonly rows: readonly Entry[];
  readonly keyOf: (entry: Entry) => string;
  /** Rows in all, where more come; -1: not known. @default those that are here */
  readonly total?: number;
  /** Where a row leads: the whole row is then a target, and its first cell holds the link. */
  readonly hrefOf?: (entry: Entry) => string;
  /** Called when the last rows come into sight. */
  readonly onEnd?: () => void;
  readonly empty?: ComponentChildren;
  /** Rows that can be chosen, several at once, by a box in front of each. */
  readonly choice?: Choice<Entry> | undefined;
}

/** The rows that are chosen, by their keys. */
export interface Choice<Entry> {
  readonly chosen: ReadonlySet<string>;
  readonly toggle: (key: string) => void;
  /** All that are listed, or none. */
  readonly toggleAll: () => void;
  /** Of the box of a row, for screen readers: `Choose nginx`. */
  readonly labelOf: (entry: Entry) => string;
  readonly labelOfAll: string;
}

/** Pixels: CSS gives every row this height, so that a row's place follows from its number. */
const ROW = 44;
/** Rows up to which a table is drawn whole. */
const WHOLE = 60;

/**
 * A table that draws the rows on the screen alone, so that 100,000 stay quick. It scrolls with the page. By ARIA roles, with the
 * number of each row; up, down, Page Up, Page Down, Home and End move from row to row where rows are links.
 */
export function Table<Entry>(props: TableProps<Entry>): JSX.Element {
  const { label, columns, rows, keyOf, hrefOf, onEnd, total = rows.length, empty, choice } = props;
  const body = useRef<HTMLDivElement>(null);
  const range = useSignal({ first: 0, end: WHOLE });
  const wanted = useRef<number | undefined>(undefined);

  const look = useRef(() => {});
  look.current = (): void => {
    const top = body.current?.getBoundingClientRect().top ?? 0;
    const seen = visibleRows({ top, height: innerHeight, rowHeight: ROW, count: rows.length });
    const next = rows.length <= WHOLE ? { first: 0, end: rows.length } : seen;
    const { first, end } = range.peek();
    if (next.first !== first || next.end !== end) range.value = next;
    if (seen.end >= rows.length) onEnd?.();
  };
  useEffect(() => {
    const onScroll = (): void => look.current();
    addEventListener('scroll', onScroll, { passive: true });
    addEventListener('resize', onScroll, { passive: true });
    return () => {
      removeEventListener('scroll', onScroll);
      removeEventListener('resize', onScroll);
    };
  }, []);
  useLayoutEffect(() => look.current(), [rows]);
  useLayoutEffect(() => {
    if (wanted.current === undefined) return;
    const target = body.current?.querySelector<HTMLElement>(`[aria-rowindex="${wanted.current + 2}"] a`);
    if (target === null || target === undefined) return;
    wanted.current = undefined;
    target.focus({ preventScroll: true });
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const row = (event.target as Element).closest('[aria-rowindex]');
    if (row === null || hrefOf === undefined) return;
    const at = Number(row.getAttribute('aria-rowindex')) - 2;
    const page = Math.max(1, Math.floor(innerHeight / ROW) - 3);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(rows.length - 1, move));
    wanted.current = to;
    const { top = 0 } = body.current?.getBoundingClientRect() ?? {};
    const place = top + to * ROW;
    if (place < 2 * ROW || place > innerHeight - 3 * ROW) scrollBy(0, place - innerHeight / 2);
    look.current();
    range.value = { ...range.peek() };
  };

  if (rows.length === 0) return <>{empty ?? <p class="quiet">{words.value.table.empty}</p>}</>;
  const { first, end } = range.value;
  const shown = rows.slice(first, Math.min(end, rows.length));
  const front = choice === undefined ? '' : '1.4rem ';
  const template = columns.map(({ width = '1fr' }) => (width.endsWith('fr') ? `minmax(0,${width})` : width)).join(' ');
  const narrow = columns
    .filter((column) => column.narrow !== false)
    .map(({ width = '1fr' }) => (width.endsWith('fr') ? `minmax(0,${width})` : 'auto'))
    .join(' ');
  return (
    <div
      class="table"
      role="table"
      aria-label={label}
      aria-rowcount={total < 0 ? -1 : total + 1}
      aria-colcount={columns.length + (choice === undefined ? 0 : 1)}
      style={{ '--columns': front + template, '--narrow': front + narrow }}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup">
        <div class="row row-head" role="row" aria-rowindex={1}>
          {choice !== undefined && (
            <div role="columnheader" class="cell cell-box">
              <input
                type="checkbox"
                aria-label={choice.labelOfAll}
                checked={choice.chosen.size > 0}
                ref={(box) => {
                  if (box !== null) box.indeterminate = choice.chosen.size > 0 && choice.chosen.size < rows.length;
                }}
                onChange={choice.toggleAll}
              />
            </div>
          )}
          {columns.map((column) => (
            <div key={column.key} role="columnheader" class={cellClass(column)}>
              {column.title}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="rows" ref={body} style={{ height: `${rows.length * ROW}px` }}>
        {shown.map((entry, at) => (
          <div
            key={keyOf(entry)}
            class={hrefOf === undefined ? 'row' : 'row row-link'}
            role="row"
            aria-rowindex={first + at + 2}
            style={{ transform: `translateY(${(first + at) * ROW}px)` }}
          >
            {choice !== undefined && (
              <div role="cell" class="cell cell-box">
                <input
                  type="checkbox"
                  aria-label={choice.labelOf(entry)}
                  checked={choice.chosen.has(keyOf(entry))}
                  onChange={() => choice.toggle(keyOf(entry))}
                />
              </div>
            )}
            {columns.map((column, place) => (
              <div
                key={column.key}
                role="cell"
                class={`${cellClass(column)}${place === 0 && hrefOf !== undefined ? ' cell-link' : ''}`}
              >
                {place === 0 && hrefOf !== undefined ? (
                  <a href={hrefOf(entry)}>{column.cell(entry)}</a>
                ) : (
                  column.cell(entry)
                )}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function cellClass<Entry>({ align, narrow }: Column<Entry>): string {
  return `cell${align === 'end' ? ' cell-end' : ''}${narrow === false ? ' cell-wide' : ''}`;
}

/** A table of a list that is read by cursor: it reads on when the reader comes near its end. */
export function PagedTable<Entry>({
  pages,
  ...props
}: Omit<TableProps<Entry>, 'rows' | 'total' | 'onEnd'> & { readonly pages: Pages<Entry> }): JSX.Element {
  const { entries, complete, loading, error } = pages;
  const { table } = words.value;
  if (entries.length === 0 && loading) return <Skeleton lines={8} />;
  const count = formats.value.number(entries.length);
  return (
    <>
      {error !== undefined && <Fault error={error} retry={pages.reload} />}
      {(entries.length > 0 || error === undefined) && (
        <Table {...props} rows={entries} total={complete ? entries.length : -1} onEnd={pages.more} />
      )}
      {entries.length > 0 && (
        <p class="table-foot" role="status">
          {loading ? table.loading : complete ? table.rows(count) : table.rowsMore(count)}
        </p>
      )}
    </>
  );
}
