// Completion: the words of the text itself.
// Nothing is chosen until an arrow key chooses it, so Enter at the end of a line stays a line break.

import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import type { Text } from '@codemirror/state';

/** A word as Kubernetes spells names, labels, keys and ports. */
const word = /[A-Za-z_][\w./-]*/;
const most = 5000;

export function complete(context: CompletionContext): CompletionResult | null {
  const typed = context.matchBefore(new RegExp(word.source));
  if (!context.explicit && (!typed || typed.to - typed.from < 2)) return null;
  const options = words(context.state.doc)
    .filter((label) => label !== typed?.text)
    .map((label) => ({ label, type: 'text' }));
  return { from: typed?.from ?? context.pos, options, validFor: /^[\w./-]*$/ };
}

let remembered: { doc: Text; words: readonly string[] } | undefined;

/** The different words of a text, up to a number that keeps a huge dump quick. */
function words(doc: Text): readonly string[] {
  if (remembered?.doc === doc) return remembered.words;
  const found = new Set<string>();
  const all = new RegExp(word.source, 'g');
  for (const line of doc.iterLines()) {
    for (const [match] of line.matchAll(all)) if (match.length > 2) found.add(match);
    if (found.size >= most) break;
  }
  remembered = { doc, words: [...found] };
  return remembered.words;
}
