import { callControl, controlSocketPath, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import type { Client, ModelToken } from './access-rules.ts';
import type { Chances } from './hostile.ts';
import { ACTIONS, PASSWORD, PATTERNS, USERS } from './hosting-setting.ts';
import { basic, bearer } from './logins.ts';
import type { Mirror } from './mirror.ts';

/** The users and tokens of a server, who come and go. */
export class ModelClients {
  readonly #mirror: Mirror;
  readonly #random: Chances;
  readonly tokens = new Map<string, ModelToken>();
  readonly disabled = new Set<string>();
  readonly #signed = new Map<string, string>();
  /** Texts of revoked tokens, and of none. */
  readonly #invalid = ['ent_0000000000000000000000000000000000000000000000000', 'no-token'];

  constructor(mirror: Mirror, random: Chances) {
    this.#mirror = mirror;
    this.#random = random;
  }

  /** Changes who may log in between two requests. */
  async change(): Promise<void> {
    const random = this.#random;
    if (random.below(2) === 0) return this.#drawToken();
    const { disabled } = this;
    const name = random.of(random.below(2) === 0 ? USERS : [...disabled, ...USERS]);
    const isDisabled = disabled.has(name);
    if (!isDisabled) await this.credentialOf({ kind: 'user', name }, 1);
    await operate(this.#mirror, isDisabled ? OPERATIONS.userEnable : OPERATIONS.userDisable, { name });
    if (isDisabled) disabled.delete(name);
    else disabled.add(name);
  }

  async #drawToken(): Promise<void> {
    const random = this.#random;
    const name = `t${random.below(4)}`;
    const known = this.tokens.get(name);
    if (known !== undefined && random.below(2) === 0) {
      await operate(this.#mirror, OPERATIONS.tokenRevoke, { name });
      this.tokens.delete(name);
      this.#invalid.push(known.text);
      return;
    }
    const owner = random.below(2) === 0 ? undefined : random.of(USERS);
    if (known !== undefined || (owner !== undefined && this.disabled.has(owner))) return;
    const drawn = ACTIONS.filter(() => random.below(4) > 0);
    const may = drawn.length === 0 ? (['pull', 'push'] as const) : drawn;
    const on = random.below(2) === 0 ? PATTERNS.filter(() => random.below(3) === 0) : [];
    const given = { name, may, on, ...(owner === undefined ? {} : { owner }) };
    const { token: text } = await operate(this.#mirror, OPERATIONS.tokenCreate, given);
    this.tokens.set(name, { name, text, owner, may, on });
  }

  draw(): Client {
    const random = this.#random;
    const kind = random.below(12);
    if (kind < 2) return { kind: 'anonymous' };
    if (kind < 8) return { kind: 'user', name: random.of(USERS) };
    if (kind === 11) return { kind: 'invalid' };
    const token = random.of([...this.tokens.values(), undefined]);
    return token === undefined ? { kind: 'user', name: random.of(USERS) } : { kind: 'token', token };
  }

  /** The client as the model sees it: a disabled user, and a token of such a user, are refused like a wrong password. */
  effective(client: Client): Client {
    const owner = client.kind === 'user' ? client.name : client.kind === 'token' ? client.token.owner : undefined;
    return owner !== undefined && this.disabled.has(owner) ? { kind: 'invalid' } : client;
  }

  /** The headers by which a client shows itself, in one of several ways; undefined where it shows nothing. */
  async credentialOf(client: Client, way: number): Promise<Record<string, string> | undefined> {
    if (client.kind === 'invalid') {
      const text = this.#invalid[way % this.#invalid.length] ?? '';
      return way % 2 === 0 ? bearer(text) : basic('robot', text);
    }
    if (client.kind === 'anonymous') return undefined;
    const shown = client.kind === 'user' ? basic(client.name, PASSWORD) : basic('robot', client.token.text);
    if (way % 2 === 0) return shown;
    if (client.kind === 'token' && way % 4 === 1) return bearer(client.token.text);
    // A signed token, which may be older than a change that makes it invalid.
    const key = client.kind === 'user' ? client.name : client.token.text;
    const known = this.#signed.get(key);
    if (known !== undefined) return bearer(known);
    const { status, body } = await this.#mirror.get('/token', shown);
    if (status !== 200) return shown;
    const { token } = JSON.parse(body.toString()) as { token: string };
    this.#signed.set(key, token);
    return bearer(token);
  }
}

/** Runs an operation of the operator. */
export function operate<Input, Answer>(
  mirror: Mirror,
  operation: Operation<Input, Answer, never>,
  input: object,
): Promise<Answer> {
  const known = operation as unknown as Operation<object, Answer, never>;
  return callControl(controlSocketPath(mirror.dir), known, { input });
}
