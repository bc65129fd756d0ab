/**
 * Counters and histograms as plain arithmetic: what counts while the server works, read when somebody asks.
 *
 * A metric library is 40 ms of start-up and an object of labels per count. These cost a string key and an addition, are
 * there from the first event, and are handed to the library's registry only when metrics are read.
 */

/** One line of the exposition: a value under its labels; `metricName` where it differs (`…_bucket`). */
export interface Sample {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

/** What a registry of prom-client asks of a metric when it is read. */
export interface MetricReading {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Sample[];
  readonly aggregator: 'sum';
}

/**
 * Label sets one metric may have. Labels come from the configuration and from closed sets, so this is never reached
 * unless one of them is fed by clients after all; then all further sets are counted under `other`.
 */
const MAX_SERIES = 2000;

export interface TallyOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly L[];
}

/** Values by their labels, created when first counted. */
class Series<L extends string, V> {
  readonly #labels: readonly L[];
  readonly #create: () => V;
  readonly #byKey = new Map<string, { readonly values: readonly string[]; readonly cell: V }>();

  constructor(labels: readonly L[], create: () => V) {
    this.#labels = labels;
    this.#create = create;
  }

  /** @param values one for each label, in their order */
  cell(values: readonly string[]): V {
    const key = values.join('\u0000');
    const found = this.#byKey.get(key);
    if (found !== undefined) return found.cell;
    if (this.#byKey.size >= MAX_SERIES) return this.#other();
    const cell = this.#create();
    this.#byKey.set(key, { values, cell });
    return cell;
  }

  #other(): V {
    const values = this.#labels.map(() => 'other');
    const key = values.join('\u0000');
    const found = this.#byKey.get(key);
    if (found !== undefined) return found.cell;
    const cell = this.#create();
    this.#byKey.set(key, { values, cell });
    return cell;
  }

  *entries(): Generator<{ labels: Record<string, string>; cell: V }> {
    for (const { values, cell } of this.#byKey.values()) {
      const labels: Record<string, string> = {};
      for (const [index, label] of this.#labels.entries()) {
        const value = values[index];
        // An absent label and an empty one are the same to Prometheus.
        if (value !== undefined && value !== '') labels[label] = value;
      }
      yield { labels, cell };
    }
  }
}

/** A number that only grows. */
export class Counter<L extends string = never> {
  readonly name: string;
  readonly labels: readonly string[];
  readonly #options: TallyOptions<L>;
  readonly #series: Series<L, { value: number }>;

  constructor(options: TallyOptions<L>) {
    this.name = options.name;
    this.labels = options.labels;
    this.#options = options;
    this.#series = new Series(options.labels, () => ({ value: 0 }));
  }

  add(amount: number, ...values: string[]): void {
    this.#series.cell(values).value += amount;
  }

  get(): MetricReading {
    const values = Array.from(this.#series.entries(), ({ labels, cell }) => ({ labels, value: cell.value }));
    return { name: this.name, help: this.#options.help, type: 'counter', values, aggregator: 'sum' };
  }
}

/** A number that is looked up when it is asked for. */
export class Gauge {
  readonly name: string;
  readonly labels: readonly string[];
  readonly #options: GaugeOptions;

  constructor(options: GaugeOptions) {
    this.name = options.name;
    this.labels = Object.keys(options.labels ?? {});
    this.#options = options;
  }

  async get(): Promise<MetricReading> {
    const { help, read, labels = {} } = this.#options;
    // One number that cannot be had must not take all the others with it.
    const value = await Promise.resolve()
      .then(read)
      .catch(() => undefined);
    const values = value === undefined ? [] : [{ labels, value }];
    return { name: this.name, help, type: 'gauge', values, aggregator: 'sum' };
  }
}

/** Numbers that are looked up when they are asked for, each under its labels. */
export class GaugeSet<L extends string> {
  readonly name: string;
  readonly labels: readonly string[];
  readonly #options: GaugeSetOptions<L>;

  constructor(options: GaugeSetOptions<L>) {
    this.name = options.name;
    this.labels = options.labels;
    this.#options = options;
  }

  async get(): Promise<MetricReading> {
    const { help, labels, read } = this.#options;
    // Here too, what cannot be had must not take the others with it.
    const rows = await Promise.resolve()
      .then(read)
      .catch(() => []);
    // The series are made anew each time, so one that is gone is not told for ever; of two with the same labels, which
    // nobody could read, the later counts.
    const series = new Series<L, { value: number }>(labels, () => ({ value: 0 }));
    for (const { values, value } of rows) series.cell(values).value = value;
    const samples = Array.from(series.entries(), (each) => ({ labels: each.labels, value: each.cell.value }));
    return { name: this.name, help, type: 'gauge', values: samples, aggregator: 'sum' };
  }
}

export interface GaugeSetOptions<L extends string> extends TallyOptions<L> {
  /** `values`: one for each label, in their order. */
  readonly read: () => readonly { readonly values: readonly string[]; readonly value: number }[];
}

export interface GaugeOptions {
  readonly name: string;
  readonly help: string;
  readonly labels?: Record<string, string>;
  readonly read: () => number | Promise<number>;
}

interface Distribution {
  /** How many fell at or below each bound but above the one before it. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/** How values are spread over fixed bounds. */
export class Histogram<L extends string = never> {
  readonly name: string;
  readonly labels: readonly string[];
  readonly #options: TallyOptions<L>;
  readonly #bounds: readonly number[];
  readonly #series: Series<L, Distribution>;

  /** @param bounds upper bounds, ascending; `+Inf` is added */
  constructor(options: TallyOptions<L>, bounds: readonly number[]) {
    this.name = options.name;
    this.labels = options.labels;
    this.#options = options;
    this.#bounds = bounds;
    this.#series = new Series(options.labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }));
  }

  observe(value: number, ...values: string[]): void {
    const distribution = this.#series.cell(values);
    distribution.sum += value;
    distribution.count += 1;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    if (index >= 0) distribution.counts[index] = (distribution.counts[index] ?? 0) + 1;
  }

  get(): MetricReading {
    const values: Sample[] = [];
    for (const { labels, cell } of this.#series.entries()) {
      let below = 0;
      for (const [index, bound] of this.#bounds.entries()) {
        below += cell.counts[index] ?? 0;
        values.push({ labels: { ...labels, le: bound }, value: below, metricName: `${this.name}_bucket` });
      }
      values.push({ labels: { ...labels, le: '+Inf' }, value: cell.count, metricName: `${this.name}_bucket` });
      values.push({ labels, value: cell.sum, metricName: `${this.name}_sum` });
      values.push({ labels, value: cell.count, metricName: `${this.name}_count` });
    }
    return { name: this.name, help: this.#options.help, type: 'histogram', values, aggregator: 'sum' };
  }
}
