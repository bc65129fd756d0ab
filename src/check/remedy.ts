import type { HttpError } from '../net/index.ts';
import { codeOf } from './certificate.ts';

// Remedies, in the terms of the configuration. Everything here is pure.

interface Circumstances {
  readonly resolver?: string;
  readonly outboundProxy?: string | undefined;
}

/** The remedy for a failed connection. */
export function connectionRemedy(
  step: 'dns' | 'tcp' | 'outbound-proxy' | 'tls',
  error: HttpError,
  circumstances: Circumstances,
): string {
  const { resolver = 'system', outboundProxy } = circumstances;
  if (error.code === 'forbidden') {
    return 'The address is not public: if it is right, list it under transport.allow_private.';
  }
  switch (step) {
    case 'dns':
      return resolver === 'system' ? NO_NAME_BY_SYSTEM : NO_NAME_BY_SERVERS;
    case 'tcp':
      if (outboundProxy !== undefined) {
        return `Is ${outboundProxy} right (transport.outbound_proxy, or https_proxy of the environment) and running?`;
      }
      return error.code === 'timeout' ? NO_ANSWER : NO_LISTENER;
    case 'outbound-proxy':
      if (outboundProxy === undefined) {
        return 'Correct transport.outbound_proxy, or the variables https_proxy and http_proxy.';
      }
      return `Does ${outboundProxy} allow CONNECT to this host and port? ${PROXY_REFUSES}`;
    case 'tls':
      return error.remedy ?? tlsRemedy(error);
  }
}

const NO_NAME_BY_SYSTEM =
  'Is the name right, and does this machine have a name server? ' +
  'If the network hides the name, set transport.dns.servers.';

const NO_NAME_BY_SERVERS =
  'Is the name right? If the name servers of transport.dns cannot know it, ' +
  'write it under transport.dns.hosts, or let transport.dns.fallback be system.';

const NO_ANSWER =
  'No server answers there, or a firewall drops the packets. If your network needs an outbound proxy, ' +
  'set transport.outbound_proxy; if the address is wrong, see transport.dns.';

const NO_LISTENER =
  'No server listens there, or a firewall refuses the connection: check host and port of the url. ' +
  'If your network needs an outbound proxy, set transport.outbound_proxy.';

const PROXY_REFUSES =
  'Are user and password in transport.outbound_proxy right? ' +
  'For an upstream that is reached directly, set outbound_proxy: none.';

function tlsRemedy(error: HttpError): string {
  if (error.code === 'timeout') return NO_HANDSHAKE;
  const code = codeOf(error);
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG/.test(code)) {
    return 'The server does not speak TLS: if it speaks plain HTTP, the url begins with http://.';
  }
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA/.test(code)) {
    return (
      'The server refuses the handshake: it may require a client certificate, ' +
      'tls.cert_file and tls.key_file of this upstream.'
    );
  }
  return (
    'See the message: check the tls settings of this upstream (ca_file, cert_file, key_file), ' +
    'and the proxies and firewalls on the way.'
  );
}

const NO_HANDSHAKE =
  'The handshake is not answered; a firewall may drop it because of the host name: set another transport.first_fragment_len, ' +
  'an outbound proxy (transport.outbound_proxy), or other addresses (transport.dns.servers).';

/** The remedy where no answer came, or a broken one. @param protocol of the url */
export function silenceRemedy(error: HttpError, protocol: string): string {
  if (error.remedy !== undefined) return error.remedy;
  if (error.code === 'timeout') {
    return 'It accepts connections and does not answer: ask its operator, or raise response_header_timeout.';
  }
  const otherwise = protocol === 'http:' ? ' If it speaks TLS, the url begins with https://.' : '';
  return error.code === 'protocol'
    ? `It is not an HTTP/1.1 server, or a broken one: are host and port of the url right?${otherwise}`
    : `It hangs up instead of answering: are host and port of the url right, and does it require a client certificate (tls.cert_file)?${otherwise}`;
}

/** The remedy where a web page comes in place of a registry's answer. */
export const PAGE_REMEDY =
  'A web site answers, no registry: is the url right, and does the network require a login in a browser first?';

/** The remedy for an answer that is not as it should be; undefined where there is nothing to do. */
export function answerRemedy(status: number, kind: 'registry' | 'mirror'): string | undefined {
  if (status === 429) {
    return 'It throttles: credentials raise the limit of most registries; a list of them is used in turn.';
  }
  if (status >= 500) {
    return (
      'It, or a proxy in front of it, is failing: ask its operator. ' +
      'A second upstream of the registry would serve pulls meanwhile.'
    );
  }
  if (kind === 'mirror' || status < 400) return undefined;
  switch (status) {
    case 400:
      return 'Is there a registry at this url? A port that expects HTTPS also answers plain HTTP with 400: try https://.';
    case 401:
      return 'Its 401 names no way to log in: is there a registry at this url?';
    case 403:
      return (
        'It refuses this address or an anonymous client: does it need a header (headers), ' +
        'a client certificate (tls.cert_file) or an outbound proxy (transport.outbound_proxy)?'
      );
    case 404:
      return 'There is no registry at this url: is there a path in front of /v2/ (url: https://host/path)?';
    default:
      return 'Is there a registry at this url?';
  }
}
