/**
 * Counters, gauges and histograms as plain arithmetic.
 *
 * A metric library costs 40 ms at start-up and an object of labels per count. These cost a string key and an addition, count
 * from the first event on, and are handed to the library's registry only when metrics are read.
 */

/** One line of the exposition: a value under its labels; `metricName` where it differs (`…_bucket`). */
interface Sample {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

/** What a registry of prom-client asks of a metric when it is read. */
interface Reading {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Sample[];
  readonly aggregator: 'sum';
}

/**
 * Label sets per metric. Labels come from the configuration and from closed sets, so the limit is reached only if clients can
 * choose one after all; all further sets are then counted under `other`.
 */
const MAX_SERIES = 2000;

interface MetricOptions {
  readonly name: string;
  readonly help: string;
  /** @default none */
  readonly labels?: readonly string[];
}

interface Labelled<V> {
  readonly values: readonly string[];
  readonly cell: V;
}

/** Values by their labels, created when first counted. */
class Series<V> {
  readonly #labels: readonly string[];
  readonly #create: () => V;
  readonly #byKey = new Map<string, Labelled<V>>();
  /** The one that was counted last: most requests are like the one before. */
  #last: Labelled<V> | undefined;

  constructor(labels: readonly string[], create: () => V) {
    this.#labels = labels;
    this.#create = create;
  }

  /** @param values one for each label, in their order */
  cell(values: readonly string[]): V {
    // Sooner than a key is made of the labels.
    if (this.#last !== undefined && isSame(this.#last.values, values)) return this.#last.cell;
    const key = values.join('\u0000');
    const found = this.#byKey.get(key);
    if (found !== undefined) {
      this.#last = found;
      return found.cell;
    }
    const isFull = this.#byKey.size >= MAX_SERIES;
    if (isFull && values.some((value) => value !== 'other')) return this.cell(this.#labels.map(() => 'other'));
    const cell = this.#create();
    this.#byKey.set(key, { values, cell });
    return cell;
  }

  *entries(): Generator<{ labels: Record<string, string>; cell: V }> {
    for (const { values, cell } of this.#byKey.values()) {
      const labels: Record<string, string> = {};
      for (const [index, label] of this.#labels.entries()) {
        const value = values[index];
        // Prometheus treats an absent label and an empty one alike.
        if (value !== undefined && value !== '') labels[label] = value;
      }
      yield { labels, cell };
    }
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at += 1) if (some[at] !== others[at]) return false;
  return true;
}

class Metric {
  readonly name: string;
  readonly labels: readonly string[];
  readonly #help: string;

  constructor({ name, help, labels = [] }: MetricOptions) {
    this.name = name;
    this.labels = labels;
    this.#help = help;
  }

  protected reading(type: Reading['type'], values: readonly Sample[]): Reading {
    return { name: this.name, help: this.#help, type, values, aggregator: 'sum' };
  }
}

/** A number that only grows. */
export class Counter extends Metric {
  readonly #series = new Series(this.labels, () => ({ value: 0 }));

  add(amount: number, ...values: string[]): void {
    this.#series.cell(values).value += amount;
  }

  get(): Reading {
    const samples = Array.from(this.#series.entries(), ({ labels, cell }) => ({ labels, value: cell.value }));
    return this.reading('counter', samples);
  }
}

interface GaugeOptions extends MetricOptions {
  /** The current value, or one value per label set: `values` holds one for each label, in their order. */
  readonly read: () => GaugeValue | Promise<GaugeValue>;
}

type GaugeValue = number | readonly { readonly values: readonly string[]; readonly value: number }[];

/** Numbers that are read when metrics are. */
export class Gauge extends Metric {
  readonly #read: GaugeOptions['read'];

  constructor(options: GaugeOptions) {
    super(options);
    this.#read = options.read;
  }

  async get(): Promise<Reading> {
    // A value that cannot be read must not hide the other metrics.
    const found = await Promise.resolve()
      .then(this.#read)
      .catch(() => []);
    const rows = typeof found === 'number' ? [{ values: [], value: found }] : found;
    // New series at each read, so that a removed one disappears. Prometheus refuses two samples with the same labels: the
    // later one counts.
    const series = new Series(this.labels, () => ({ value: 0 }));
    for (const { values, value } of rows) series.cell(values).value = value;
    const samples = Array.from(series.entries(), ({ labels, cell }) => ({ labels, value: cell.value }));
    return this.reading('gauge', samples);
  }
}

interface Distribution {
  /** Values at or below each bound and above the one before it. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/** How values are distributed over fixed bounds. */
export class Histogram extends Metric {
  readonly #bounds: readonly number[];
  readonly #series: Series<Distribution>;

  /** @param bounds upper bounds, ascending; `+Inf` is added */
  constructor(options: MetricOptions, bounds: readonly number[]) {
    super(options);
    this.#bounds = bounds;
    this.#series = new Series(this.labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }));
  }

  observe(value: number, ...values: string[]): void {
    const distribution = this.#series.cell(values);
    distribution.sum += value;
    distribution.count += 1;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    if (index >= 0) distribution.counts[index] = (distribution.counts[index] ?? 0) + 1;
  }

  get(): Reading {
    const samples: Sample[] = [];
    for (const { labels, cell } of this.#series.entries()) {
      let below = 0;
      for (const [index, bound] of this.#bounds.entries()) {
        below += cell.counts[index] ?? 0;
        samples.push({ labels: { ...labels, le: bound }, value: below, metricName: `${this.name}_bucket` });
      }
      samples.push({ labels: { ...labels, le: '+Inf' }, value: cell.count, metricName: `${this.name}_bucket` });
      samples.push({ labels, value: cell.sum, metricName: `${this.name}_sum` });
      samples.push({ labels, value: cell.count, metricName: `${this.name}_count` });
    }
    return this.reading('histogram', samples);
  }
}
