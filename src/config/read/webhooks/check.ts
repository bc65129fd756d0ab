import type { Config } from '../../schema/index.ts';
import type { Path } from '../../tree.ts';

type Report = (path: Path, message: string) => void;

/** Headers that this server sets for each event, or that belong to one connection (RFC 9110 §7.6.1). */
const OWN_HEADER =
  /^(?:host|content-(?!type$).*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|webhook-.*|x-entrepot-.*|ce-.*)$/i;

/** Problems between the settings of webhooks. Pure. */
export function checkWebhooks({ webhooks }: Config, report: Report): void {
  const names = new Set<string>();
  for (const [at, { name, headers, secret = [] }] of webhooks.entries()) {
    const path = ['webhooks', at];
    if (name !== undefined && names.has(name)) {
      report([...path, 'name'], `found "${name}" a second time, expected each name once`);
    }
    if (name !== undefined) names.add(name);
    for (const header of Object.keys(headers)) {
      if (!OWN_HEADER.test(header)) continue;
      report([...path, 'headers', header], 'found a header that this server sets for each event; remove it');
    }
    if (secret.some((each) => typeof each === 'string' && !isReadable(each))) {
      report(
        [...path, 'secret'],
        'found whsec_ with something after it that is no base64, expected the secret as the receiver shows it, or a text of your own without whsec_',
      );
    }
  }
}

function isReadable(secret: string): boolean {
  const [, encoded] = /^whsec_(.*)$/s.exec(secret) ?? [];
  return encoded === undefined || (encoded.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(encoded));
}
