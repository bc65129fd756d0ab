/** The order in which upstreams are asked for a blob: those that gave it wrongly come last, the latest at the end. */
export function rightFirst<U>(upstreams: readonly U[], wrongSince: (upstream: U) => number | undefined): readonly U[] {
  const since = upstreams.map((upstream) => ({ upstream, at: wrongSince(upstream) ?? Number.NEGATIVE_INFINITY }));
  return since.sort((a, b) => (a.at === b.at ? 0 : a.at - b.at)).map(({ upstream }) => upstream);
}
