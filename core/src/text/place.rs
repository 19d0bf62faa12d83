//! Byte offsets, characters, lines and columns of a text, converted without reading it again.

use std::ops::Range;

use super::Span;

/// A text with places to count from.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    text: &'a str,
    /// The first place of each line, more in long lines, and the text's end.
    known: Vec<Place>,
    /// The position in `known` of the place that was counted from last: the next is seldom far.
    last: usize,
}

/// No place is farther than twice this from a known one before it, in bytes.
const STRETCH: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Place {
    byte: usize,
    chars: usize,
    line: u32,
    column: u32,
}

impl Place {
    /// Moves past characters of one byte each that end no line.
    fn run(&mut self, count: usize) {
        self.byte += count;
        self.chars += count;
        self.column += u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// Moves past `c`, before `next`.
    fn pass(&mut self, c: char, next: Option<char>) {
        self.byte += c.len_utf8();
        self.chars += 1;
        if c == '\n' || (c == '\r' && next != Some('\n')) {
            self.line += 1;
            self.column = 1;
        } else if c != '\u{feff}' {
            self.column += 1;
        }
    }
}

/// A stretch of bytes that begins at a known place or not far behind it.
pub(super) fn behind(text: &str, known: Span, range: Range<usize>) -> Span {
    let mut here = Place { byte: known.start, chars: 0, line: known.line, column: known.column };
    let mut chars = text.get(known.start..).unwrap_or_default().chars().peekable();
    while let Some(c) = chars.next().filter(|_| here.byte < range.start) {
        here.pass(c, chars.peek().copied());
    }
    let Place { byte, line, column, .. } = here;
    Span { start: byte, end: range.end.max(byte), line, column }
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut here = Place { byte: 0, chars: 0, line: 1, column: 1 };
        let mut known = vec![here];
        let mut from = 0;
        while let Some(rest) = text.get(here.byte..).filter(|rest| !rest.is_empty()) {
            let plain = |b: &u8| matches!(b, b' '..=b'~');
            let run = rest.bytes().take(STRETCH).take_while(plain).count();
            here.run(run);
            if run < STRETCH {
                let mut chars = rest.get(run..).unwrap_or_default().chars();
                if let Some(c) = chars.next() {
                    here.pass(c, chars.next());
                }
            }
            if here.column == 1 || here.byte - from >= STRETCH {
                known.push(here);
                from = here.byte;
            }
        }
        known.push(here);
        Self { text, known, last: 0 }
    }

    /// How many characters stand before a byte.
    pub(super) fn chars(&mut self, byte: usize) -> usize {
        self.seek(|place| place.byte, byte).chars
    }

    /// The byte offset of a character.
    pub(super) fn byte(&mut self, chars: usize) -> usize {
        self.seek(|place| place.chars, chars).byte
    }

    /// A stretch of bytes with its line and column.
    pub(super) fn span(&mut self, range: Range<usize>) -> Span {
        let Place { byte, line, column, .. } = self.seek(|place| place.byte, range.start);
        Span { start: byte, end: range.end.max(byte), line, column }
    }

    /// The first place of which `measure` is not less than `to`, or the text's end.
    fn seek(&mut self, measure: impl Fn(&Place) -> usize, to: usize) -> Place {
        let near = |at: usize| {
            let next = self.known.get(at + 1);
            self.known.get(at).is_some_and(|place| measure(place) <= to)
                && next.is_none_or(|next| to < measure(next))
        };
        self.last = match self.last {
            last if near(last) => last,
            last if near(last + 1) => last + 1,
            _ => self.known.partition_point(|place| measure(place) <= to).saturating_sub(1),
        };
        let Some(mut here) = self.known.get(self.last).copied() else {
            return Place { byte: 0, chars: 0, line: 1, column: 1 };
        };
        let next = self.known.get(self.last + 1).copied().unwrap_or(here);
        let left = to.saturating_sub(measure(&here));
        if next.byte - here.byte == next.chars - here.chars {
            // Characters of one byte each, and no line ends before the last of them does.
            here.run(left.min(next.byte - here.byte));
            return here;
        }
        let mut chars = self.text.get(here.byte..).unwrap_or_default().chars().peekable();
        while measure(&here) < to {
            let Some(c) = chars.next() else { break };
            here.pass(c, chars.peek().copied());
        }
        here
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn every_place_is_found_from_every_other(
            text in "(([a-c]{0,90}|é|\u{feff}|\u{1f980}|[ab]{60}é)(\n|\r|\r\n)?){0,6}",
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let mut all = vec![Place { byte: 0, chars: 0, line: 1, column: 1 }];
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let mut place = all[all.len() - 1];
                place.pass(c, chars.peek().copied());
                all.push(place);
            }
            let mut places = Places::new(&text);
            for index in order {
                let Place { byte, chars, line, column } = all[index.index(all.len())];
                prop_assert_eq!(places.byte(chars), byte);
                prop_assert_eq!(places.chars(byte), chars);
                prop_assert_eq!(places.span(byte..byte), Span { start: byte, end: byte, line, column });
                prop_assert_eq!(places.byte(chars + text.len() + 1), text.len());
            }
        }
    }
}
