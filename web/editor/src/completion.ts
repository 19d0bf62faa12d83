// Completion: what the page knows (field names, values that exist), then the words of the text itself.
// Nothing is chosen until an arrow key chooses it, so Enter at the end of a line stays a line break.

import type { Completion as Option, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { StateEffect, StateField, type Text } from '@codemirror/state';

/** One thing to insert: `type` picks its style (`property`, `keyword`, `constant`, …), `detail` stands beside it. */
export interface Completion {
  label: string;
  type?: string;
  detail?: string;
  /** More about it, shown while it is chosen. */
  info?: string;
}

/**
 * What can be completed: the same list everywhere, or a function of the text and the cursor's offset that says where the
 * word to be completed starts.
 */
export type CompletionSource =
  | readonly Completion[]
  | ((text: string, offset: number) => { from: number; options: readonly Completion[] } | null);

export const setCompletionSource = StateEffect.define<CompletionSource>();

export const completions = StateField.define<CompletionSource>({
  create: () => [],
  update: (old, transaction) =>
    transaction.effects.reduce((source, effect) => (effect.is(setCompletionSource) ? effect.value : source), old),
});

/** A word as Kubernetes spells names, labels, keys and ports. */
const word = /[A-Za-z_][\w./-]*/;
const most = 5000;

export function complete(context: CompletionContext): CompletionResult | null {
  const typed = context.matchBefore(new RegExp(word.source));
  if (!context.explicit && (!typed || typed.to - typed.from < 2)) return null;
  const source = context.state.field(completions);
  const known = typeof source === 'function' ? source(context.state.doc.toString(), context.pos) : { options: source };
  const from = known && 'from' in known ? known.from : (typed?.from ?? context.pos);
  const seen = new Set(known?.options.map(({ label }) => label));
  const options: Option[] = [...(known?.options ?? []).map((option) => ({ ...option, boost: 1 }))];
  for (const label of words(context.state.doc)) {
    if (!seen.has(label)) options.push({ label, type: 'text' });
  }
  const self = typed ? context.state.sliceDoc(typed.from, typed.to) : '';
  return { from, options: options.filter(({ label }) => label !== self), validFor: /^[\w./-]*$/ };
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
