import { Lru } from '../lib/index.ts';

/** Milliseconds in which a host that refused HEAD is not asked with it again, and the hosts remembered. */
const REMEMBERED_FOR = 600_000;
const MAX_HOSTS = 100;

/** Statuses by which a site refuses HEAD where a GET may work; and those of a storage whose URL is signed for GET. */
const BY_SITE: readonly number[] = [403, 405, 501];
const BEHIND_REDIRECT: readonly number[] = [400, 401, ...BY_SITE];

/** The hosts that refuse HEAD and answer GET, as far as one route has met them. */
export class HeadRefusals {
  readonly #until = new Lru<number>({ maxWeight: MAX_HOSTS });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  note({ host }: URL): void {
    this.#until.set(host, this.#now() + REMEMBERED_FOR);
  }

  /** Whether a host has refused HEAD lately. */
  has({ host }: URL): boolean {
    return this.#now() < (this.#until.get(host) ?? 0);
  }
}

/** Whether the answer to a HEAD may be due to the method, so that a GET tells more. */
export function mayRefuseHead({
  status,
  redirects,
}: {
  readonly status: number;
  readonly redirects: readonly unknown[];
}): boolean {
  return (redirects.length > 0 ? BEHIND_REDIRECT : BY_SITE).includes(status);
}
