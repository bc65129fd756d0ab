import type { Config, Listener } from '../../config/index.ts';
import {
  type AdmissionLimits,
  compileTrustedProxies,
  type FrontDoorOptions,
  type ListenerSpec,
} from '../../server/index.ts';
import type { LogFormat } from '../../telemetry/index.ts';

/** How lines are written: for people on a terminal, for programs elsewhere. */
export function logFormatOf({ log: { format } }: Config): LogFormat {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'console' : 'json';
}

/** How many are served at once, and how often. */
export function admissionLimitsOf({ limits }: Config): AdmissionLimits {
  const { per_client } = limits;
  return {
    maxInflight: limits.max_inflight,
    maxInflightWait: limits.max_inflight_wait,
    maxWaiting: limits.max_waiting,
    overloadStatus: limits.overload_status,
    retryAfter: limits.retry_after,
    perClient: {
      maxInflight: per_client.max_inflight,
      requestsPerSecond: per_client.requests_per_second,
      ...(per_client.burst === undefined ? {} : { burst: per_client.burst }),
      ...(per_client.max_bandwidth === undefined ? {} : { maxBandwidth: per_client.max_bandwidth }),
    },
  };
}

function listenerOf({ address, tls }: Pick<Listener, 'address' | 'tls'>): Pick<ListenerSpec, 'address' | 'tls'> {
  return { address, ...(tls === undefined ? {} : { tls: { certFile: tls.cert_file, keyFile: tls.key_file } }) };
}

/** Listeners, time limits and bounds of the front door. */
export function frontDoorOptionsOf(config: Config): Omit<FrontDoorOptions, 'handler' | 'onWarning'> {
  const { timeouts, limits } = config;
  const { enabled, listen: own = [] } = config.forward_proxy;
  return {
    listeners: [
      ...config.listen.map((listener) => ({
        ...listenerOf(listener),
        redirectToHttps: listener.redirect_to_https,
        forward: enabled && own.length === 0 && !listener.redirect_to_https,
      })),
      ...(enabled ? own : []).map((listener) => ({ ...listenerOf(listener), forward: true })),
    ],
    publicUrl: config.public_url,
    ...(config.trusted_proxies.length === 0 ? {} : { trustedProxies: compileTrustedProxies(config.trusted_proxies) }),
    timeouts: {
      readHeader: timeouts.read_header_timeout,
      read: timeouts.read_timeout,
      write: timeouts.write_timeout,
      idle: timeouts.idle_timeout,
      clientStall: timeouts.client_stall_timeout,
    },
    limits: { maxHeaderBytes: timeouts.max_header_bytes, maxConnections: limits.max_connections },
  };
}
