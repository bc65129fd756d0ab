/**
 * The front door: sockets become requests, requests are taken to whoever answers them, replies become bytes.
 *
 * It decides nothing about images: routing says which one is meant, access whether it may be had, the cache what it is.
 * Only reply.ts writes an answer of the registry.
 */

export { Admission, type AdmissionLimits, type AdmissionOptions, type Visit } from './admission.ts';
export { compileAllowedHosts, isHostPattern } from './allowed-hosts.ts';
export { compileTrustedProxies, type TrustedProxies } from './client-address.ts';
export {
  type CallOptions,
  type Control,
  ControlError,
  type ControlErrorCode,
  type ControlOptions,
  callControl,
  controlSocketPath,
  createControl,
  type Operation,
  type ServerStatus,
  type TransferStatus,
  type UpstreamStatus,
} from './control.ts';
export { createDispatch, type DispatchOptions, type Page } from './dispatch.ts';
export type { Forward, ForwardOptions, Interceptor, OpenTunnels } from './forward.ts';
export type { ForwardCredential } from './forward-credential.ts';
export type { ForwardTarget } from './forward-target.ts';
export { describeHelp, type ForwardHelp, type HelpOptions, type HelpRequest } from './help.ts';
export { DEFAULT_PRESETS, HOST_PRESETS, type HostPreset, hostsOfPresets } from './host-presets.ts';
export { loadForward, loadMirror } from './late-parts.ts';
export {
  createFrontDoor,
  type FrontDoor,
  type FrontDoorLimits,
  type FrontDoorOptions,
  type FrontDoorSettings,
  type FrontDoorTimeouts,
} from './listen.ts';
export { ListenError, type ListenerAddress, type ListenerSpec } from './listener.ts';
export type { MirrorSite, Mirrors } from './mirror.ts';
export { OverloadError } from './overload.ts';
export type { RequestHandler } from './request-handler.ts';
export { readTlsFiles } from './tls-files.ts';
export type { ListenerCertificate } from './tls-renewal.ts';
