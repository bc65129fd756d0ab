import { mayBeKey } from '../../../oci/index.ts';
import { isClear, isLoopback } from '../../loopback.ts';
import type { Config } from '../../schema/index.ts';
import type { Path } from '../../tree.ts';

type Note = (path: Path, message: string) => void;
type Webhook = Config['webhooks'][number];

/** Bytes. Standard Webhooks 1.0.0 asks for 24 random ones. */
const LEAST_SECRET = 16;

/** What is plausible in webhooks, and probably not meant. Pure. */
export function noteWebhooks({ webhooks }: Config, note: Note): void {
  for (const [at, webhook] of webhooks.entries()) {
    const path = ['webhooks', at];
    const { url, secret = [], headers } = webhook;
    const key = Object.keys(headers).find(mayBeKey);
    if (isClear(url)) {
      const what =
        key === undefined ? 'the names of repositories, users and clients' : `the header ${key} and the events`;
      note(
        [...path, 'url'],
        `${what} go to ${new URL(url).host} unencrypted: every network on the way can read them. Use https://`,
      );
    }
    if (secret.length === 0 && key === undefined && !isLoopback(new URL(url).hostname)) {
      note(
        path,
        'nothing proves to the receiver that an event comes from this server. Set secret, and check the signature there',
      );
    }
    if (secret.some((each) => typeof each === 'string' && lengthOf(each) < LEAST_SECRET)) {
      note(
        [...path, 'secret'],
        `it is shorter than ${LEAST_SECRET} bytes: one recorded request is enough to find it by trying. Make one with: openssl rand -base64 24`,
      );
    }
    const twin = webhooks.slice(0, at).findIndex((other) => other.url === url && overlap(other, webhook));
    if (twin !== -1) {
      note(
        [...path, 'url'],
        `webhooks[${twin}] sends to it already, so it may get an event twice. Remove one of the two, or give each events and on of its own`,
      );
    }
  }
}

/** Whether one event may match both, as far as lists show it. */
function overlap(one: Webhook, other: Webhook): boolean {
  const isSame = one.on.length === 0 || other.on.length === 0 || one.on.some((each) => other.on.includes(each));
  return isSame && one.events.some((event) => other.events.includes(event));
}

/** Bytes of the key that a secret is. */
function lengthOf(secret: string): number {
  return secret.startsWith('whsec_')
    ? Buffer.from(secret.slice('whsec_'.length), 'base64').length
    : Buffer.byteLength(secret);
}
