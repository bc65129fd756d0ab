import type { PullThrough } from '../../cache/index.ts';
import type { Via } from '../../lib/index.ts';
import type { PushOrigin, PushOriginSource, RegistrySpec } from '../../oci/index.ts';
import type { PassedGate } from '../../server/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { PathOf, RegistryRequest } from '../request.ts';
import type { PassingUploads } from './passing-uploads.ts';
import type { UploadStates } from './upload-states.ts';

export interface ThroughOptions {
  /** The upstream of a registry that takes pushes, for a request that has come this way. */
  readonly pushOriginFor: (registry: RegistrySpec, via: Via | undefined) => PushOriginSource;
  readonly cache: PullThrough;
  readonly telemetry: Telemetry;
  /** Whether a repository is at home on this server: no upstream can mount from it. @default none is */
  readonly isHosted?: ((repository: RegistryRequest['repository']) => boolean) | undefined;
  /** Whether a tag is never moved nor deleted once it is set. @default none is */
  readonly isImmutable?: ((repository: RegistryRequest['repository'], tag: string) => boolean) | undefined;
  /** Whether a tag of a repository can be immutable. @default none is */
  readonly hasImmutable?: ((repository: RegistryRequest['repository']) => boolean) | undefined;
  /** 32 bytes that outlive the process, and so do uploads. @default random ones */
  readonly key?: (() => Promise<Buffer>) | undefined;
}

/** What the answers of pushes share. */
export interface Through
  extends Pick<ThroughOptions, 'cache' | 'telemetry' | 'isHosted' | 'isImmutable' | 'hasImmutable'>,
    Uploads {}

/** What is known of uploads. */
export interface Uploads {
  readonly states: UploadStates;
  readonly passing: PassingUploads;
}

/** One request, with the upstream that it is passed on to. */
export interface ThroughRequest<Kind extends RegistryRequest['path']['kind']> {
  readonly request: RegistryRequest<PathOf<Kind>>;
  readonly gate: PassedGate;
  readonly origin: PushOrigin;
}
