/** The languages of the help: that of the documentation, and Chinese. */
export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

/** One text in each language. Code stands in backticks, and is the same in both. */
export type LocalText = Readonly<Record<Language, string>>;

/** The address of this server. Every file and command is made of it. */
export interface ServerAddress {
  /** Host and port, as in image names. */
  readonly host: string;
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  readonly defaultRegistry: string;
  /** The forward proxy, where the server is one. */
  readonly forward?: ForwardHelp | undefined;
}

/** What clients must know of the forward proxy. */
export interface ForwardHelp {
  /** Its port, where it has one of its own. */
  readonly port?: number;
  /** Whether it speaks TLS at that port. @default false */
  readonly secure?: boolean;
  /** Whether it asks for a user and a password. */
  readonly credential: boolean;
  /** Whether it decrypts tunnels, so that clients must trust its authority. */
  readonly mitm: boolean;
}

/** One client, and how it is pointed at this server. */
export interface ClientDefinition {
  /** For programs: it does not change. */
  readonly name: string;
  /** For people. @default the name, in both languages */
  readonly title?: LocalText;
  /** One line for the start of the server. */
  readonly hint?: { readonly label: string; readonly line: (server: Pick<ServerAddress, 'host' | 'url'>) => string };
  /** Undefined where the server is not set up for this client. */
  readonly instructions: (server: ServerAddress) => ClientInstructions | undefined;
}

export interface ClientInstructions {
  readonly files?: readonly ClientFile[];
  /** Shell commands, one a line. */
  readonly commands?: readonly string[];
  /** The command that makes the client read the files; absent where it reads them by itself. */
  readonly restart?: string;
  /** A command that pulls by the new way; the server's log then has a line for it. */
  readonly verify?: string;
  /** Whole sentences. */
  readonly notes: readonly LocalText[];
}

export interface ClientFile {
  readonly path: string;
  readonly format: 'json' | 'toml' | 'yaml';
  /** Which installations have the file in this form; undefined: every one. */
  readonly where?: LocalText;
  readonly merge: Merge;
  readonly content: string;
}

/**
 * What to do with an existing file: `keys` sets the keys and keeps the others, `toml-tables` adds the tables and keeps the
 * others, `drop-in` replaces the file, which is read beside the others of its directory, `manifest` replaces it too, and a
 * command reads it.
 */
export type Merge = 'keys' | 'toml-tables' | 'drop-in' | 'manifest';

/** The same as a sentence; undefined where there is nothing to heed. */
export const MERGE_NOTES: Readonly<Record<Merge, LocalText | undefined>> = {
  keys: {
    en: 'In an existing file, set these keys and keep the others.',
    zh: '如果文件已存在，设置这些键，保留其他键。',
  },
  'toml-tables': {
    en: 'In an existing file, add these tables and keep the others.',
    zh: '如果文件已存在，添加这些表，保留其他表。',
  },
  'drop-in': {
    en: 'A file of its own: the client reads it beside the others.',
    zh: '这是单独的文件：客户端会把它与其他文件一起读取。',
  },
  manifest: undefined,
};

/** Whether clients reach the server by HTTPS. */
export function isSecure({ url }: Pick<ServerAddress, 'url'>): boolean {
  return url.startsWith('https:');
}

/** Whether the address is reached from the machine of the server only. */
export function isLoopback({ url }: Pick<ServerAddress, 'url'>): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
