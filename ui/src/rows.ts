/** The rows of a long table that are drawn. */
export interface VisibleRows {
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
}

/** Rows that are drawn beyond each edge, so that a quick scroll shows no gap. */
const BEYOND = 12;

/**
 * Which rows of a table are on the screen.
 *
 * @param top pixels from the top of the window to the top of the first row; negative once that is scrolled away
 * @param height pixels of the window
 */
export function visibleRows({
  top,
  height,
  rowHeight,
  count,
}: {
  readonly top: number;
  readonly height: number;
  readonly rowHeight: number;
  readonly count: number;
}): VisibleRows {
  const first = Math.floor(-top / rowHeight) - BEYOND;
  const end = Math.ceil((height - top) / rowHeight) + BEYOND;
  const clamp = (row: number): number => Math.max(0, Math.min(count, row));
  return { first: clamp(first), end: Math.max(clamp(first), clamp(end)) };
}
