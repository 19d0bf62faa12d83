// How the editor looks. Every colour is a custom property of the page, so one file decides both themes; the fallbacks keep
// the module usable alone.

import { HighlightStyle } from '@codemirror/language';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const text = 'var(--text, #171a1f)';
const quiet = 'var(--text-quiet, #565e6b)';
const surface = 'var(--surface, #f6f7f9)';
const raised = 'var(--raised, #ffffff)';
const line = 'var(--line, #d8dbe1)';
const accent = 'var(--accent, #2459c4)';
const onAccent = 'var(--on-accent, #ffffff)';
const mark = 'var(--mark, #fff3d1)';
const bad = 'var(--bad, #bf2020)';
const warn = 'var(--warn, #8f5200)';
const mono = 'var(--font-mono, ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace)';
const tint = (colour: string, percent: number) => `color-mix(in srgb, ${colour} ${percent}%, transparent)`;

const underlined = (colour: string) => ({
  backgroundImage: 'none',
  textDecoration: `underline wavy ${colour} 1px`,
  textDecorationSkipInk: 'none',
  textUnderlineOffset: '3px',
});

export const look = EditorView.theme({
  '&': { height: '100%', color: text, backgroundColor: surface, fontSize: 'var(--font-size-code, 13px)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: mono, lineHeight: '1.5', fontVariantNumeric: 'tabular-nums' },
  '.cm-content': { caretColor: text, padding: '8px 0' },
  '.cm-cursor, .cm-dropCursor': { borderLeftColor: text },
  '&.cm-focused .cm-content': { outline: 'none' },
  '&.cm-focused .cm-scroller': { boxShadow: `inset 0 0 0 2px ${accent}` },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    background: tint(accent, 24),
  },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: tint(text, 4) },
  '.cm-selectionMatch': { backgroundColor: tint(accent, 14) },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: tint(accent, 24) },
  '&.cm-focused .cm-nonmatchingBracket': { backgroundColor: tint(bad, 24) },
  '.cm-searchMatch': { backgroundColor: tint(warn, 30) },
  '.cm-searchMatch-selected': { backgroundColor: tint(warn, 60) },
  '.cm-specialChar': { color: bad },
  '.cm-gutters': { color: quiet, backgroundColor: surface, border: 'none' },
  '.cm-lineNumbers .cm-gutterElement': { minWidth: '2.5em', padding: '0 4px' },
  '.cm-foldGutter .cm-gutterElement': { cursor: 'pointer', padding: '0 4px' },
  '.cm-foldPlaceholder': { color: quiet, backgroundColor: tint(text, 8), border: 'none', padding: '0 6px' },

  '.hw-signs': { width: '1.2em', fontWeight: '700' },
  '.hw-signs .cm-gutterElement': { textAlign: 'center', cursor: 'default' },
  '.hw-sign-decided': { color: warn },
  '.hw-sign-denied': { color: bad },
  '.hw-bar-decided': { boxShadow: `inset 3px 0 ${warn}` },
  '.hw-bar-denied': { boxShadow: `inset 3px 0 ${bad}` },
  '.hw-line-decided, .hw-line-denied': { backgroundColor: mark },
  '.hw-span-decided, .hw-span-denied': { fontWeight: '700' },

  '.cm-lintRange-error': underlined(bad),
  '.cm-lintRange-warning': underlined(warn),
  '.cm-lintRange-info, .cm-lintRange-hint': underlined(accent),
  '.cm-lintRange-active': { backgroundColor: tint(warn, 16) },
  '.cm-gutter-lint': { width: '1em' },
  '.cm-gutter-lint .cm-gutterElement': { padding: '0 1px' },
  '.cm-lint-marker': { content: 'normal', width: 'auto', height: 'auto', textAlign: 'center' },
  '.cm-lint-marker-error': { content: 'normal', color: bad, '&:before': { content: '"●"' } },
  '.cm-lint-marker-warning': { content: 'normal', color: warn, '&:before': { content: '"▲"' } },
  '.cm-lint-marker-info, .cm-lint-marker-hint': { content: 'normal', color: accent, '&:before': { content: '"■"' } },
  '.cm-diagnostic': { padding: '6px 10px', borderLeft: 'none', maxWidth: '60ch', whiteSpace: 'pre-wrap' },
  '.cm-diagnostic-error': { boxShadow: `inset 3px 0 ${bad}` },
  '.cm-diagnostic-warning': { boxShadow: `inset 3px 0 ${warn}` },
  '.cm-diagnostic-info, .cm-diagnostic-hint': { boxShadow: `inset 3px 0 ${accent}` },
  '.cm-diagnosticAction': {
    font: 'inherit', color: onAccent, backgroundColor: accent, borderRadius: '4px', padding: '2px 8px', marginLeft: '8px',
  },

  '.cm-tooltip': {
    color: text, backgroundColor: raised, border: `1px solid ${line}`, borderRadius: '6px', overflow: 'hidden',
    boxShadow: `0 4px 16px ${tint('#000', 16)}`,
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: mono, maxHeight: '16em' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { color: onAccent, backgroundColor: accent },
  '.cm-panels': { color: text, backgroundColor: raised },
  '.cm-panels-top': { borderBottom: `1px solid ${line}` },
  '.cm-panels-bottom': { borderTop: `1px solid ${line}` },
  '.cm-textfield': { color: text, backgroundColor: surface, border: `1px solid ${line}`, borderRadius: '4px' },
  '.cm-button': {
    color: text, backgroundImage: 'none', backgroundColor: surface, border: `1px solid ${line}`, borderRadius: '4px',
    '&:active': { backgroundImage: 'none', backgroundColor: line },
  },
  '.cm-panel button[name=close]': { color: text },
});

/** Keys stand out; everything else is close to plain text, for the values are what is read. */
export const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: 'var(--code-key, #2b63c9)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string, #1a6b4f)' },
  { tag: [tags.comment, tags.lineComment], color: quiet, fontStyle: 'italic' },
  { tag: [tags.keyword, tags.meta, tags.documentMeta, tags.typeName, tags.labelName], color: quiet },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: quiet },
  { tag: tags.invalid, color: bad },
]);
