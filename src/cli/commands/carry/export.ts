import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { PlannedImage } from '../../../admin/index.ts';
import {
  type BundleEntry,
  BundleError,
  type BundlePart,
  blobsOfBundle,
  type Written,
  writeBundle,
} from '../../../bundle/index.ts';
import { type Digest, parseDigest } from '../../../oci/index.ts';
import { readHostedBlobs } from '../../../store/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors, UsageError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatProgress } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput } from '../../output.ts';
import { progressDisplay } from '../../progress-display.ts';
import { type Carrier, withCarrier } from './carrier.ts';
import { formatLacks, lacksOf } from './carry-text.ts';
import { clean } from './image-bars.ts';
import { type FilePlaces, type ImageOptions, readImageNames } from './image-names.ts';
import { warm } from './warm.ts';

/** The options of `entrepot export`. */
export interface ExportOptions extends CommandOptions, ImageOptions {
  /** The file to write; `-` is standard output. */
  readonly output: string;
  /** An earlier bundle, whose blobs are left out. */
  readonly since?: string;
  readonly platform?: readonly string[];
}

export interface ExportSurroundings extends Surroundings, FilePlaces {
  /** @default that of the process */
  readonly stdout?: Writable & { readonly isTTY?: boolean };
}

/**
 * `entrepot export`: writes images into a bundle, out of what is stored here. What is not whole here is fetched first by the running server.
 *
 * @returns the exit code: failure where an image is not whole, and nothing was written
 */
