import type { ForwardHelp, HelpAddress } from './address.ts';
import type { ClientSetup } from './setups.ts';

/** How clients go through this server to others, and how they come to trust it where it looks into tunnels. */
export function forwardSetups(
  { host, url }: Pick<HelpAddress, 'host' | 'url'>,
  { port, secure = false, credential, mitm }: ForwardHelp,
): readonly ClientSetup[] {
  const { protocol } = new URL(url);
  const bare = host.replace(/:\d+$/, '');
  const own = port === undefined ? host : `${bare}:${port}`;
  const scheme = port === undefined ? protocol : secure ? 'https:' : 'http:';
  const address = `${scheme}//${credential ? 'USER:PASSWORD@' : ''}${own}`;
  const setups: ClientSetup[] = [
    {
      client: 'forward proxy',
      text: `export HTTPS_PROXY=${address} HTTP_PROXY=${address}`,
      note: 'In the environment of the engine (dockerd, containerd) or the client (podman, skopeo, curl). Image names stay as they are. Only the hosts that are allowed here can be reached.',
    },
  ];
  if (!mitm) return setups;
  return [
    ...setups,
    {
      client: 'trusting its certificates: Debian, Ubuntu',
      text: [`curl -o /usr/local/share/ca-certificates/entrepot.crt ${url}/ca.crt`, 'update-ca-certificates'].join(
        '\n',
      ),
      note: 'Restart dockerd or containerd afterwards. Compare the fingerprint with the server’s log: openssl x509 -in entrepot.crt -noout -fingerprint -sha256.',
    },
    {
      client: 'trusting its certificates: Fedora, CentOS, RHEL',
      text: [`curl -o /etc/pki/ca-trust/source/anchors/entrepot.crt ${url}/ca.crt`, 'update-ca-trust'].join('\n'),
      note: 'The same, in the place these systems have for it.',
    },
    {
      client: 'trusting its certificates: macOS',
      text: [
        `curl -o entrepot.crt ${url}/ca.crt`,
        'sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain entrepot.crt',
      ].join('\n'),
      note: 'Docker Desktop takes it from there when it is restarted.',
    },
    {
      client: 'trusting its certificates: one program',
      text: `curl --cacert entrepot.crt …\nSSL_CERT_FILE=entrepot.crt podman pull …`,
      note: 'For programs written in Go, SSL_CERT_FILE replaces the authorities of the system: use a file that has both where some hosts are not reached through here.',
    },
  ];
}
