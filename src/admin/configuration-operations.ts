import * as z from 'zod';
import type { Operation } from './operation.ts';

const configurationAnswer = z.object({
  source: z.string().describe('A file, an environment variable, or `defaults`.'),
  options: z
    .array(
      z.object({
        name: z.string().describe('`cache.max_size`, `registries.ghcr.io.upstreams[0].url`.'),
        value: z.string().describe('As YAML; secrets are masked.'),
        from: z.string().describe('`default`, `entrepot.yaml:12`, the name of a variable, or of a flag.'),
      }),
    )
    .readonly(),
  problems: z
    .array(z.object({ text: z.string(), place: z.string().exactOptional().describe('File and line.') }))
    .readonly()
    .describe('What is dangerous or without effect, with the remedy.'),
  yaml: z.string().describe('The whole configuration in effect; secrets are masked.'),
});
export type ConfigurationAnswer = z.infer<typeof configurationAnswer>;

const clientsInput = z.object({
  host: z
    .string()
    .max(300)
    .optional()
    .describe('Host and port at which clients reach this server; absent: as the request names it.'),
});

/** Text in the languages of the pages. */
const words = z.object({ en: z.string(), zh: z.string() });

const clientsAnswer = z.object({
  url: z.string(),
  host: z.string(),
  defaultRegistry: z.string(),
  clients: z
    .array(
      z.object({
        client: z.string().describe('`docker`, `containerd`, …'),
        title: words,
        setup: z.string().exactOptional().describe('A command that does it.'),
        files: z.array(z.object({ path: z.string(), where: words.exactOptional(), content: z.string() })).readonly(),
        commands: z.array(z.string()).readonly(),
        notes: z.array(words).readonly(),
      }),
    )
    .readonly(),
});
/** Settings of clients, with the address of this server. */
export type ClientsAnswer = z.infer<typeof clientsAnswer>;

export interface ConfigurationContext {
  readonly configuration: () => Promise<ConfigurationAnswer>;
  readonly clients: (host: string | undefined) => Promise<ClientsAnswer>;
}

const configuration: Operation<object, ConfigurationAnswer, ConfigurationContext> = {
  name: 'configuration',
  summary: 'The configuration in effect, where each value comes from, and its problems',
  action: 'admin',
  changes: false,
  input: z.object({}),
  answer: configurationAnswer,
  handle: (_, context) => context.configuration(),
};

const clients: Operation<z.infer<typeof clientsInput>, ClientsAnswer, ConfigurationContext> = {
  name: 'clients',
  summary: 'Settings for each client, with the address of this server',
  action: 'status',
  changes: false,
  input: clientsInput,
  answer: clientsAnswer,
  handle: ({ host }, context) => context.clients(host),
};

export const CONFIGURATION_OPERATIONS = { configuration, clients };
