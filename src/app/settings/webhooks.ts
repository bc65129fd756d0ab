import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../../config/index.ts';
import { globsMeet } from '../../lib/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import type { WebhookSettings, WebhookSpec } from '../../webhooks/index.ts';
import { pushTargetsOf } from './hosting-faults.ts';

/** The `webhooks` section: every receiver with a name of its own, and with what its queue is kept under. */
export function webhookSpecsOf({ webhooks }: Pick<Config, 'webhooks'>): readonly WebhookSpec[] {
  const names = new Set(webhooks.flatMap(({ name }) => name ?? []));
  const keys = new Set<string>();
  return webhooks.map(({ name, url, secret = [], ...webhook }) => ({
    ...webhook,
    url,
    secrets: secret,
    name: name ?? unusedOf(new URL(url).host, names),
    // A named webhook keeps what waits where its URL changes. Hashed: a URL may hold a token.
    key: unusedOf(name === undefined ? createHash('sha256').update(url).digest('hex') : `name:${name}`, keys),
  }));
}

/** The text, or with a number behind it where it is taken. Takes it. */
function unusedOf(text: string, taken: Set<string>): string {
  let found = text;
  for (let number = 2; taken.has(found); number += 1) found = `${text}-${number}`;
  taken.add(found);
  return found;
}

/** Under which address events say that they happened. */
export function webhookSourceOf({ publicUrl }: Pick<Config, 'publicUrl'>): WebhookSettings['source'] {
  const [url] = publicUrl;
  return url === undefined ? { addr: hostname(), url } : { addr: new URL(url).host, url };
}

/** Webhooks and patterns of theirs that wait for what cannot happen: nothing is pushed to this server, or not under these names. */
export function idleWebhooksIn({ webhooks }: Pick<Config, 'webhooks'>, catalogue: Catalogue): readonly string[] {
  if (webhooks.length === 0) return [];
  const targets = pushTargetsOf(catalogue);
  const isOfRepositories = ({ events }: Config['webhooks'][number]): boolean =>
    events.every((event) => event !== 'schedule' && event !== 'disk');
  if (targets.length === 0) {
    if (!webhooks.every(isOfRepositories)) return [];
    return [
      'webhooks: they have no effect: nothing can be pushed to this server, and so nothing happens that they report. Set hosted for a registry, such as registries: {apps: {hosted: true}}',
    ];
  }
  return webhooks.flatMap(({ on }, at) =>
    on.flatMap((text, index) =>
      // A tag would be taken for a part of the name by `**`.
      !/\/[^/]*:[^/]*$/.test(text) && targets.some((target) => globsMeet(target, text))
        ? []
        : [
            `webhooks[${at}].on[${index}]: no repository of ${JSON.stringify(text)} is hosted here or pushed through, so nothing is reported of it. Write registry/repository without a tag, such as ${targets[0]}`,
          ],
    ),
  );
}
