import { sha256SecondsPerGiB } from './sha256-speed.ts';

// Hashes as many bytes as its argument says, and prints CPU seconds per GiB: on the core it was put on, at this moment.
process.stdout.write(String(sha256SecondsPerGiB(Number(process.argv[2]))));
