/** `npm run docs`: writes the generated parts of README.md from the lists that the code itself works by. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeTables } from './tables.ts';

const README = path.resolve(import.meta.dirname, '../../README.md');

await writeFile(README, await writeTables(await readFile(README, 'utf8'), README));
