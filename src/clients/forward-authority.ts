import type { ClientDefinition, ClientInstructions } from './client.ts';

/** Trust in the authority of a forward proxy that decrypts tunnels, for each platform. */
export const forwardAuthority: readonly ClientDefinition[] = [
  trust('Debian, Ubuntu', (url) => ({
    commands: [`curl -o /usr/local/share/ca-certificates/entrepot.crt ${url}/ca.crt`, 'update-ca-certificates'],
    restart: 'systemctl restart docker',
    notes: [
      'containerd needs a restart too.',
      'Compare the fingerprint with the server’s log: openssl x509 -in entrepot.crt -noout -fingerprint -sha256.',
    ],
  })),
  trust('Fedora, CentOS, RHEL', (url) => ({
    commands: [`curl -o /etc/pki/ca-trust/source/anchors/entrepot.crt ${url}/ca.crt`, 'update-ca-trust'],
    restart: 'systemctl restart docker',
    notes: ['containerd needs a restart too. Compare the fingerprint in the same way.'],
  })),
  trust('macOS', (url) => ({
    commands: [
      `curl -o entrepot.crt ${url}/ca.crt`,
      'sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain entrepot.crt',
    ],
    notes: ['Docker Desktop reads the keychain when it starts; restart it.'],
  })),
  trust('one program', () => ({
    commands: ['curl --cacert entrepot.crt …', 'SSL_CERT_FILE=entrepot.crt podman pull …'],
    notes: [
      'In programs written in Go, SSL_CERT_FILE replaces the authorities of the system: where they reach some hosts directly, use a file with both.',
    ],
  })),
];

function trust(platform: string, instructions: (url: string) => ClientInstructions): ClientDefinition {
  return {
    name: `trusting its certificates: ${platform}`,
    instructions: ({ url, forward }) => (forward?.mitm === true ? instructions(url) : undefined),
  };
}
