import type { ByteSource } from '../../lib/index.ts';
import type { ResponseMeter } from '../../net/index.ts';

/** Bytes of one measurement. */
const WINDOW = 4 * 1024 * 1024;
/** The fewest bytes that tell a rate: fewer are mostly on their way already when the head arrives. */
const LEAST = 256 * 1024;
/** Of the time, what reads must have waited at least: otherwise the reader was the slower one. */
const WAITED_SHARE = 0.5;

/**
 * A body whose rate is measured, each few megabytes and at its end. A rate that the reader limits is not told. Each read costs a
 * comparison and no allocation.
 *
 * @param how.told bytes per second
 */
export function rateBody(
  source: ByteSource,
  how: { readonly meter: ResponseMeter; readonly told: (bytesPerSecond: number) => void },
): ByteSource {
  const { meter, told } = how;
  let bytes = meter.bytes;
  let waited = meter.waitedMs ?? 0;
  let since: number | undefined;
  function look(least: number): void {
    if (since === undefined) since = performance.now();
    if (meter.bytes - bytes < least) return;
    const now = performance.now();
    const took = now - since;
    if (took > 0 && (meter.waitedMs ?? 0) - waited >= took * WAITED_SHARE) told(((meter.bytes - bytes) * 1000) / took);
    bytes = meter.bytes;
    waited = meter.waitedMs ?? 0;
    since = now;
  }
  return {
    read() {
      look(meter.isOver ? LEAST : WINDOW);
      return source.read();
    },
    cancel(reason) {
      if (since !== undefined) look(LEAST);
      source.cancel(reason);
    },
  };
}
