import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Telemetry } from './events.ts';
import { createMetrics, type MetricsOptions } from './metrics.ts';

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** The names of all labels of its samples. */
  readonly labels: ReadonlySet<string>;
}

const EVERYTHING: MetricsOptions = {
  inFlight: () => 1,
  connections: () => 1,
  admission: { inflight: 1, waiting: 0, overloaded: false },
  transfers: () => 1,
  tunnels: () => 1,
  cache: () => Promise.resolve({ blobs: 1, bytes: 1 }),
  cacheLimit: () => 1,
  disk: () => Promise.resolve({ free: 1, total: 1 }),
  ready: () => true,
  paused: () => false,
  webhooks: () => [{ hook: 'ci', queued: 1 }],
  schedules: () => Promise.resolve([{ label: 'base', kind: 'warm', failing: true, lastAt: 1, nextAt: 2 }]),
  certificates: () => [{ listener: 'a', expiresAt: 1 }],
  hosted: () => Promise.resolve({ repositories: 1, digests: 2, bytes: 3 }),
  uploads: () => ({ open: 1, busy: 1, bytes: 1 }),
  upstreams: () => [
    { registry: 'r', upstream: 'u', state: 'closed', scope: 'all', quota: [{ credential: 'c', remaining: 1 }] },
  ],
};

const BASE_UNITS = 'amperes bytes celsius grams joules kelvin meters metres seconds volts'.split(' ');
const OTHER_UNITS =
  'minutes hours days weeks kelvins fahrenheit rankine inches yards miles bits calories pounds ounces'.split(' ');
const PREFIXES = /^(?:pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mebi|giga|gibi|tera|tebi|peta|pebi)/;
const ABBREVIATIONS = 's ms us ns sec b kb mb gb tb pb m h d'.split(' ');

/** What `promtool check metrics` says of a metric. Source: client_golang's prometheus/testutil/promlint/validations. */
function problemsOf({ name, type, help, labels }: Family): string[] {
  const words = name.split('_');
  const isCounted = type === 'histogram' || type === 'summary';
  const rules: readonly (readonly [boolean, string])[] = [
    [help === '', 'no help text'],
    [(type === 'counter') !== name.endsWith('_total'), 'counters end in _total, and nothing else does'],
    [type !== 'histogram' && name.endsWith('_bucket'), 'only histograms have _bucket'],
    [!isCounted && /_(?:count|sum)$/.test(name), 'only histograms and summaries have _count and _sum'],
    [type !== 'histogram' && labels.has('le'), 'only histograms have the label le'],
    [type !== 'summary' && labels.has('quantile'), 'only summaries have the label quantile'],
    [words.slice(1).includes(type), 'the name has its type'],
    [name.includes(':'), 'the name has a colon'],
    [[name, ...labels].some((each) => /[a-z][A-Z]/.test(each)), 'not in snake_case'],
    [words.slice(1).some((word) => ABBREVIATIONS.includes(word)), 'an abbreviated unit'],
    [words.some(isForeignUnit), 'not in a base unit'],
  ];
  return rules.flatMap(([isBroken, problem]) => (isBroken ? [`${name}: ${problem}`] : []));
}

function isForeignUnit(word: string): boolean {
  if (OTHER_UNITS.includes(word)) return true;
  const rest = word.replace(PREFIXES, '');
  return rest !== word && [...BASE_UNITS, ...OTHER_UNITS].includes(rest);
}

function familiesOf(text: string): Family[] {
  const helps = new Map(Array.from(text.matchAll(/^# HELP (\S+) (.*)$/gm), ([, name = '', help = '']) => [name, help]));
  return Array.from(
    text.matchAll(/^# TYPE (\S+) (\S+)\n((?:(?!#).*\n?)*)/gm),
    ([, name = '', type = '', samples = '']) => ({
      name,
      type,
      help: helps.get(name) ?? '',
      labels: new Set(Array.from(samples.matchAll(/[{,]([a-zA-Z_]+)="/g), ([, label = '']) => label)),
    }),
  );
}

describe('the names of metrics', () => {
  test("keep promtool's rules, the process's own metrics included", async () => {
    const metrics = createMetrics(new Telemetry(), EVERYTHING);
    const families = familiesOf((await metrics.text()).body);
    metrics.close();
    assert.ok(families.length > 55, `${families.length} metrics`);
    assert.ok(families.some(({ name }) => name === 'entrepot_nodejs_active_handles'));
    assert.deepEqual(families.flatMap(problemsOf), []);
  });

  test('the rules bite', () => {
    const good: Family = { name: 'a_seconds', type: 'gauge', help: 'A.', labels: new Set(['le_x']) };
    assert.deepEqual(problemsOf(good), []);
    const bad: readonly Partial<Family>[] = [
      { help: '' },
      { name: 'a_total' },
      { name: 'a_requests', type: 'counter' },
      { name: 'a_count' },
      { name: 'a_sum', type: 'counter' },
      { name: 'a_bucket' },
      { name: 'a_gauge' },
      { name: 'a:b' },
      { name: 'aB' },
      { name: 'a_ms' },
      { name: 'a_milliseconds' },
      { name: 'a_minutes' },
      { name: 'a_kilobytes' },
      { labels: new Set(['le']) },
      { labels: new Set(['quantile']) },
      { labels: new Set(['fooBar']) },
    ];
    for (const each of bad) assert.notDeepEqual(problemsOf({ ...good, ...each }), [], JSON.stringify(each));
  });
});
