//! Where a character of a scalar's value stands in the text: quotes, escapes, indentation and
//! folded lines lie between the two.

use super::Span;
use super::place;

/// From the character at byte `at` of `value`, which the scalar at `scalar` was read as, to the
/// scalar's last character. The whole scalar where the two do not fit, as behind an alias.
pub(crate) fn inside(text: &str, scalar: Span, value: &str, at: usize) -> Span {
    let source = scalar.of(text);
    let (style, body) = Style::of(source);
    let Some(start) = find(source, style, body.start, value, at) else { return scalar };
    let end = body.end.max(start);
    place::behind(text, scalar, scalar.start + start..scalar.start + end)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Plain, or a block.
    Open,
    Single,
    Double,
}

impl Style {
    /// The style, and what of the scalar holds its value.
    fn of(source: &str) -> (Self, std::ops::Range<usize>) {
        let quoted = |style, quote: char| {
            let closed = source.len() > 1 && source.ends_with(quote);
            (style, 1..source.len() - usize::from(closed))
        };
        match source.chars().next() {
            Some('"') => quoted(Self::Double, '"'),
            Some('\'') => quoted(Self::Single, '\''),
            Some('|' | '>') => {
                let header = source.find('\n').map_or(source.len(), |end| end + 1);
                (Self::Open, header..source.len())
            }
            _ => (Self::Open, 0..source.len()),
        }
    }
}

/// The byte of `source` that stands for the byte `at` of `value`: both are walked together.
fn find(source: &str, style: Style, from: usize, value: &str, at: usize) -> Option<usize> {
    let mut here = from;
    for (byte, wanted) in value.char_indices() {
        let (start, end) = unit(source, style, here, wanted)?;
        if byte >= at {
            return Some(start);
        }
        here = end;
    }
    Some(here)
}

/// Where the next character of the value is written, which is `wanted`.
fn unit(source: &str, style: Style, from: usize, wanted: char) -> Option<(usize, usize)> {
    let mut here = from;
    loop {
        let rest = source.get(here..)?;
        let Some(next) = rest.chars().next() else {
            // The line's end that closes a block.
            return wanted.is_whitespace().then_some((here, here));
        };
        let after = here + next.len_utf8();
        match (style, next) {
            (Style::Double, '\\') => {
                let escaped = source.get(after..)?.chars().next()?;
                let length = match escaped {
                    // A line that goes on: neither its end nor the indentation is of the value.
                    '\n' | '\r' => {
                        let gone = source.get(after..)?;
                        here = after + (gone.len() - gone.trim_start().len());
                        continue;
                    }
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                return Some((here, after + escaped.len_utf8() + length));
            }
            (Style::Single, '\'') if wanted == '\'' => return Some((here, after + 1)),
            _ if next == wanted => return Some((here, after)),
            // Folded lines.
            _ if next.is_whitespace() && wanted.is_whitespace() => {
                return Some((here, here + (rest.len() - rest.trim_start().len())));
            }
            // Indentation.
            _ if next.is_whitespace() => here = after,
            _ => return wanted.is_whitespace().then_some((here, here)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Node, read};

    /// What stands from the first `!` of the value of `a` on, and its line and column.
    fn found(text: &str) -> (&str, u32, u32) {
        let document = read(text).0.remove(0);
        let node = document.node.get("a").unwrap();
        let value = node.as_str().unwrap();
        let span = inside(text, node.span, value, value.find('!').unwrap_or(value.len()));
        (span.of(text), span.line, span.column)
    }

    #[test]
    fn every_style_is_seen_through() {
        for (text, expected) in [
            ("a: b !c # d\n", ("!c", 1, 6)),
            ("a: 'b ''x'' !c'\n", ("!c", 1, 13)),
            ("a: \"b \\\"x\\\" \\u0041\\x42 !c\"\n", ("!c", 1, 24)),
            ("a: \"b\\\n    c !d\"\n", ("!d", 2, 7)),
            ("a: b\n  c\n  !d\n", ("!d", 3, 3)),
            ("a: 'b\n\n  !d'\n", ("!d", 3, 3)),
            ("a: |\n  b\n  c !d\n", ("!d", 3, 5)),
            ("a: |\n  b\n    c !d\n\n", ("!d", 3, 7)),
            ("a: >-\n  b\n  c\n\n  !d\n", ("!d", 5, 3)),
            ("x: 1\na: ä !c\n", ("!c", 2, 6)),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn the_end_of_the_value_is_behind_its_last_character() {
        assert_eq!(found("a: bcd\n"), ("", 1, 7));
        assert_eq!(found("a: 'bcd' # e\n"), ("", 1, 8));
    }

    #[test]
    fn what_stands_behind_an_alias_is_underlined_as_a_whole() {
        let text = "x: &b 'c !d'\na: *b\n";
        assert_eq!(found(text), ("*b", 2, 4));
    }

    #[test]
    fn every_character_is_found_where_it_stands() {
        let value = "a == 'x' && b in {\"y\", 'z'} || !has(c/d.e_f-g)\t&& ü != '\u{e9}'";
        for style in 0..3 {
            let text = match style {
                0 => format!("a: '{}'\n", value.replace('\'', "''")),
                1 => format!("a: \"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\"")),
                _ => format!("a: |-\n  {value}\n"),
            };
            let node: Node = read(&text).0.remove(0).node;
            let node = node.get("a").unwrap();
            assert_eq!(node.as_str(), Some(value), "{text}");
            for (at, character) in value.char_indices() {
                let span = inside(&text, node.span, value, at);
                let there = span.of(&text).trim_start_matches('\\');
                assert!(there.starts_with(character), "{character} at {at} of {text}: {there}");
            }
        }
    }
}