export function exportImages(options: ExportOptions, surroundings: ExportSurroundings = {}): Promise<number> {
  const { interrupt, cwd = process.cwd(), stdout = process.stdout } = surroundings;
  const { flags, since } = options;
  const isPiped = options.output === '-';
  const output = isPiped ? besideBundle(surroundings.output ?? processOutput) : (surroundings.output ?? processOutput);
  const to = isPiped ? stdout : resolve(cwd, options.output);
  return withInterrupt(interrupt, async (signal) => {
    try {
      return await reportErrors(output, async () => {
        if (isPiped && stdout.isTTY === true) {
          throw new UsageError('a terminal takes no bundle; name a file with -o, or pipe it into a program');
        }
        const names = await readImageNames(options, output, surroundings);
        const earlier = since === undefined ? undefined : await readEarlier(resolve(cwd, since), to);
        return await withCarrier({ flags, output, signal }, async (carrier) => {
          const planned = await planWhole(names, { carrier, options, surroundings, output });
          if (planned === undefined) return EXIT.failure;
          const written = await write(planned, { carrier, to, earlier, options, surroundings, output });
          output.out(formatExported(planned, written, options));
          return EXIT.ok;
        });
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      const left = isPiped ? 'What was written is no bundle' : 'Nothing was written';
      output.err(`Interrupted. ${left}; what was fetched stays in the cache.\n`);
      return EXIT.interrupted;
    }
  });
}

/** Standard output has the bundle, and nothing else. */
function besideBundle(output: Output): Output {
  return { out: (text, how) => output.err(text, how), err: (text, how) => output.err(text, how) };
}

async function readEarlier(path: string, to: string | Writable): Promise<ReadonlySet<Digest>> {
  const paths = typeof to === 'string' ? [path, to] : [path];
  const [one, other] = await Promise.all(paths.map((each) => realpath(each).catch(() => undefined)));
  if (one !== undefined && one === other) {
    throw new BundleError(`${path} is the earlier bundle; write the new one to another file`);
  }
  return await blobsOfBundle(path);
}

interface PlanContext {
  readonly carrier: Carrier;
  readonly options: ExportOptions;
  readonly surroundings: Surroundings & FilePlaces;
  readonly output: Output;
}

/** The plans of images that are whole; undefined where one is not, which is said. */
async function planWhole(
  names: readonly string[],
  { carrier, options, surroundings, output }: PlanContext,
): Promise<readonly PlannedImage[] | undefined> {
  const { platform = [], flags, json } = options;
  let planned = await carrier.plan(names, platform);
  const lacking = planned.filter(({ complete, error, home }) => !complete && error === undefined && home !== 'hosted');
  const hasErrors = planned.some(({ error }) => error !== undefined);
  if (lacking.length > 0 && !hasErrors && carrier.isRunning && !carrier.offline) {
    // Its result is not that of this command.
    const beside: Output = { out: (text) => output.err(json === true ? '' : text), err: (text) => output.err(text) };
    const images = lacking.map(({ image }) => image);
    await warm({ flags, images, platform }, { ...surroundings, output: beside, interrupt: carrier.signal });
    carrier.signal.throwIfAborted();
    planned = await carrier.plan(names, platform);
  }
  const lacks = lacksOf(planned);
  if (lacks.length === 0) return unique(await withAttached(names, planned, { carrier, options, surroundings, output }));
  output.err(`${formatLacks(lacks).join('\n')}\n`);
  const remedy = carrier.isRunning
    ? carrier.offline
      ? 'The server is offline: fetch them where there is an upstream, or name the platforms that are here with --platform.'
      : 'Name the platforms that there are with --platform, or leave these images out.'
    : 'Start the server, which fetches them, or name the platforms that are here with --platform.';
  output.err(`Nothing was written: ${count(lacks.length, 'image')} of ${planned.length} not whole here. ${remedy}\n`);
  return undefined;
}

/** Fetches signatures and other referrers that the upstreams have. An image is carried without those that cannot be had, which is said. */
async function withAttached(
  names: readonly string[],
  planned: readonly PlannedImage[],
  { carrier, options, surroundings, output }: PlanContext,
): Promise<readonly PlannedImage[]> {
  if (!carrier.isRunning || carrier.offline) return planned;
  const { platform = [], flags } = options;
  const { names: there, failed } = await carrier.attached(planned.map(({ image }) => image));
  for (const { image, error } of failed) {
    output.err(
      `${clean(image)}: its upstream did not say what signatures it has, and those that are not here stay behind: ${clean(error)}\n`,
    );
  }
  const here = new Set(
    planned.flatMap(({ repository, attached }) =>
      attached.flatMap(({ digest, tag }) => [
        `${repository}@${digest}`,
        ...(tag === undefined ? [] : [`${repository}:${tag}`]),
      ]),
    ),
  );
  const wanted = there.filter((name) => !here.has(name));
  if (wanted.length === 0) return planned;
  const lines: string[] = [];
  const quiet: Output = { out: (text) => void lines.push(text), err: () => undefined };
  const around = { ...surroundings, output: quiet, isTerminal: false, interrupt: carrier.signal };
  const code = await warm({ flags, images: wanted }, around);
  carrier.signal.throwIfAborted();
  if (code !== EXIT.ok)
    output.err(`Signatures or other referrers that could not be fetched stay behind:\n${lines.join('')}`);
  return await carrier.plan(names, platform);
}

/** `nginx` and `docker.io/library/nginx:latest` are one image. */
function unique(planned: readonly PlannedImage[]): readonly PlannedImage[] {
  return [...new Map(planned.map((each) => [each.image, each])).values()];
}

interface WriteContext extends PlanContext {
  readonly to: string | Writable;
  readonly earlier: ReadonlySet<Digest> | undefined;
}

async function write(planned: readonly PlannedImage[], context: WriteContext): Promise<Written> {
  const { carrier, to, earlier, surroundings, options, output } = context;
  const parts = partsOf(planned);
  const sizes = new Map(
    planned.flatMap((image) =>
      treesOf(image).flatMap(({ parts }) => parts.map(({ digest, size = 0 }) => [digest, size])),
    ),
  );
  const total = [...sizes].reduce(
    (sum, [digest, size]) => sum + (earlier?.has(digest as Digest) === true ? 0 : size),
    0,
  );
  const how =
    options.json === true ? 'quiet' : (surroundings.isTerminal ?? process.stderr.isTTY) ? 'in place' : 'by line';
  let bytes = 0;
  const display = progressDisplay(output, how, (done: number) => formatProgress({ bytes: done, size: total }));
  try {
    return await writeBundle({
      to,
      entries: entriesOf(planned),
      parts,
      source: {
        mirrored: await readHostedBlobs(carrier.dir),
        hosted: await readHostedBlobs(join(carrier.dir, 'hosted')),
      },
      since: earlier,
      signal: carrier.signal,
      onBytes: (count) => {
        bytes += count;
        display.show(bytes);
      },
      // What was held all the time was not evicted.
      confirm: () => carrier.confirm(),
    });
  } finally {
    display.end();
  }
}

function treesOf({ tree, attached }: PlannedImage): readonly NonNullable<PlannedImage['tree']>[] {
  return tree === undefined ? [] : [tree, ...attached];
}

function partsOf(planned: readonly PlannedImage[]): readonly BundlePart[] {
  return planned.flatMap((image) =>
    treesOf(image).flatMap(({ parts }) =>
      parts
        .filter(({ stored }) => stored)
        .map(({ digest, kind }) => ({ digest: digestIn(digest), kind, home: image.home ?? 'mirrored' })),
    ),
  );
}

/** Named images by their names, then what refers to them by digest. */
function entriesOf(planned: readonly PlannedImage[]): readonly BundleEntry[] {
  const entries = new Map<string, BundleEntry>();
  for (const { image, repository, tree, attached } of planned) {
    if (tree === undefined) continue;
    entries.set(image, { ...entryOf(tree), name: image, repository });
    for (const each of attached) {
      const name = each.tag === undefined ? undefined : `${repository}:${each.tag}`;
      const key = name ?? `${repository}@${each.digest}`;
      if (!entries.has(key)) entries.set(key, { ...entryOf(each), name, repository });
    }
  }
  const compare = (one: string, other: string): number => (one < other ? -1 : Number(one > other));
  return [...entries]
    .sort(
      ([one, { name: isNamed }], [other, { name: isOtherNamed }]) =>
        Number(isNamed === undefined) - Number(isOtherNamed === undefined) || compare(one, other),
    )
    .map(([, entry]) => entry);
}

function entryOf({
  digest,
  mediaType,
  visibility,
  confirmedAt,
  parts,
}: NonNullable<PlannedImage['tree']>): BundleEntry {
  const size = parts[0]?.size ?? 0;
  return { digest: digestIn(digest), mediaType, size, visibility, confirmedAt };
}

function digestIn(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined)
    throw new BundleError(`the server answered with ${JSON.stringify(text.slice(0, 100))} as a digest; restart it`);
  return digest;
}

function formatExported(planned: readonly PlannedImage[], written: Written, options: ExportOptions): string {
  const { since, json = false } = options;
  const file = options.output === '-' ? 'standard output' : options.output;
  const attached = planned.reduce((sum, each) => sum + each.attached.length, 0);
  if (json)
    return formatJson({ file: options.output, images: planned.map(({ image }) => image), attached, ...written });
  const { blobs, bytes, omitted } = written;
  const beside =
    attached === 0
      ? ''
      : attached === 1
        ? ' with 1 signature or other referrer'
        : ` with ${attached} signatures and other referrers`;
  const lines = [
    `Exported ${count(planned.length, 'image')}${beside} to ${file}: ${count(blobs, 'blob')}, ${formatBytes(bytes)}.`,
  ];
  if (since !== undefined) {
    lines.push(
      `${count(omitted, 'blob')} left out, as ${since} has ${omitted === 1 ? 'it' : 'them'}: import that bundle first.`,
    );
  }
  return `${lines.join('\n')}\n`;
}
