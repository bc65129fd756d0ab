// A routing plugin: own images come from the registry in the house first, all others from the one outside; and by night, when
// the line is free, large blobs come from outside too.
//
// In the configuration of the registry: strategy: {plugin: ./by-prefix.mjs}. Test it: entrepot plugin test by-prefix.mjs

/** Repositories under these come from `near` first. */
const OURS = ['team/', 'platform/'];
/** Bytes from which a blob is large. */
const LARGE = 1024 ** 3;

/** @type {import('entrepot/routing').RoutingPlugin} */
export default function order({ repository, size = 0, now, upstreams }) {
  const isOurs = OURS.some((prefix) => repository.startsWith(prefix));
  const hour = new Date(now).getHours();
  const isNight = hour < 6;
  const first = isOurs && !(isNight && size >= LARGE) ? 'near' : 'far';
  // Names of this question alone, and each once. Where `near` or `far` is not among them, the order stays as it is.
  return upstreams.map(({ name }) => name).sort((a, b) => Number(b === first) - Number(a === first));
}
