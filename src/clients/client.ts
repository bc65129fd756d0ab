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
  readonly name: string;
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
  readonly notes: readonly string[];
}

export interface ClientFile {
  readonly path: string;
  readonly format: 'json' | 'toml';
  /**
   * What to do with an existing file: `json` sets the keys and keeps the others, `toml-tables` adds the tables and keeps
   * the others, `drop-in` replaces the file, which is read beside the others of its directory.
   */
  readonly merge: 'json' | 'toml-tables' | 'drop-in';
  readonly content: string;
}

/** Whether clients reach the server by HTTPS. */
export function isSecure({ url }: Pick<ServerAddress, 'url'>): boolean {
  return url.startsWith('https:');
}
