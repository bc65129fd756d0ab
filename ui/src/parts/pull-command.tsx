import type { JSX } from 'preact';
import { Snippet } from './copy.tsx';

/** The command that pulls an image through this server, by the host that its reader used. */
export function PullCommand({ image }: { readonly image: string }): JSX.Element {
  return <Snippet code={pullCommand(image)} />;
}

/** `docker pull mirror.example.com:5000/docker.io/library/nginx:latest` */
export function pullCommand(image: string): string {
  return `docker pull ${location.host}/${image}`;
}
