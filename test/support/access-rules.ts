// Who may do what, written from the words of docs/access.md and docs/hosting.md, and not from the code.

export type Visibility = 'public' | 'refused' | 'absent';
export type Action = 'pull' | 'catalog' | 'push' | 'delete' | 'proxy' | 'status';

/** A place that rules name. */
export interface Place {
  /** As rules write it. */
  readonly name: string;
  /** What clients without a credential see of it at its upstream. What is hosted is private. */
  visibility: Visibility;
}

export interface Rule {
  readonly who: readonly string[];
  readonly may: readonly Action[];
  readonly on: readonly string[];
  readonly private: boolean;
}

export interface ModelToken {
  readonly name: string;
  readonly text: string;
  /** The user it acts for. */
  readonly owner: string | undefined;
  readonly may: readonly Action[];
  readonly on: readonly string[];
}

/** What is true now, by what was done and not by what the server says. */
export interface World {
  readonly rules: readonly Rule[];
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly disabled: ReadonlySet<string>;
}

export type Client =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'token'; readonly token: ModelToken }
  | { readonly kind: 'invalid' };

/** Whether a pattern covers a place: `*` is one component or a part of it, `**` any number of them, `?` one character. */
function fits(pattern: string, place: string): boolean {
  if (pattern.startsWith('mirror:') !== place.startsWith('mirror:')) return false;
  const escaped = pattern
    .split(/(\*\*|\*|\?)/)
    .map((part) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]' })[part] ?? part.replace(/[.\\^$+()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${escaped.join('')}$`).test(place);
}

/** Whether the rules let a client do this. Without a login nothing is pushed or deleted. */
export function isAllowed(world: World, client: Client, action: Action, place: Place | undefined): boolean {
  if (client.kind === 'invalid') return false;
  if (client.kind === 'anonymous' && (action === 'push' || action === 'delete')) return false;
  const names: string[] = [];
  if (client.kind === 'user') names.push(client.name);
  if (client.kind === 'token') names.push(client.token.owner ?? `token:${client.token.name}`);
  if (client.kind === 'token') {
    const { may, on } = client.token;
    if (!may.includes(action)) return false;
    if (place !== undefined && on.length > 0 && !on.some((pattern) => fits(pattern, place.name))) return false;
  }
  for (const [group, members] of Object.entries(world.groups)) {
    if (members.some((member) => names.includes(member))) names.push(`@${group}`);
  }
  return world.rules.some((rule) => {
    if (!rule.may.includes(action)) return false;
    if (place !== undefined && !rule.on.some((pattern) => fits(pattern, place.name))) return false;
    if (rule.who.some((name) => names.includes(name))) return true;
    if (!rule.who.includes('anonymous') || action === 'push' || action === 'delete') return false;
    return place === undefined || rule.private || place.visibility === 'public';
  });
}

/** As the log, messages and records name a client; undefined for one without a login. */
export function loginOf(client: Client): string | undefined {
  if (client.kind === 'user') return client.name;
  return client.kind === 'token' ? `token:${client.token.name}` : undefined;
}
