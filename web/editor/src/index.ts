// The code editor of the page: CodeMirror 6 with YAML, behind a handle that speaks in plain values.
//
// The page loads this module after its first picture, from the address in `<meta name="hopwise-editor">`:
//
//     const { create } = await import(new URL(meta.content, document.baseURI).href);
//     const editor = create(parent, { doc: "kind: Pod\n", onChange: (text) => … });
//
// Every offset, here and in what the handle takes, counts UTF-16 units from the start of the text, as JavaScript's strings
// do. Lines end in a line feed: other line ends are turned into it, and `onChange` then says so at once. Offsets beyond the
// text are taken to be its end, because diagnostics may arrive for a text that has since become shorter.
//
// Keys: those of CodeMirror, Tab and Shift-Tab indent; Escape, then Tab or Shift-Tab leaves the editor; Ctrl-M (on a Mac
// Shift-Alt-M) makes Tab leave for good. Ctrl-F searches, F8 goes to the next diagnostic, Ctrl-Space completes.
//
// Colours are the page's custom properties; see theme.ts.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, codeFolding, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic as LintDiagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { Annotation, Compartment, EditorState, type Text, Transaction } from '@codemirror/state';
import {
  drawSelection, dropCursor, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap,
  lineNumbers,
} from '@codemirror/view';
import { complete } from './completion';
import { type Highlight, highlights, setHighlights } from './highlights';
import { colours, look } from './theme';

/** Replaces `start..end` by `insert`. */
export interface Edit {
  start: number;
  end: number;
  insert: string;
}

/** A problem in the text, underlined and marked in the gutter; `fix` becomes a button in its tooltip. */
export interface Diagnostic {
  from: number;
  to: number;
  severity: 'error' | 'warning' | 'info' | 'hint';
  message: string;
  fix?: { label: string; edits: Edit[] } | undefined;
}

export interface Options {
  /** The text to start with. */
  doc?: string;
  dark?: boolean;
  /** The text is another one now, whoever changed it, `setText` excepted. */
  onChange?(text: string): void;
}

export interface Handle {
  text(): string;
  /** Replaces the whole text, as one step of the undo history; does nothing where it is the same. */
  setText(text: string): void;
  setDiagnostics(diagnostics: Diagnostic[]): void;
  /** Marks lines, and the exact spans in them: see highlights.ts. Replaces the earlier ones. */
  setHighlights(highlights: Highlight[]): void;
  /** Selects the span and scrolls it into the middle. The keyboard's focus stays where it is. */
  scrollTo(from: number, to?: number): void;
  focus(): void;
  setDark(dark: boolean): void;
  destroy(): void;
}

/** Marks a transaction of `setText`, which the page needn't be told of. */
const silent = Annotation.define<boolean>();

/** Makes an editor, the last child of `parent`. */
export function create(parent: HTMLElement, options: Options = {}): Handle {
  const darkness = new Compartment();
  const dark = (on: boolean) => EditorView.darkTheme.of(on);

  const state = EditorState.create({
    doc: options.doc ?? '',
    extensions: [
      darkness.of(dark(options.dark ?? false)),
      look,
      syntaxHighlighting(colours),
      yaml(),
      indentUnit.of('  '),
      EditorState.tabSize.of(2),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      codeFolding(),
      history(),
      search({ top: true }),
      highlightSelectionMatches(),
      highlightSpecialChars(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      EditorState.allowMultipleSelections.of(true),
      drawSelection(),
      dropCursor(),
      autocompletion({ override: [complete], selectOnOpen: false, icons: false }),
      highlights,
      lineNumbers(),
      lintGutter(),
      foldGutter(),
      keymap.of([
        ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap,
        ...lintKeymap, indentWithTab,
      ]),
      EditorView.contentAttributes.of({
        tabindex: '0', // contenteditable takes the focus too, but tools that check for it look for this
        'aria-label': 'Scenario as YAML. Escape, then Tab leaves the editor.',
        spellcheck: 'false',
        autocapitalize: 'off',
        autocorrect: 'off',
      }),
      reports(options),
      drops,
    ],
  });
  const view = new EditorView({ state, parent });
  if (options.doc?.includes('\r')) options.onChange?.(view.state.doc.toString());

  const span = (from: number, to: number) => {
    const start = Math.min(Math.max(from, 0), view.state.doc.length);
    return { from: start, to: Math.min(Math.max(to, start), view.state.doc.length) };
  };
  const edit = (edits: Edit[]) => {
    if (edits.length === 0) return;
    const changes = view.state.changes(edits.map(({ start, end, insert }) => ({ ...span(start, end), insert })));
    let first = view.state.doc.length;
    changes.iterChangedRanges((from) => { first = Math.min(first, from); });
    view.dispatch({
      changes,
      annotations: [isolateHistory.of('full'), Transaction.userEvent.of('input.fix')],
      effects: EditorView.scrollIntoView(Math.min(first, changes.newLength), { y: 'nearest', yMargin: 40 }),
    });
  };

  return {
    text: () => view.state.doc.toString(),

    setText(text) {
      const wanted = view.state.toText(text);
      const changes = difference(view.state.doc, wanted);
      if (changes) view.dispatch({ changes, annotations: [isolateHistory.of('full'), silent.of(true)] });
      if (text.includes('\r')) options.onChange?.(view.state.doc.toString());
    },

    setDiagnostics(diagnostics) {
      const judged = view.state.doc;
      const shown = diagnostics.map(({ from, to, severity, message, fix }): LintDiagnostic => ({
        ...span(from, to),
        severity,
        message,
        ...(fix && {
          // The fix was made for the text that was judged, and no other.
          actions: [{ name: fix.label, apply: () => { if (view.state.doc.eq(judged)) edit(fix.edits); } }],
        }),
      }));
      view.dispatch(setDiagnostics(view.state, shown));
    },

    setHighlights: (wanted) => view.dispatch({
      effects: setHighlights.of(wanted.map((highlight) => ({ ...highlight, ...span(highlight.from, highlight.to) }))),
    }),

    scrollTo(from, to = from) {
      const { from: anchor, to: head } = span(from, to);
      view.dispatch({
        selection: { anchor, head },
        effects: EditorView.scrollIntoView(anchor, { y: 'center' }),
      });
    },

    focus: () => view.focus(),
    setDark: (on) => view.dispatch({ effects: darkness.reconfigure(dark(on)) }),
    destroy: () => view.destroy(),
  };
}

/** The change between two texts, their common start and end left alone so that cursor, folds and marks stay. */
function difference(old: Text, wanted: Text): { from: number; to: number; insert: Text } | undefined {
  if (old.eq(wanted)) return undefined;
  const [a, b] = [old.toString(), wanted.toString()];
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a.charCodeAt(start) === b.charCodeAt(start)) start++;
  let end = 0;
  while (end < shorter - start && a.charCodeAt(a.length - 1 - end) === b.charCodeAt(b.length - 1 - end)) end++;
  return { from: start, to: a.length - end, insert: wanted.slice(start, b.length - end) };
}

function reports(options: Options) {
  return EditorView.updateListener.of((update) => {
    if (update.docChanged && !update.transactions.every((one) => !one.docChanged || one.annotation(silent))) {
      options.onChange?.(update.state.doc.toString());
    }
  });
}

/** Files are left for the page to handle: CodeMirror would insert them at the pointer. */
const drops = EditorView.domEventHandlers({ drop: (event) => Boolean(event.dataTransfer?.files.length) });
