// Prints what a visitor of dist/ transfers, file by file, compressed as a server with brotli would send it.
// Fails where the page's WebAssembly is over budget.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const site = 'dist';
const budget = { wasm: 650_000 }; // against accidents, such as a second regex engine; it was 649 kB when this was set

const files = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .map((path) => {
    const bytes = readFileSync(path);
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    return { path, raw: bytes.length, sent: brotliCompressSync(bytes, { params }).length };
  })
  .sort((a, b) => b.sent - a.sent);

const row = (raw, sent, name) => console.log(`${String(raw).padStart(10)} ${String(sent).padStart(10)}  ${name}`);
row('bytes', 'brotli', 'file');
for (const { path, raw, sent } of files) row(raw, sent, path.slice(site.length + 1));
row(files.reduce((sum, f) => sum + f.raw, 0), files.reduce((sum, f) => sum + f.sent, 0), 'in all');

const wasm = files.filter((f) => f.path.endsWith('.wasm')).reduce((sum, f) => sum + f.sent, 0);
if (wasm > budget.wasm) {
  console.error(`the WebAssembly is ${wasm} bytes compressed; its budget is ${budget.wasm}`);
  process.exit(1);
}
