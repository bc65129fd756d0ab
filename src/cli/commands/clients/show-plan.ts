import { type Machine, type SetupPlan, unifiedDiff } from '../../../setup/index.ts';
import type { Output } from '../../output.ts';

interface ShowOptions {
  readonly output: Output;
  /** Whether the plan was to be applied. */
  readonly apply: boolean;
  /** Whether it was. */
  readonly isApplied: boolean;
  /** Whether the command itself restarts the client. */
  readonly restarts: boolean;
}

/** The diffs on standard output, and everything said about them on standard error. */
export function showPlan(machine: Machine, plan: SetupPlan, { output, apply, isApplied, restarts }: ShowOptions): void {
  const { client, server, files, unchanged, refusals, notes, restart, verify } = plan;
  for (const { path, current, after } of files) output.out(diffOf(machine, path, { current, after }));
  const say = (text: string): void => output.err(`${text}\n`);
  for (const { path, reason } of refusals) say(`${path} ${reason}.`);
  for (const note of notes) say(`note: ${note}`);
  if (refusals.length > 0) {
    if (apply) say('Nothing was written.');
    return;
  }
  if (files.length === 0) {
    say(`Nothing has to change: ${client} is set up for ${server} (${unchanged.join(', ')}).`);
    return;
  }
  say(
    isApplied
      ? `Written. To take it back: entrepot setup ${client} --undo`
      : 'Nothing was written. Add --apply to write it.',
  );
  if (machine.isLive && restart !== undefined && !restarts) say(`Then run: ${restart}`);
  if (machine.isLive && verify !== undefined) say(`Verify:   ${verify}`);
  if (machine.isLive && isApplied) say(`Prove it: entrepot doctor --server ${server} --run --client ${client}`);
}

/** The same for programs. */
export function planJson(machine: Machine, plan: SetupPlan, { isApplied }: { readonly isApplied: boolean }): unknown {
  const { client, server, files, unchanged, refusals, notes, restart, verify } = plan;
  return {
    client,
    server,
    applied: isApplied,
    files: files.map(({ path, current, after }) => ({
      path: machine.absolute(path),
      action: current === undefined ? 'create' : after === undefined ? 'remove' : 'change',
      diff: diffOf(machine, path, { current, after }),
    })),
    unchanged: unchanged.map((path) => machine.absolute(path)),
    refused: refusals,
    notes,
    ...(restart !== undefined && { restart }),
    ...(verify !== undefined && { verify }),
  };
}

/** The change of one file, under the name by which the client knows it. */
export function diffOf(
  machine: Machine,
  path: string,
  { current, after }: { readonly current: Buffer | undefined; readonly after: Buffer | undefined },
): string {
  return unifiedDiff(machine.absolute(path), current?.toString(), after?.toString());
}
