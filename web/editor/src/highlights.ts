// Lines that decided the selected flow. Each kind has its own mark in the gutter, with words for the pointer, so that
// colour isn't the only sign. A span of many lines is a whole block or object: its first line stands for it, and a bar
// shows how far it goes.

import { type Extension, RangeSet, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, gutter, GutterMarker } from '@codemirror/view';

export type Kind = 'decided' | 'denied';

/** A span of the text, and what is to be said of it. */
export interface Highlight {
  from: number;
  to: number;
  kind: Kind;
}

const signs: Record<Kind, { sign: string; words: string }> = {
  decided: { sign: '▸', words: 'this line decided the selected flow' },
  denied: { sign: '✕', words: 'this line denied the selected flow' },
};

class Sign extends GutterMarker {
  override elementClass: string;

  constructor(private readonly kind: Kind) {
    super();
    this.elementClass = `hw-sign-${kind}`;
  }

  override eq(other: GutterMarker) {
    return other instanceof Sign && other.kind === this.kind;
  }

  override toDOM() {
    const sign = document.createElement('span');
    sign.textContent = signs[this.kind].sign;
    sign.title = signs[this.kind].words;
    return sign;
  }
}

interface Marks {
  lines: DecorationSet;
  signs: RangeSet<Sign>;
}

/** Replaces all highlights. */
export const setHighlights = StateEffect.define<readonly Highlight[]>();

const marks = StateField.define<Marks>({
  create: () => ({ lines: Decoration.none, signs: RangeSet.empty }),
  update(old, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(setHighlights)) continue;
      const doc = transaction.state.doc;
      const lines = [];
      const signs = [];
      for (const { from, to, kind } of effect.value) {
        const first = doc.lineAt(from);
        const last = doc.lineAt(Math.max(from, to - 1)); // not the line after a line feed that ends the span
        for (let number = first.number; number <= last.number; number++) {
          lines.push(Decoration.line({ class: `hw-bar-${kind}` }).range(doc.line(number).from));
        }
        lines.push(Decoration.line({ class: `hw-line-${kind}` }).range(first.from));
        const end = Math.min(to, first.to);
        if (last.number === first.number && from < end) {
          lines.push(Decoration.mark({ class: `hw-span-${kind}` }).range(from, end));
        }
        signs.push(new Sign(kind).range(first.from));
      }
      return { lines: Decoration.set(lines, true), signs: RangeSet.of(signs, true) };
    }
    if (!transaction.docChanged) return old;
    return { lines: old.lines.map(transaction.changes), signs: old.signs.map(transaction.changes) };
  },
  provide: (field) => EditorView.decorations.from(field, ({ lines }) => lines),
});

export const highlights: Extension = [
  marks,
  gutter({
    class: 'hw-signs',
    markers: (view) => view.state.field(marks).signs,
    initialSpacer: () => new Sign('decided'),
  }),
];
