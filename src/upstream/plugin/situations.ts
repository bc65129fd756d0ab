import type { RoutingCandidate, RoutingQuestion } from './contract.ts';

/** A question that a server may ask, with a name for people. */
export interface Situation {
  readonly name: string;
  readonly question: RoutingQuestion;
}

const DIGEST = `sha256:${'5ca1ab1e'.repeat(8)}`;
const MIB = 1024 * 1024;

/** Questions of every kind, the rare ones included. @param names of upstreams in the order of the configuration, two at least */
export function situationsFor(names: readonly string[], now: number): readonly Situation[] {
  const [first = '', ...rest] = names;
  const candidate = (name: string, more: Partial<RoutingCandidate> = {}): RoutingCandidate => ({
    name,
    host: `${name}.example.com`,
    weight: 1,
    state: 'up',
    ...more,
  });
  const all = (more: Partial<RoutingCandidate> = {}): readonly RoutingCandidate[] =>
    names.map((name) => candidate(name, more));
  const ask = (name: string, question: Partial<RoutingQuestion>): Situation => ({
    name,
    question: {
      registry: 'docker.io',
      repository: 'library/nginx',
      content: 'blob',
      method: 'GET',
      digest: DIGEST,
      now,
      upstreams: all(),
      ...question,
    },
  });
  const { digest: _, ...listed } = ask('', { content: 'list' }).question;
  const list = (name: string, more: Partial<RoutingQuestion>): Situation => ({
    name,
    question: { ...listed, ...more },
  });
  const measured = names.map((name, at) => candidate(name, { latencyMs: 20 * (at + 1), bytesPerSecond: 50 * MIB }));
  const hostile = ['__proto__', 'constructor', 'toString', 'a.b-c_d:5000/e', 'x'.repeat(100)];
  return [
    ask('nothing is measured yet', {}),
    ask('each upstream is measured', { upstreams: measured, size: 30 * MIB }),
    ask('the first is slower than the others', { upstreams: measured.toReversed() }),
    ask('the first fails', {
      upstreams: [candidate(first, { state: 'resting' }), ...rest.map((name) => candidate(name))],
    }),
    ask('the first may be back', {
      upstreams: [candidate(first, { state: 'trying' }), ...rest.map((name) => candidate(name))],
    }),
    ask('each upstream fails', { upstreams: all({ state: 'resting' }) }),
    ask('each weight is 0', { upstreams: all({ weight: 0 }) }),
    ask('the order is the other way round', { upstreams: all().toReversed() }),
    ask('a blob of 20 GB', { size: 20_000 * MIB }),
    ask('an empty blob', { size: 0 }),
    ask('whether there is a blob', { method: 'HEAD' }),
    ask('a manifest by digest', { content: 'manifest' }),
    list('a manifest by tag', { content: 'manifest', tag: 'latest' }),
    list('where a tag points', { content: 'manifest', method: 'HEAD', tag: 'v1.2.3' }),
    list('the tags of a repository', {}),
    list('the repositories of a registry', { repository: '' }),
    ask('a long name of a repository', { repository: Array.from({ length: 60 }, () => 'abc').join('/') }),
    ask('names of upstreams that no plugin expects', {
      upstreams: hostile.map((name) => candidate(name, { host: '[::1]:5000' })),
    }),
    ask('64 upstreams', { upstreams: Array.from({ length: 64 }, (_each, at) => candidate(`upstream-${at}`)) }),
    ask('a clock that stands at 1970', { now: 0 }),
  ];
}
