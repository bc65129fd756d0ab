import type { ClientDefinition, ClientInstructions, LocalText } from './client.ts';

/** Trust in the authority of a forward proxy that decrypts tunnels, for each platform. */
export const forwardAuthority: readonly ClientDefinition[] = [
  trust({ en: 'Debian, Ubuntu', zh: 'Debian、Ubuntu' }, (url) => ({
    commands: [`curl -o /usr/local/share/ca-certificates/entrepot.crt ${url}/ca.crt`, 'update-ca-certificates'],
    restart: 'systemctl restart docker',
    notes: [
      { en: 'containerd needs a restart too.', zh: 'containerd 也需要重启。' },
      {
        en: 'Compare the fingerprint with the server’s log: `openssl x509 -in entrepot.crt -noout -fingerprint -sha256`.',
        zh: '请与服务日志中的指纹核对：`openssl x509 -in entrepot.crt -noout -fingerprint -sha256`。',
      },
    ],
  })),
  trust({ en: 'Fedora, CentOS, RHEL', zh: 'Fedora、CentOS、RHEL' }, (url) => ({
    commands: [`curl -o /etc/pki/ca-trust/source/anchors/entrepot.crt ${url}/ca.crt`, 'update-ca-trust'],
    restart: 'systemctl restart docker',
    notes: [
      {
        en: 'containerd needs a restart too. Compare the fingerprint in the same way.',
        zh: 'containerd 也需要重启。用同样的方法核对指纹。',
      },
    ],
  })),
  trust({ en: 'macOS', zh: 'macOS' }, (url) => ({
    commands: [
      `curl -o entrepot.crt ${url}/ca.crt`,
      'sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain entrepot.crt',
    ],
    notes: [
      {
        en: 'Docker Desktop reads the keychain when it starts; restart it.',
        zh: 'Docker Desktop 在启动时读取钥匙串，请重启它。',
      },
    ],
  })),
  trust({ en: 'one program', zh: '单个程序' }, () => ({
    commands: ['curl --cacert entrepot.crt …', 'SSL_CERT_FILE=entrepot.crt podman pull …'],
    notes: [
      {
        en: 'In programs written in Go, `SSL_CERT_FILE` replaces the authorities of the system: where they reach some hosts directly, use a file with both.',
        zh: '对 Go 编写的程序，`SSL_CERT_FILE` 会取代系统的 CA：如果程序还要直接访问其他主机，请使用同时包含两者的文件。',
      },
    ],
  })),
];

function trust(platform: LocalText, instructions: (url: string) => ClientInstructions): ClientDefinition {
  const title = { en: `trusting its certificates: ${platform.en}`, zh: `信任其证书：${platform.zh}` };
  return {
    name: title.en,
    title,
    instructions: ({ url, forward }) => (forward?.mitm === true ? instructions(url) : undefined),
  };
}
