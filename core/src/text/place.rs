//! Byte offsets, characters, lines and columns of a text, converted in one pass.

use std::ops::Range;

use super::Span;

/// A position that is moved along the text; near moves are cheap.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    text: &'a str,
    here: Place,
    /// Where the last move began.
    mark: Place,
    /// The first place of each line that was passed.
    lines: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    byte: usize,
    /// Characters from where counting began.
    chars: usize,
    line: u32,
    column: u32,
}

impl<'a> Places<'a> {
    /// At the text's first byte.
    pub(super) fn new(text: &'a str) -> Self {
        Self::starting(text, Span { line: 1, column: 1, ..Span::default() })
    }

    /// At a known place, from which characters are counted.
    pub(super) fn starting(text: &'a str, at: Span) -> Self {
        let here = Place { byte: at.start, chars: 0, line: at.line, column: at.column };
        Self { text, here, mark: here, lines: vec![here] }
    }

    /// The byte offset of a character.
    pub(super) fn byte(&mut self, chars: usize) -> usize {
        self.seek(|place| place.chars, chars);
        self.here.byte
    }

    /// A stretch of bytes with its line and column.
    pub(super) fn span(&mut self, range: Range<usize>) -> Span {
        self.seek(|place| place.byte, range.start);
        let Place { byte, line, column, .. } = self.here;
        Span { start: byte, end: range.end.max(byte), line, column }
    }

    fn seek(&mut self, measure: impl Fn(Place) -> usize, to: usize) {
        if measure(self.here) <= to {
            self.mark = self.here;
        } else if measure(self.mark) <= to {
            self.here = self.mark;
        } else {
            let line = self.lines.partition_point(|place| measure(*place) <= to);
            if let Some(place) = self.lines.get(line.saturating_sub(1)) {
                self.here = *place;
            }
        }
        let rest = self.text.get(self.here.byte..).unwrap_or_default();
        let mut chars = rest.chars().peekable();
        while measure(self.here) < to {
            let Some(c) = chars.next() else { break };
            self.here.byte += c.len_utf8();
            self.here.chars += 1;
            if c == '\n' || (c == '\r' && chars.peek() != Some(&'\n')) {
                self.here.line += 1;
                self.here.column = 1;
                if self.lines.last().is_none_or(|last| last.byte < self.here.byte) {
                    self.lines.push(self.here);
                }
            } else if c != '\u{feff}' {
                self.here.column += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_whatever_ends_a_line() {
        let text = "\u{feff}a\r\né: b\rc\n";
        let mut places = Places::new(text);
        let mut at = |pattern: &str| {
            let start = text.find(pattern).unwrap();
            let span = places.span(start..start + 1);
            (span.line, span.column)
        };
        assert_eq!(at("c"), (3, 1));
        assert_eq!(at("b"), (2, 4));
        assert_eq!(at("a"), (1, 1));
        let mut places = Places::new(text);
        assert_eq!(places.byte(5), text.find(':').unwrap());
        assert_eq!(places.byte(4), text.find('é').unwrap());
    }
}
