// Bundles src/ into target/editor/module/editor-HASH.js, one ES module that Trunk copies into the site, and writes
// target/editor/link.html, which Trunk puts into the page's head: where the page finds the module. Trunk calls this.
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '../../target/editor');

const { outputFiles } = await build({
  entryPoints: [join(here, 'src/index.ts')],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  banner: { js: '/* CodeMirror: MIT licence, Copyright (C) Marijn Haverbeke and others, https://codemirror.net */' },
  logLevel: 'warning',
  write: false,
});
const { contents } = outputFiles[0];
const name = `editor-${createHash('sha256').update(contents).digest('hex').slice(0, 16)}.js`;

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'module'), { recursive: true });
writeFileSync(join(out, 'module', name), contents);
writeFileSync(join(out, 'link.html'), `<meta name="hopwise-editor" content="./editor/${name}">\n`);
