// What GitHub's kind of readers make of reports: `marked` of Markdown, Mermaid of its own. Standard input is a list of
// `{format, report, rows, columns, code, texts}`; standard output says what is read otherwise than it was meant.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../web/editor/package.json', import.meta.url));
const { JSDOM } = require('jsdom');
globalThis.window = new JSDOM('').window;
globalThis.document = window.document;
const { marked } = require('marked');
const modules = new URL('../web/editor/node_modules/', import.meta.url);
// It looks for a window as it is loaded.
const { default: mermaid } = await import(new URL('mermaid/dist/mermaid.core.mjs', modules));

const TOKENS = ['heading', 'paragraph', 'table', 'space', 'text', 'escape', 'codespan', 'strong'];

function readMarkdown({ report, code, rows, columns }) {
  const tokens = marked.lexer(report, { gfm: true });
  const seen = [];
  marked.walkTokens(tokens, (token) => seen.push(token));
  const strange = seen.find((token) => !TOKENS.includes(token.type));
  if (strange) return `${strange.type}: ${strange.raw}`;
  const tables = tokens.filter((token) => token.type === 'table');
  const found = tables.reduce((all, table) => all + table.rows.length, 0);
  if (found !== rows) return `${found} rows, not ${rows}`;
  if (tables.some((table) => table.header.length !== columns)) return 'a table has other columns';
  if (code === null) return null;
  const [heading] = tokens;
  const inside = heading.tokens.length === 1 && heading.tokens[0];
  return inside && inside.type === 'codespan' && inside.text === code ? null : `not the heading: ${heading.raw}`;
}

const decoded = (text) =>
  text.replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(code)).replace(/ﬂ°lt¶ß/g, '<').replace(/ﬂ°gt¶ß/g, '>');

async function readMermaid({ report, rows, texts }) {
  const { config } = await mermaid.parse(report);
  if (Object.keys(config).length) return `it configures ${JSON.stringify(config)}`;
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(report);
  const actors = [...db.getActors().values()].map((actor) => decoded(actor.description));
  const missing = texts.find((text) => !actors.includes(text));
  if (missing !== undefined) return `no ${JSON.stringify(missing)} among ${JSON.stringify(actors)}`;
  const said = db.getMessages().length;
  return said + actors.length === rows ? null : `${said} messages and ${actors.length} actors, not ${rows} together`;
}

let input = '';
for await (const chunk of process.stdin) input += chunk;
for (const one of JSON.parse(input)) {
  const read = one.format === 'markdown' ? readMarkdown : readMermaid;
  const wrong = await Promise.resolve(one).then(read).catch((error) => `${error}`);
  if (wrong) console.log(`${one.format}: ${wrong}\n${one.report}`);
}
