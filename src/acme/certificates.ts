import { isDeepStrictEqual } from 'node:util';
import { ConcurrencyLimit } from '../lib/index.ts';
import type { Door } from '../server/index.ts';
import { Challenges } from './challenges.ts';
import type { AcmeSpec } from './files.ts';
import { Renewal, type RenewalContext, type RenewalState } from './renewal.ts';

/** One certificate, for the operator. */
export interface AcmeStatus extends RenewalState {
  readonly file: string;
  readonly domains: readonly string[];
  readonly server: string;
}

type AcmeCertificatesOptions = Pick<RenewalContext, 'telemetry' | 'openClient' | 'readSecret' | 'onStored'> & {
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** From 0 to 1. @default Math.random */
  readonly random?: () => number;
};

/** The certificates that this server orders and renews. */
export class AcmeCertificates {
  readonly #context: RenewalContext;
  /** By the file of the certificate. */
  readonly #renewals = new Map<string, Renewal>();
  readonly #challenges = new Challenges();
  #changing: Promise<void> = Promise.resolve();

  constructor(options: AcmeCertificatesOptions) {
    const orders = new ConcurrencyLimit(1);
    this.#context = { now: Date.now, random: Math.random, ...options, orders, challenges: this.#challenges };
  }

  /** Answers the challenges of running orders. */
  get door(): Door {
    return this.#challenges.door;
  }

  get status(): readonly AcmeStatus[] {
    return [...this.#renewals].map(([file, { spec, state }]) => {
      const { domains, server } = spec;
      return { file, domains, server, ...state };
    });
  }

  /** Whether a request for this path is a challenge of a running order, which no redirect may take away. */
  isChallenge(target: string): boolean {
    return this.#challenges.has(target);
  }

  /**
   * Keeps these certificates from now on, and no others: their files stay. A certificate whose settings are the same goes on,
   * and a failed order of it is tried again sooner. Certificates with the same file are one: their settings must be equal.
   */
  configure(specs: readonly AcmeSpec[]): Promise<void> {
    this.#changing = this.#changing.then(() => this.#change(specs));
    return this.#changing;
  }

  /** Ends running orders. Resolves when nothing more is written. */
  close(): Promise<void> {
    return this.configure([]);
  }

  async #change(specs: readonly AcmeSpec[]): Promise<void> {
    const wanted = new Map(specs.map((spec) => [spec.file, spec]));
    const leaving = [...this.#renewals].filter(([file, { spec }]) => !isDeepStrictEqual(spec, wanted.get(file)));
    for (const [file] of leaving) this.#renewals.delete(file);
    // Two renewals of one file would overwrite each other's.
    await Promise.all(leaving.map(([, renewal]) => renewal.stop()));
    for (const [file, spec] of wanted) {
      const known = this.#renewals.get(file);
      if (known !== undefined) known.hurry();
      else this.#begin(file, spec);
    }
  }

  #begin(file: string, spec: AcmeSpec): void {
    const renewal = new Renewal(spec, this.#context);
    this.#renewals.set(file, renewal);
    renewal.start();
  }
}
