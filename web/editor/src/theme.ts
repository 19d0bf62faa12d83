// How the editor looks. Every colour is a custom property of the page, so one file decides both themes; the fallbacks keep
// the module usable alone.

import { HighlightStyle } from '@codemirror/language';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const text = 'var(--text, #16181d)';
const muted = 'var(--text-muted, #5b6270)';
const surface = 'var(--surface, #ffffff)';
const raised = 'var(--surface-raised, #f5f6f8)';
const border = 'var(--border, #d5d8df)';
const accent = 'var(--accent, #2b63c9)';
const bad = 'var(--bad, #c02626)';
const warn = 'var(--warn, #a15c00)';
const mono = 'var(--font-mono, ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace)';
const tint = (colour: string, percent: number) => `color-mix(in srgb, ${colour} ${percent}%, transparent)`;

const underlined = (colour: string) => ({
  backgroundImage: 'none',
  textDecoration: `underline wavy ${colour} 1px`,
  textDecorationSkipInk: 'none',
  textUnderlineOffset: '3px',
});

export const look = EditorView.theme({
  '&': { height: '100%', color: text, backgroundColor: raised, fontSize: 'var(--font-size-code, 13px)' },
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
  '.cm-gutters': { color: muted, backgroundColor: raised, border: 'none' },
  '.cm-lineNumbers .cm-gutterElement': { minWidth: '2.5em', padding: '0 4px' },
  '.cm-foldGutter .cm-gutterElement': { cursor: 'pointer', padding: '0 4px' },
  '.cm-foldPlaceholder': { color: muted, backgroundColor: tint(text, 8), border: 'none', padding: '0 6px' },

  '.hw-signs': { width: '1.2em', fontWeight: '700' },
  '.hw-signs .cm-gutterElement': { textAlign: 'center', cursor: 'default' },
  '.hw-sign-decided': { color: accent },
  '.hw-sign-denied': { color: bad },
  '.hw-sign-finding': { color: warn },
  '.hw-line-decided': { backgroundColor: tint(accent, 10), boxShadow: `inset 3px 0 ${accent}` },
  '.hw-line-denied': { backgroundColor: tint(bad, 10), boxShadow: `inset 3px 0 ${bad}` },
  '.hw-line-finding': { backgroundColor: tint(warn, 10), boxShadow: `inset 3px 0 ${warn}` },
  '.hw-span-decided': { backgroundColor: tint(accent, 16) },
  '.hw-span-denied': { backgroundColor: tint(bad, 16) },
  '.hw-span-finding': { backgroundColor: tint(warn, 16) },

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
    font: 'inherit', color: surface, backgroundColor: accent, borderRadius: '4px', padding: '2px 8px', marginLeft: '8px',
  },

  '.cm-tooltip': {
    color: text, backgroundColor: surface, border: `1px solid ${border}`, borderRadius: '6px', overflow: 'hidden',
    boxShadow: `0 4px 16px ${tint('#000', 16)}`,
  },
  '.hw-hover': { padding: '6px 10px', maxWidth: '60ch', whiteSpace: 'pre-wrap' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: mono, maxHeight: '16em' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { color: surface, backgroundColor: accent },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.75' },
  '.cm-panels': { color: text, backgroundColor: surface },
  '.cm-panels-top': { borderBottom: `1px solid ${border}` },
  '.cm-panels-bottom': { borderTop: `1px solid ${border}` },
  '.cm-textfield': { color: text, backgroundColor: raised, border: `1px solid ${border}`, borderRadius: '4px' },
  '.cm-button': {
    color: text, backgroundImage: 'none', backgroundColor: raised, border: `1px solid ${border}`, borderRadius: '4px',
    '&:active': { backgroundImage: 'none', backgroundColor: border },
  },
  '.cm-panel button[name=close]': { color: text },
});

/** Keys stand out; everything else is close to plain text, for the values are what is read. */
export const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: 'var(--code-key, #2b63c9)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string, #1a6b4f)' },
  { tag: [tags.comment, tags.lineComment], color: muted, fontStyle: 'italic' },
  { tag: [tags.keyword, tags.meta, tags.documentMeta, tags.typeName, tags.labelName], color: muted },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: muted },
  { tag: tags.invalid, color: bad },
]);
