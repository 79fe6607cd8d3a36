// Writes TypeScript declarations of all worlds and interfaces of the contract: node types.mjs WIT-FOLDER FOLDER
//
// Like `jco guest-types`, whose version 1.35.0 reads no WIT from a path. The contract is one package, so its files are one
// source once all `package` lines but the first are left out.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { $init, generateTypes } from '@bytecodealliance/jco-transpile/component';

const [contract, folder] = process.argv.slice(2);
const files = readdirSync(contract).filter((name) => name.endsWith('.wit'));
const texts = files.map((name) => readFileSync(join(contract, name), 'utf8'));
const header = /^package .*;$/m;
const source = [texts[0].match(header)[0], ...texts.map((text) => text.replace(header, ''))].join('\n');

await $init;
for (const [, world] of source.matchAll(/^world ([a-z0-9-]+) \{$/gm)) {
  for (const [name, bytes] of generateTypes(world, { wit: { tag: 'source', val: source }, world, guest: true })) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}
