import type { Answer } from '../../api.ts';

export type Overview = Answer<'overview'>;
export type Pull = Overview['pulls'][number];
export type Transfer = Overview['transfers'][number];
export type Sums = Overview['day'];
