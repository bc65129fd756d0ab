/** Bytes in each unit, by its lower-case spelling. */
const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

/**
 * Reads a size: a number of bytes, or a number with a unit (`50GB` is 50·10⁹, `512MiB` is 512·2²⁰).
 *
 * `50G` is refused: some programs read it as 10⁹, others as 2³⁰.
 *
 * @returns whole bytes, or undefined if the text is not a size
 */
export function parseSize(text: string | number): number | undefined {
  const bytes = typeof text === 'number' ? text : readSize(text);
  return bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

/** A smaller number without a unit was hardly meant as bytes. */
const LEAST_BARE_SIZE = 2 ** 20;

/** As {@link parseSize}; undefined for a small number without a unit too, except 0: `max_size: 50` was not meant as 50 bytes. */
export function parseUnitSize(value: string | number): number | undefined {
  const bytes = parseSize(value);
  const isBare = typeof value === 'number' || /^\d+$/.test(value);
  return isBare && bytes !== undefined && bytes > 0 && bytes < LEAST_BARE_SIZE ? undefined : bytes;
}

function readSize(text: string): number | undefined {
  if (text.length > 64) return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?i?b)?$/i.exec(text);
  if (match === null) return undefined;
  const unit = UNITS[(match[2] ?? 'b').toLowerCase()];
  return unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}
