// Lines that matter to what the page shows: those that decided the selected flow, and those of a finding.
// Each kind has its own mark in the gutter, with words for the pointer, so that colour isn't the only sign.

import { type Extension, RangeSet, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, gutter, GutterMarker } from '@codemirror/view';

export type Kind = 'decided' | 'denied' | 'finding';

/** A span of the text, and what is to be said of it. */
export interface Highlight {
  from: number;
  to: number;
  kind: Kind;
}

const signs: Record<Kind, { sign: string; words: string }> = {
  decided: { sign: '▸', words: 'this line decided the selected flow' },
  denied: { sign: '✕', words: 'this line denied the selected flow' },
  finding: { sign: '!', words: 'a finding is about this line' },
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
        const last = doc.lineAt(to);
        for (let line = doc.lineAt(from); ; line = doc.line(line.number + 1)) {
          lines.push(Decoration.line({ class: `hw-line-${kind}` }).range(line.from));
          if (line.number >= last.number) break;
        }
        if (from < to) lines.push(Decoration.mark({ class: `hw-span-${kind}` }).range(from, to));
        signs.push(new Sign(kind).range(doc.lineAt(from).from));
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
