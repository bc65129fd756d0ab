import * as z from 'zod';
import { isHostHeader } from '../server/index.ts';
import type { Operation } from './operation.ts';

const configurationAnswer = z.object({
  source: z.string().describe('A file, an environment variable, or `defaults`.'),
  options: z
    .array(
      z.object({
        name: z.string().describe('`cache.max_size`, `registries["ghcr.io"].upstreams[0].url`.'),
        value: z.string().describe('As YAML; secrets are masked.'),
        from: z.string().describe('`default`, `entrepot.yaml:12:3`, the name of a variable, or a flag.'),
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

const HOST = 'expected a host and port such as mirror.example.com:5000, or https://mirror.example.com';

const clientsInput = z.object({
  host: z
    .string({ error: HOST })
    .max(300, HOST)
    .refine((text) => isHostHeader(text.replace(/^https?:\/\//, '')), HOST)
    .optional()
    .describe('Host and port at which clients reach this server, or its origin; absent: as the first listener has it.'),
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
        restart: z.string().exactOptional().describe('The command that makes the client read its files.'),
        verify: z.string().exactOptional().describe('A command that pulls by the new way.'),
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
