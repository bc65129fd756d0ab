import { OPERATIONS, OPERATOR, type RollbackAnswer } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { HoldError, isManifestStored, rollback as rollbackCache, TagHolds } from '../../../cache/index.ts';
import { parseDuration } from '../../../config/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import { runServerCommand } from '../../server-command.ts';
import type { ImageOptions } from './history.ts';
import { describeHold } from './hold-text.ts';

/** The options of `entrepot rollback`. */
export interface RollbackOptions extends ImageOptions {
  /** How long the tag is held, as written: `7d`. @default until an operator ends the hold */
  readonly until?: string;
  readonly reason?: string;
}

/**
 * `entrepot rollback`: holds a tag at a digest that it pointed to.
 *
 * @returns the exit code: failure where the tag never pointed there, or its manifest cannot be had
 */
export async function rollback(options: RollbackOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, image, reason = '' } = options;
  const lasts = options.until === undefined ? undefined : parseDuration(options.until);
  if (options.until !== undefined && (lasts === undefined || lasts === 0)) {
    output.err(
      `error: --until ${options.until} is not a duration from now; expected one above 0 and of at most a hundred years, such as 12h or 7d\n`,
    );
    return EXIT.usage;
  }
  const operation = OPERATIONS.rollback;
  const checked = operation.input.safeParse({
    image,
    reason,
    ...(lasts === undefined ? {} : { until: Date.now() + lasts }),
  });
  if (!checked.success) {
    output.err(
      `error: ${checked.error.issues.map(({ path, message }) => `${path[0] === 'reason' ? '--reason' : path.join('.')}: ${message}`).join('; ')}\n`,
    );
    return EXIT.usage;
  }
  return runServerCommand(
    {
      flags,
      operation,
      input: checked.data,
      alone: ({ loaded, store, metadata }) => {
        const holds = new TagHolds({ metadata, telemetry: new Telemetry(), now: Date.now });
        const obtain = async (_: unknown, { digest }: { readonly digest: Parameters<typeof isManifestStored>[1] }) => {
          if (await isManifestStored(store, digest)) return;
          throw new HoldError(
            `the manifest ${digest} is not stored; start the server, which fetches it from the upstream`,
          );
        };
        return withOwnHosting({ loaded, store }, (hosted) =>
          operation.handle(
            checked.data,
            {
              cache: {
                rollback: (request) => rollbackCache(request, { metadata, store, holds, obtain, now: Date.now() }),
              },
              catalogue: composeRegistries(loaded.config),
              hosted,
              originFor: () => () => Promise.reject(new Error('no server runs')),
            },
            OPERATOR,
          ),
        );
      },
      show(answer) {
        output.out(json ? formatJson(answer) : formatRolledBack(answer));
        return EXIT.ok;
      },
    },
    output,
  );
}

function formatRolledBack({ held, moved, current, parts }: RollbackAnswer): string {
  if (held === undefined) {
    const { image = '', digest = '', from } = moved ?? {};
    return `${image} points to ${digest} again. ${from === undefined ? 'It was deleted.' : `Before it pointed to ${from}.`}\n`;
  }
  const lines = [`${held.image} is ${describeHold(held)}.`];
  if (current !== undefined && current !== held.digest) lines.push(`The tag of the upstream points to ${current}.`);
  const missing = parts.named - parts.stored;
  if (missing > 0) {
    lines.push(
      `${count(missing, 'part')} of ${parts.named} are not stored. Pulls fetch them from the upstream, if it has them.`,
    );
  }
  lines.push(`To end the hold: entrepot unhold ${held.image}`);
  return `${lines.join('\n')}\n`;
}
