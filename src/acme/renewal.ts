import { setTimeout as sleep } from 'node:timers/promises';
import type { ConcurrencyLimit } from '../lib/index.ts';
import type { HttpClient } from '../net/index.ts';
import type { Secret } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { AcmeServer } from './acme-server.ts';
import type { Challenges } from './challenges.ts';
import {
  type AcmeSpec,
  accountFileOf,
  readCertificate,
  readFailure,
  readText,
  type StoredCertificate,
  writeFailure,
  writePrivate,
} from './files.ts';
import { createAccountKey, openAccountKey } from './jws.ts';
import { orderCertificate } from './order.ts';
import { AcmeError } from './problem.ts';
import { fetchRenewalWindow, type RenewalWindow } from './renewal-info.ts';
import { afterFailure, afterReload, type OrderFailure, orderAt } from './schedule.ts';

/** What all renewals share. */
export interface RenewalContext {
  readonly telemetry: Telemetry;
  readonly challenges: Challenges;
  /** One conversation with an ACME server after the other: the first one may create the account and its key. */
  readonly orders: ConcurrencyLimit;
  /** A client for one conversation with the ACME server, which closes it; see {@link AcmeServer}. @throws {Error} */
  readonly openClient: (
    spec: AcmeSpec,
  ) => Promise<{ readonly http: HttpClient; readonly allowPrivate: readonly string[] }>;
  /** @throws {Error} */
  readonly readSecret: (secret: Secret) => Promise<string>;
  /** Called when a certificate was stored. */
  readonly onStored: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** What is known of one certificate. Times are milliseconds since the epoch. */
export interface RenewalState {
  readonly expiresAt: number | undefined;
  /** When the next certificate is ordered. */
  readonly orderAt: number;
  readonly isOrdering: boolean;
  /** The failures since the last certificate. */
  readonly failure: OrderFailure | undefined;
}

const MINUTE = 60_000;
/** Milliseconds for an order as a whole. */
const ORDER_TIMEOUT = 15 * MINUTE;
/** Milliseconds for a look at the renewal window. */
const WINDOW_TIMEOUT = MINUTE;
/**
 * Milliseconds between two looks at the renewal window (RFC 9773 §4.3.2), and the longest sleep: clocks are set, and machines
 * sleep.
 */
const LOOK = 6 * 60 * MINUTE;

/** Keeps one certificate: orders it, stores it, renews it in time. It goes on until it is stopped, whatever fails. */
export class Renewal {
  readonly spec: AcmeSpec;
  readonly #context: RenewalContext;
  readonly #jitter: number;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #certificate: StoredCertificate | undefined;
  #window: RenewalWindow | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #failure: OrderFailure | undefined;
  #isOrdering = false;
  #running: Promise<void> | undefined;

  constructor(spec: AcmeSpec, context: RenewalContext) {
    this.spec = spec;
    this.#context = context;
    this.#jitter = context.random();
  }

  get state(): RenewalState {
    return {
      expiresAt: this.#certificate?.expiresAt,
      orderAt: this.#orderAt(),
      isOrdering: this.#isOrdering,
      failure: this.#failure,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends a running order. Resolves when nothing more is written. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** After an operator's reload: looks at the renewal window again, and tries a failed order sooner. */
  hurry(): void {
    if (this.#failure !== undefined) this.#failure = afterReload(this.#failure);
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    this.#wake.abort();
  }

  #orderAt(): number {
    return orderAt({
      certificate: this.#certificate,
      domains: this.spec.domains,
      window: this.#window,
      failure: this.#failure,
      jitter: this.#jitter,
      now: this.#context.now(),
    });
  }

  async #run(): Promise<void> {
    const { now } = this.#context;
    this.#certificate = await readCertificate(this.spec);
    this.#failure = await readFailure(this.spec);
    while (!this.#stop.signal.aborted) {
      await this.#look();
      const wait = this.#orderAt() - now();
      if (wait > 0) await this.#sleep(Math.min(wait, this.#lookInterval));
      else await this.#order();
    }
  }

  async #sleep(milliseconds: number): Promise<void> {
    this.#wake = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#wake.signal]);
    await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => {});
  }

