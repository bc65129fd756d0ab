import { type Digest, Digester, digestAlgorithm, type OpenBlobOptions, type OriginBlob } from '../../oci/index.ts';
import type { Ingestion } from '../../store/index.ts';
import { wrongBytes } from './origin-reader.ts';
import { type Deliveries, Segment, type SourcedSpan } from './segments/index.ts';

/** Bytes that are read back at once. */
const PIECE = 256 * 1024;

/** Bytes of a span that one request asks for: clients wait for all of them, so several are asked for at once. */
const LONGEST = 16 * 1024 * 1024;

/** A whole file that is wrong somewhere. */
export interface RepairEnvironment {
  /** Name of the upstream that is asked, alone. */
  readonly trusted: string;
  readonly digest: Digest;
  readonly size: number;
  readonly file: Pick<Ingestion, 'read' | 'write'>;
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  readonly deliveries: Deliveries;
  /** Requests to it at once. */
  readonly connections: number;
  readonly signal: AbortSignal;
}

/** What became of it. */
interface Repaired {
  /** Upstreams that delivered other bytes. Where the trusted one could not be asked for all of them: those that may have. */
  readonly suspects: ReadonlySet<string>;
  /** Where these bytes are: of each span from the first to the last. */
  readonly wrong: readonly SourcedSpan[];
  /** Whether the digest holds now. */
  readonly holds: boolean;
}

/**
 * Fetches spans of a file again from the upstream that is trusted most, over several connections, compares and corrects them, and hashes
 * the whole file. Where it does not hold even then, it is the trusted one that is wrong: nothing is left of the others.
 */
export async function repairSpans(spans: readonly SourcedSpan[], environment: RepairEnvironment): Promise<Repaired> {
  const wrong: SourcedSpan[] = [];
  const all = { suspects: upstreamsOf(spans), wrong, holds: false };
  const left = spans.flatMap(piecesOf);
  let isLost = false;
  const work = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(PIECE);
    for (let piece = left.shift(); piece !== undefined && !isLost; piece = left.shift()) {
      const found = await repairSpan(piece, buffer, environment);
      if (found === undefined) isLost = true;
      else if (found.end > found.start) wrong.push(found);
    }
  };
  await Promise.all(Array.from({ length: Math.min(left.length, environment.connections) }, work));
  if (isLost) return all;
  wrong.sort((one, other) => one.start - other.start);
  try {
    const holds = wrong.length > 0 && (await hashOf(Buffer.allocUnsafe(PIECE), environment)) === environment.digest;
    return { suspects: upstreamsOf(holds ? wrong : []), wrong, holds };
  } catch {
    // The disk cannot be read.
    return all;
  }
}

function piecesOf({ start, end, upstream }: SourcedSpan): readonly SourcedSpan[] {
  return Array.from({ length: Math.ceil((end - start) / LONGEST) }, (_, at) => {
    const from = start + at * LONGEST;
    return { start: from, end: Math.min(from + LONGEST, end), upstream };
  });
}

function upstreamsOf(spans: readonly SourcedSpan[]): ReadonlySet<string> {
  return new Set(spans.map(({ upstream }) => upstream));
}

/** @returns what of the span was wrong, empty where nothing was; undefined where it could not be had */
async function repairSpan(
  { start, end, upstream }: SourcedSpan,
  buffer: Buffer,
  { trusted, size, file, open, deliveries, signal }: RepairEnvironment,
): Promise<SourcedSpan | undefined> {
  let first = end;
  let last = start;
  const segment = new Segment(start, end, {
    size,
    signal,
    open: async (options) => {
      const blob = await open({ ...options, only: trusted });
      if (blob.upstream === trusted) return blob;
      blob.body.cancel();
      throw wrongBytes(`Asked ${trusted} and got an answer of ${blob.upstream}`, blob.upstream);
    },
    write: async (chunk, position) => {
      for (let at = 0; at < chunk.length; ) {
        const right = chunk.subarray(at, at + buffer.length);
        const had = buffer.subarray(0, right.length);
        await fill(had, position + at, file);
        if (!had.equals(right)) {
          first = Math.min(first, position + at + firstDifference(had, right));
          last = position + at + right.length;
          await file.write(right, position + at);
        }
        at += right.length;
      }
    },
    came: ({ source }, piece) => {
      if (source !== undefined) deliveries.came(source, piece.start, piece.end);
    },
  });
  const outcome = await segment.ended;
  return outcome === 'done' ? { start: Math.min(first, last), end: last, upstream } : undefined;
}

async function hashOf(buffer: Buffer, { digest, size, file, signal }: RepairEnvironment): Promise<Digest> {
  const digester = new Digester(digestAlgorithm(digest));
  for (let position = 0; position < size; ) {
    signal.throwIfAborted();
    const piece = buffer.subarray(0, Math.min(buffer.length, size - position));
    await fill(piece, position, file);
    digester.update(piece);
    position += piece.length;
  }
  return digester.digest();
}

/** Reads as many bytes as the target has room for. */
async function fill(target: Buffer, position: number, file: Pick<Ingestion, 'read'>): Promise<void> {
  for (let filled = 0; filled < target.length; ) {
    const count = await file.read(target.subarray(filled), position + filled);
    if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
    filled += count;
  }
}

function firstDifference(one: Buffer, other: Buffer): number {
  return one.findIndex((byte, at) => byte !== other[at]);
}
