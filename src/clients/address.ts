/** The address of this server, of which every example is made. */
export interface HelpAddress {
  readonly host: string;
  readonly url: string;
  readonly domainSuffix: string | undefined;
  readonly defaultRegistry: string;
}

/** What there is to know of the forward proxy. */
export interface ForwardHelp {
  /** Where it is not that of everything else. */
  readonly port?: number;
  /** Whether TLS is spoken at that port. @default false */
  readonly secure?: boolean;
  /** It wants a user and a password. */
  readonly credential: boolean;
  /** It looks into tunnels, so clients must trust its authority. */
  readonly mitm: boolean;
}
