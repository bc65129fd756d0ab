/** Who changes a repository. */
export interface Actor {
  /** The name of the principal, as rules write it. */
  readonly by: string;
  /** The address of the client. */
  readonly client: string;
}
