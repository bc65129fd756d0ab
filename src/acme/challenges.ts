import { OciError } from '../oci/index.ts';
import { type Door, replyBytes, requireReading } from '../server/index.ts';

const PREFIX = '/.well-known/acme-challenge/';

/** A token is base64url (RFC 8555 §8.3); a longer one is none that an ACME server makes. */
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/;

/** The answers to the challenges of running orders (HTTP-01, RFC 8555 §8.3). */
export class Challenges {
  readonly #answers = new Map<string, string>();

  /** Answers a challenge until the returned function is called. @throws {Error} for a token that is no path segment */
  offer(token: string, keyAuthorization: string): () => void {
    if (!TOKEN.test(token)) throw new Error('the ACME server chose a token that cannot be part of a path');
    this.#answers.set(token, keyAuthorization);
    return () => void this.#answers.delete(token);
  }

  /** Whether a request for this path, which may have a query, is a challenge of a running order. */
  has(target: string): boolean {
    return target.startsWith(PREFIX) && this.#answers.has(tokenIn(target));
  }

  /** The door of the challenges. It knows other tokens than those of running orders as not found. */
  get door(): Door {
    return {
      open: (context) => {
        if (!context.path.startsWith(PREFIX)) return undefined;
        return {
          takesSlot: false,
          parse: () => {
            context.route = 'acme';
            requireReading(context);
            const answer = this.#answers.get(tokenIn(context.path));
            if (answer === undefined) {
              throw new OciError('UNSUPPORTED', 'no certificate order waits for this challenge', { status: 404 });
            }
            const headers = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' };
            return { access: undefined, answer: () => replyBytes(context, 200, headers, answer) };
          },
        };
      },
    };
  }
}

function tokenIn(target: string): string {
  return target.slice(PREFIX.length).split('?', 1)[0] ?? '';
}
