import type { Command } from 'commander';
import { type CommandContext, optionsOf, serverFlags } from '../../command.ts';

/** Defines `webhooks` with its own commands. Each action is imported when it runs. */
export function addWebhookCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  const load = () => import('./webhooks.ts');
  const webhooks = program
    .command('webhooks')
    .description('Show and test the webhooks of the running server.')
    .addHelpText('after', WEBHOOKS_HELP);
  serverFlags(webhooks.command('list'))
    .description('List the webhooks: what waits for each, its last success and its last failure.')
    .action(async (_, command: Command) => finish(await (await load()).listWebhooks(optionsOf(command), output)));
  serverFlags(webhooks.command('test'))
    .argument('[webhook]', 'name or URL of a webhook; without it, all of them')
    .description('Send an event `ping` to webhooks, signed as every event is, and show what they answer.')
    .action(async (webhook: string | undefined, _, command: Command) =>
      finish(await (await load()).testWebhooks({ ...optionsOf(command), webhook }, output)),
    );
}

const WEBHOOKS_HELP = `
Examples:
  entrepot webhooks list
  entrepot webhooks test                           each of them
  entrepot webhooks test ci
  entrepot webhooks test https://ci.example.com/hooks --json

Webhooks are configured under webhooks: docs/webhooks.md. A test is sent once, at once, beside the queue. One that succeeds
also ends the wait of what is queued. Exit codes of test: 0 every receiver answered 200 to 299, else 1; 2 wrong command line.`;
