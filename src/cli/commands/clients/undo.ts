import { createInterface } from 'node:readline/promises';
import {
  applyUndo,
  type Machine,
  type MachineClient,
  planUndo,
  readRecord,
  restartCommand,
} from '../../../setup/index.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { processOutput } from '../../output.ts';
import { isUser, type SetupContext } from './options.ts';
import { runRestart } from './restart.ts';
import { diffOf } from './show-plan.ts';

/** `entrepot setup CLIENT --undo`. Gives the exit code. */
export async function undoSetup(machine: Machine, client: MachineClient, context: SetupContext): Promise<number> {
  const { options, surroundings } = context;
  const { output = processOutput, ask = askTerminal() } = surroundings;
  const say = (text: string): void => output.err(`${text}\n`);
  const found = findRecord(machine, client, isUser(machine, client, context));
  if (found === undefined) {
    say(`Nothing to undo: no file of ${client} was written by entrepot setup.`);
    return EXIT.ok;
  }
  const { record, user } = found;
  const plan = planUndo(machine, record);
  for (const { path, current, before } of plan.files) {
    if (options.json !== true) output.out(diffOf(machine, path, { current, after: before }));
  }
  for (const { path, reason } of plan.refusals) say(`${path} ${reason}.`);
  const changed = plan.files.filter(({ changedSince }) => changedSince);
  for (const { path } of changed) {
    say(`${machine.locate(path)} has been changed since; undoing it also removes that change.`);
  }
  const dryRun = options.dryRun === true;
  const isAllowed =
    plan.refusals.length === 0 &&
    (changed.length === 0 || options.force === true || (!dryRun && (await ask?.(QUESTION)) === true));
  const isDone = isAllowed && !dryRun;
  if (isDone) applyUndo(machine, plan, user);
  if (options.json === true) {
    const files = plan.files.map(({ path, current, before, changedSince }) => ({
      path: machine.absolute(path),
      action: before === undefined ? 'remove' : 'restore',
      changed_since: changedSince,
      diff: diffOf(machine, path, { current, after: before }),
    }));
    output.out(formatJson({ client, undone: isDone, files, refused: plan.refusals }));
  }
  if (dryRun) {
    say('Nothing was written.');
    return EXIT.ok;
  }
  if (!isDone) {
    say(
      changed.length > 0 && ask === undefined
        ? 'Nothing was written. Add --force to undo it all the same.'
        : 'Nothing was written.',
    );
    return EXIT.failure;
  }
  say(`Undone: ${client} is as it was before entrepot setup.`);
  return await restartAfter(machine, client, { ...context, server: record.server, user });
}

const QUESTION = 'Undo it all the same?';

async function restartAfter(
  machine: Machine,
  client: MachineClient,
  { options, surroundings, server, user }: SetupContext & { readonly server: string; readonly user: boolean },
): Promise<number> {
  const { output = processOutput } = surroundings;
  const { host } = new URL(server);
  const request = { server: { url: server, host, defaultRegistry: 'docker.io' }, choices: { user } };
  const restart = machine.isLive ? restartCommand(machine, client, request) : undefined;
  if (restart === undefined || restart.startsWith('docker buildx')) return EXIT.ok;
  if (options.restart === true) return await runRestart(restart, output);
  output.err(`Then run: ${restart}\n`);
  return EXIT.ok;
}

/** The record of the user's files or of the machine's: the one that is meant, else the one that is there. */
function findRecord(machine: Machine, client: MachineClient, user: boolean) {
  for (const each of [user, !user]) {
    const record = readRecord(machine, client, each);
    if (record !== undefined) return { record, user: each };
  }
  return undefined;
}

/** A question at the terminal; undefined where there is none. Anything but yes is no. */
function askTerminal(): ((question: string) => Promise<boolean>) | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
    } finally {
      terminal.close();
    }
  };
}