  /** A certificate that lives for days only is looked at ten times. */
  get #lookInterval(): number {
    if (this.#certificate === undefined) return LOOK;
    return Math.min(LOOK, (this.#certificate.expiresAt - this.#certificate.validFrom) / 10);
  }

  /** Asks for the renewal window. A failure changes nothing: the certificate is renewed at two thirds of its life. */
  async #look(): Promise<void> {
    const { now, orders } = this.#context;
    const id = this.#certificate?.renewalId;
    if (id === undefined || now() < this.#lookedAt + this.#lookInterval || this.#stop.signal.aborted) return;
    this.#lookedAt = now();
    try {
      this.#window = await orders.run(() => {
        const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(WINDOW_TIMEOUT)]);
        return this.#converse(signal, ({ server }) => fetchRenewalWindow(server, { id }));
      });
    } catch {
      // As above.
    }
  }

  async #order(): Promise<void> {
    const { orders } = this.#context;
    const earlier = this.#failure;
    this.#isOrdering = true;
    try {
      await orders.run(() => this.#orderNow(earlier));
    } finally {
      this.#isOrdering = false;
    }
  }

  async #orderNow(earlier: OrderFailure | undefined): Promise<void> {
    const { telemetry, now, onStored } = this.#context;
    const { domains, server } = this.spec;
    if (this.#stop.signal.aborted) return;
    const started = now();
    const deadline = AbortSignal.timeout(ORDER_TIMEOUT);
    try {
      // Before the first request: a process that crashes within the order must not order again at every start. Where this
      // cannot be written, the certificate could not be either, and would count against the limits of the ACME server.
      const stopped = new Error('the server stopped before the order was complete');
      await writeFailure(this.spec, this.#failed(earlier, stopped));
      await writePrivate(this.spec.file, await this.#obtain(deadline));
      const stored = await readCertificate(this.spec);
      if (stored === undefined) throw new Error(`${this.spec.file} was written and cannot be read`);
      this.#certificate = stored;
      this.#window = undefined;
      this.#lookedAt = Number.NEGATIVE_INFINITY;
      this.#failure = undefined;
      await this.#remember(undefined);
      telemetry.publish('certificate.ordered', { domains, server, outcome: 'issued', durationMs: now() - started });
      onStored();
    } catch (error) {
      if (this.#stop.signal.aborted) return await this.#remember(earlier);
      const found = deadline.aborted ? new Error('the order took longer than 15 minutes', { cause: error }) : error;
      this.#failure = this.#failed(earlier, found as Error);
      await this.#remember(this.#failure);
      telemetry.publish('certificate.ordered', {
        domains,
        server,
        outcome: 'failed',
        durationMs: now() - started,
        reason: this.#failure.error,
        nextAttemptAt: this.#failure.nextAttemptAt,
      });
    }
  }

  #failed(earlier: OrderFailure | undefined, error: Error): OrderFailure {
    const { type, retryAfter } = error instanceof AcmeError ? error : { type: undefined, retryAfter: undefined };
    const { now, random } = this.#context;
    const isRateLimited = type === 'rateLimited';
    return afterFailure({ earlier, error: error.message, isRateLimited, retryAfter, now: now(), jitter: random() });
  }

  /** The back-off holds without the file too, until the next restart. */
  async #remember(failure: OrderFailure | undefined): Promise<void> {
    await writeFailure(this.spec, failure).catch((error: unknown) =>
      this.#context.telemetry.publish('warning', { message: 'Cannot write beside the certificate', error }),
    );
  }

  async #obtain(deadline: AbortSignal): Promise<string> {
    const { challenges, readSecret } = this.#context;
    const { domains, email, eab } = this.spec;
    const signal = AbortSignal.any([this.#stop.signal, deadline]);
    const external = eab === undefined ? undefined : { keyId: eab.keyId, hmacKey: await readSecret(eab.hmacKey) };
    return this.#converse(signal, async ({ server, thumbprint, isKnown }) => {
      await server.openAccount({ email, external, isKnown });
      const replaces = this.#certificate?.renewalId;
      return orderCertificate({ server, domains, challenges, thumbprint, replaces, signal });
    });
  }

  async #converse<T>(
    signal: AbortSignal,
    talk: (with_: { server: AcmeServer; thumbprint: string; isKnown: boolean }) => Promise<T>,
  ): Promise<T> {
    const { pem, isKnown } = await this.#accountKey();
    const key = openAccountKey(pem);
    const { http, allowPrivate } = await this.#context.openClient(this.spec);
    try {
      const server = new AcmeServer({ url: new URL(this.spec.server), http, allowPrivate, key, signal });
      return await talk({ server, thumbprint: key.thumbprint, isKnown });
    } finally {
      await http.close();
    }
  }

  /** The key is stored before it is used: an account without its key would be lost. @throws {Error} that names the file */
  async #accountKey(): Promise<{ readonly pem: string; readonly isKnown: boolean }> {
    const file = accountFileOf(this.spec);
    const found = await readText(file);
    if (found !== undefined) {
      try {
        openAccountKey(found);
        return { pem: found, isKnown: true };
      } catch (cause) {
        throw new Error(`The account key in ${file} cannot be used; move it away, and another one is created`, {
          cause,
        });
      }
    }
    const pem = createAccountKey();
    await writePrivate(file, pem);
    return { pem, isKnown: false };
  }
}
