import { OPERATIONS, type WebhookStatus, type WebhooksAnswer, type WebhookTestAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';

const WHERE_OFF =
  'A server without a cache directory has no control socket; its webhooks are in its log and metrics (webhook.state, entrepot_webhook_deliveries_total).';

/** `entrepot webhooks list`. */
export function listWebhooks({ flags, json }: CommandOptions, output: Output = processOutput): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.webhooks,
      input: {},
      whereOff: WHERE_OFF,
      show(answer) {
        output.out(json ? formatJson(answer) : formatWebhooks(answer));
        return EXIT.ok;
      },
    },
    output,
  );
}

export interface WebhookTestOptions extends CommandOptions {
  /** The name or the URL of a webhook. @default all of them */
  readonly webhook: string | undefined;
}

/** `entrepot webhooks test`. @returns the exit code: that of a failure where a receiver did not take the event */
export function testWebhooks(
  { flags, json, webhook }: WebhookTestOptions,
  output: Output = processOutput,
): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.webhookTest,
      input: webhook === undefined ? {} : { webhook },
      whereOff: WHERE_OFF,
      show(answer) {
        output.out(json ? formatJson(answer) : formatTests(answer));
        return answer.results.every(({ isTaken }) => isTaken) ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

export function formatWebhooks({ webhooks }: WebhooksAnswer): string {
  if (webhooks.length === 0) return 'There are no webhooks. They are configured under webhooks: docs/webhooks.md.\n';
  const rows = webhooks.map((webhook) => {
    const { hook, url, events, state, queued, delivered, givenUp, dropped, lastSuccessAt } = webhook;
    const lost = String(givenUp + dropped);
    return [hook, state, String(queued), String(delivered), lost, formatTime(lastSuccessAt), events.join(', '), url];
  });
  const head = ['NAME', 'STATE', 'QUEUED', 'DELIVERED', 'LOST', 'LAST SUCCESS', 'EVENTS', 'URL'];
  const failures = webhooks.flatMap((webhook) => failureOf(webhook) ?? []);
  return `${[...formatTable([head, ...rows]), ...failures].join('\n')}\n`;
}

/** `ci failed at 2026-03-02 09:14 UTC: it answered 500; the next attempt is at 09:15` */
function failureOf({ hook, lastFailure, nextAttemptAt, state }: WebhookStatus): string | undefined {
  if (lastFailure === undefined) return undefined;
  const next =
    nextAttemptAt === undefined || state === 'working'
      ? ''
      : `; the next attempt is at ${formatTime(nextAttemptAt)} UTC`;
  return `${hook} failed at ${formatTime(lastFailure.at)} UTC: ${printable(lastFailure.reason)}${next}`;
}

/** Characters of an answer that are shown; `--json` has all that were read. */
const MAX_ANSWER = 300;

export function formatTests({ results }: WebhookTestAnswer): string {
  return results
    .map(({ hook, url, isTaken, status, reason, answer = '', durationMs }) => {
      const result = isTaken ? `took the event: ${status}` : printable(reason ?? 'it failed');
      const text = printable(answer).trim();
      const shown = text.length > MAX_ANSWER ? `${text.slice(0, MAX_ANSWER)}…` : text;
      return `${hook} (${url}): ${result}, after ${durationMs} ms\n${shown === '' ? '' : `  ${shown}\n`}`;
    })
    .join('');
}

/** A receiver must not be able to write to the terminal what it likes. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}

/** `2026-11-29 11:20:04`, in UTC as the log has it; `never` where there is none. @param time milliseconds since 1970 */
function formatTime(time: number | undefined): string {
  return time === undefined ? 'never' : new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}
