import {
  type AttachedNames,
  type CarryBegun,
  callControl,
  controlSocketPath,
  OPERATIONS,
  type PlannedImage,
} from '../../../admin/index.ts';
import { BundleError } from '../../../bundle/index.ts';
import type { ConfigFlags } from '../../../config/index.ts';
import type { Output } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';

/** What is stored in a cache directory, held until the work on it is done. */
export interface Carrier {
  readonly dir: string;
  readonly isRunning: boolean;
  /** True: nothing can be fetched. */
  readonly offline: boolean;
  plan(images: readonly string[], platforms: readonly string[]): Promise<readonly PlannedImage[]>;
  /** What the upstreams have that belongs to images; nothing without a server. */
  attached(images: readonly string[]): Promise<AttachedNames>;
  /** Aborts where what is held is no longer. */
  readonly signal: AbortSignal;
  /** @throws {BundleError} where what was planned may be gone */
  confirm(): Promise<void>;
}

/** Images of one question to a server. */
const AT_ONCE = 50;
/** Renewals within a lease: some may be late. */
const RENEWALS = 4;
/** Milliseconds that a command waits for another one that has the directory. */
const TURN_LIMIT = 5000;

interface CarrierOptions {
  readonly flags: ConfigFlags;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** Works with what is stored: beside a running server, which evicts nothing of it meanwhile, or as the owner of the directory. */
export async function withCarrier(
  { flags, output, signal }: CarrierOptions,
  work: (carrier: Carrier) => Promise<number>,
): Promise<number> {
  let code: number | undefined;
  return await runServerCommand(
    {
      flags,
      operation: OPERATIONS.carryBegin,
      input: {},
      turnLimit: TURN_LIMIT,
      alone: async (owned) => {
        const { config } = owned.loaded;
        if (config.cache === 'off') throw new Error('a command owns a directory only where there is a cache');
        const { dir } = config.cache;
        const { withOwnCarry } = await import('./own-carry.ts');
        return await withOwnCarry(owned, async (carry) => {
          const begun = await carry.begin();
          const plan: Carrier['plan'] = (images, platforms) =>
            inBatches(images, (some) => carry.plan({ id: begun.id, images: some, platforms }));
          const confirm = () => Promise.resolve();
          const attached = () => Promise.resolve({ names: [], failed: [] });
          // The owner of the directory renews nothing: the lease is longer than any question, and nothing evicts meanwhile.
          const renewing = setInterval(() => carry.renew(begun.id), begun.lease / RENEWALS);
          try {
            code = await work({ dir, isRunning: false, offline: true, plan, attached, signal, confirm });
          } finally {
            clearInterval(renewing);
          }
          return begun;
        });
      },
      show: async (begun, dir) => code ?? (await besideServer(begun, { dir, signal, work })),
    },
    output,
  );
}

async function besideServer(
  { id, lease, offline }: CarryBegun,
  { dir, signal, work }: { dir: string; signal: AbortSignal; work: (carrier: Carrier) => Promise<number> },
): Promise<number> {
  const socket = controlSocketPath(dir);
  const lost = new AbortController();
  const confirm = async (): Promise<void> => {
    const { on } = await callControl(socket, OPERATIONS.carryRenew, { input: { id }, timeoutMs: lease });
    if (!on) {
      throw new BundleError('The server has ended the export, as it restarted or waited too long. Repeat the command.');
    }
  };
  const timer = setInterval(() => {
    confirm().catch((error: unknown) => lost.abort(error));
  }, lease / RENEWALS);
  const either = AbortSignal.any([signal, lost.signal]);
  try {
    return await work({
      dir,
      isRunning: true,
      offline,
      plan: (images, platforms) =>
        inBatches(images, async (some) => {
          const input = { id, images: some, platforms };
          return (await callControl(socket, OPERATIONS.carryPlan, { input, signal: either })).images;
        }),
      async attached(images) {
        const found: { names: string[]; failed: AttachedNames['failed'][number][] } = { names: [], failed: [] };
        for (let from = 0; from < images.length; from += AT_ONCE) {
          const input = { images: images.slice(from, from + AT_ONCE) };
          const { names, failed } = await callControl(socket, OPERATIONS.carryAttached, { input, signal: either });
          found.names.push(...names);
          found.failed.push(...failed);
        }
        return found;
      },
      signal: either,
      confirm,
    });
  } finally {
    clearInterval(timer);
    // A server that has stopped holds nothing.
    await callControl(socket, OPERATIONS.carryEnd, { input: { id } }).catch(() => undefined);
  }
}

async function inBatches(
  images: readonly string[],
  plan: (some: readonly string[]) => Promise<readonly PlannedImage[]>,
): Promise<readonly PlannedImage[]> {
  const planned: PlannedImage[] = [];
  for (let from = 0; from < images.length; from += AT_ONCE)
    planned.push(...(await plan(images.slice(from, from + AT_ONCE))));
  return planned;
}
