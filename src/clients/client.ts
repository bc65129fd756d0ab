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

/** The clients whose files `entrepot setup` changes, under the names that its command line takes. */
export const SETUP_CLIENTS = ['docker', 'containerd', 'podman', 'cri-o', 'buildkit', 'k3s', 'kubernetes'] as const;
export type SetupClient = (typeof SETUP_CLIENTS)[number];

/** What differs from one installation of a client to another. */
export interface SetupChoices {
  /** The registries that get a table or a file of their own. @default the client's own list, or all at once */
  readonly registries?: readonly string[] | undefined;
  /** The files of one user instead of those of the machine (rootless). @default false */
  readonly user?: boolean;
  /** PEM certificates of the authority that signed the server's certificate, where clients do not trust it yet. */
  readonly ca?: string | undefined;
}

/** One client, and how it is pointed at this server. */
export interface ClientDefinition {
  /** For programs: it does not change. */
  readonly name: string;
  /** Its name for `entrepot setup`; absent where no file of the client has to change. */
  readonly setup?: SetupClient;
  /** What a machine that has the client has; one of these is enough. */
  readonly signs?: { readonly programs: readonly string[]; readonly paths: readonly string[] };
  /** For people. @default the name, in both languages */
  readonly title?: LocalText;
  /** One line for the start of the server. */
  readonly hint?: { readonly label: string; readonly line: (server: Pick<ServerAddress, 'host' | 'url'>) => string };
  /** Undefined where the server is not set up for this client. */
  readonly instructions: (server: ServerAddress, choices?: SetupChoices) => ClientInstructions | undefined;
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

export type ClientFile = EditedFile | OwnFile;

/** A file that may exist and hold more than what is needed here. */
export interface EditedFile extends FileBase {
  readonly format: 'json' | 'toml' | 'yaml';
  readonly merge: 'keys' | 'toml-tables';
  /** What `content` says, as data: what has to be true of an existing file. */
  readonly settings: readonly Setting[];
}

/** A file that belongs to this server as a whole. */
export interface OwnFile extends FileBase {
  readonly format: 'toml' | 'yaml' | 'pem';
  readonly merge: 'drop-in' | 'manifest' | 'certificate';
}

interface FileBase {
  /** Absolute, or below the user's home directory as `~/`. */
  readonly path: string;
  /** Which installations have the file in this form; undefined: every one. */
  readonly where?: LocalText;
  /** The whole file where there is none yet; without a newline at the end. */
  readonly content: string;
  /** Whether the client reads the file at each pull, and needs no restart. @default false */
  readonly live?: boolean;
}

/** One value that an existing file must hold. Everything else in the file stays. */
export type Setting = {
  /** The keys that lead to the value, from the top of the file. */
  readonly at: readonly string[];
  /**
   * TOML: where the table does not exist yet, it goes in front of the first table under this key. For files in which
   * the order of tables counts. @default the end of the file
   */
  readonly ahead?: string;
} & (
  | {
      /** An element of the list at `at`; one that is not there yet goes to the front. */
      readonly first: string;
    }
  | {
      /** The value itself. */
      readonly set: SettingValue;
    }
);
export type SettingValue = string | boolean | readonly string[];

/**
 * What to do with an existing file: `keys` sets the keys and keeps the others, `toml-tables` adds the tables and keeps the
 * others, `drop-in` replaces the file, which is read beside the others of its directory, `manifest` replaces it too, and a
 * command reads it; a `certificate` is a copy of the authority's.
 */
export type Merge = ClientFile['merge'];

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
  certificate: undefined,
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

/** How the client learns to trust the certificate of an authority that is not the system's; nothing without TLS. */
export function trustNotes(server: ServerAddress, client: SetupClient, path: string): readonly LocalText[] {
  if (!isSecure(server)) return [];
  return [
    {
      en: `If a private authority signed this server’s certificate, put the authority’s certificate at \`${path}\`, as \`entrepot setup ${client} --ca FILE\` does.`,
      zh: `如果本服务的证书由私有 CA 签发，把 CA 证书放在 \`${path}\`，\`entrepot setup ${client} --ca FILE\` 会这样做。`,
    },
  ];
}
