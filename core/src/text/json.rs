//! Documents that are JSON, as machines write them: read at a third of the cost of YAML, which JSON
//! is a part of. Whatever is not plainly JSON is left to the YAML reader, and so are all complaints.

use std::collections::HashSet;
use std::ops::Range;

use super::place::Places;
use super::reader::{Counted, DEPTH};
use super::scalar::resolve;
use super::{Entry, Node, Span, Value};

/// YAML takes no longer keys, in characters.
const LONGEST_KEY: usize = 1000;

/// The only document of a stretch of the text, an object; `None` if that is for the YAML reader to
/// say.
pub(super) fn read(places: &mut Places<'_>, text: &str, within: Range<usize>) -> Option<Counted> {
    let text = text.get(..within.end)?;
    let mut reader = Reader { places, text, at: within.start, values: 0 };
    if reader.rest()?.starts_with("---") {
        reader.at += 3;
        reader.take_while(|b| b == b' ');
        reader.take_while(|b| b == b'\r');
        (reader.peek() == Some(b'\n')).then_some(())?;
    }
    reader.blanks();
    (reader.peek() == Some(b'{')).then_some(())?;
    let node = reader.value(1)?;
    reader.blanks();
    (reader.at == text.len()).then_some(Counted { node, values: reader.values })
}

struct Reader<'a, 'b> {
    places: &'b mut Places<'a>,
    text: &'b str,
    at: usize,
    values: usize,
}

impl<'b> Reader<'_, 'b> {
    fn rest(&self) -> Option<&'b str> {
        self.text.get(self.at..)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// Tabs are no blanks everywhere in YAML.
    fn blanks(&mut self) {
        self.take_while(|b| matches!(b, b' ' | b'\n' | b'\r'));
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The place that begins here.
    fn here(&mut self) -> Span {
        self.places.span(self.at..self.at)
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        let span = self.here();
        self.values += 1;
        let value = match self.peek()? {
            _ if depth > DEPTH => return None,
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Value::String(self.string()?),
            _ => self.plain()?,
        };
        Some(Node { span: Span { end: self.at, ..span }, value })
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        self.blanks();
        while !self.takes(b'}') {
            if !entries.is_empty() {
                self.takes(b',').then_some(())?;
                self.blanks();
            }
            let key_span = self.here();
            let key = self.string()?;
            let key_span = Span { end: self.at, ..key_span };
            (key_span.end - key_span.start <= LONGEST_KEY).then_some(())?;
            self.values += 1;
            // A key and its colon are on one line.
            self.take_while(|b| b == b' ');
            self.takes(b':').then_some(())?;
            self.blanks();
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_span, value });
            self.blanks();
        }
        are_unique(&entries).then_some(Value::Map(entries))
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        while !self.takes(b']') {
            if !items.is_empty() {
                self.takes(b',').then_some(())?;
                self.blanks();
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
        }
        Some(Value::List(items))
    }

    /// `null`, `true`, `false`, or a number.
    fn plain(&mut self) -> Option<Value> {
        let start = self.at;
        self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let word = self.text.get(start..self.at)?;
        (matches!(word, "null" | "true" | "false") || is_number(word)).then(|| resolve(word))
    }

    fn string(&mut self) -> Option<String> {
        self.takes(b'"').then_some(())?;
        let mut made = String::new();
        loop {
            let start = self.at;
            self.take_while(|b| b >= b' ' && b != b'"' && b != b'\\');
            let part = self.text.get(start..self.at)?;
            let end = self.peek()?;
            self.at += 1;
            match end {
                b'"' if made.is_empty() => return Some(part.to_owned()),
                b'"' => return Some(made + part),
                b'\\' => {
                    made.push_str(part);
                    made.push(self.escape()?);
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let escape = self.peek()?;
        self.at += 1;
        Some(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
                self.at += 4;
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        })
    }
}

fn are_unique(entries: &[Entry]) -> bool {
    const FEW: usize = 16;
    if entries.len() > FEW {
        let mut keys = HashSet::new();
        return entries.iter().all(|entry| keys.insert(entry.key.as_str()));
    }
    entries.iter().enumerate().all(|(i, a)| entries.iter().skip(i + 1).all(|b| a.key != b.key))
}

/// `-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?`
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::reader;

    fn string() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c]{0,3}",
            "\\PC{0,6}",
            "[ -~]{0,8}",
            prop::sample::select(vec![
                "<<",
                "y",
                "null",
                "~",
                "0x1",
                "a: b",
                "# no",
                "\u{feff}",
                "\u{85}\u{2028}"
            ])
            .prop_map(str::to_owned),
            "[\n\t\"\\\\/]{1,3}",
            "a{1000,1020}",
        ]
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            string().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<u64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(string(), inner, 0..20)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// An object as text, perhaps spoilt somewhere.
    fn text() -> impl Strategy<Value = String> {
        let object = prop::collection::btree_map(string(), value(), 0..5)
            .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()));
        let spoilt = prop::sample::select(vec![
            "{", "}", "[", "]", "\"", ",", ":", "\\", " ", "\n", "\r", "\t", "#", " #", "-", "0",
            "e1", ".5", "1", "y", "'", "&a ", "*a", "!", "\\u00e9", "\\ud800", "\\x41", "\n---\n",
            "\n...\n", "%", "?", "é",
        ]);
        let spoil =
            prop::collection::vec((any::<prop::sample::Index>(), spoilt, any::<bool>()), 0..3);
        let before =
            prop::sample::select(vec!["", "---\n", "--- \r\n", "\n", "  ", "# a\n", "---"]);
        let after =
            prop::sample::select(vec!["", "\n", "\n\n  ", " # b\n", "\n...\n", "\n---\n{}\n", "x"]);
        (object, any::<bool>(), spoil, before, after).prop_map(
            |(object, pretty, spoil, before, after)| {
                let write =
                    if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
                let mut text: Vec<char> = write(&object).unwrap().chars().collect();
                for (at, more, replace) in spoil {
                    let at = at.index(text.len());
                    let end = at + usize::from(replace);
                    text.splice(at..end, more.chars());
                }
                format!("{before}{}{after}", text.into_iter().collect::<String>())
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn json_is_read_as_the_yaml_that_it_is(text in text()) {
            let (documents, problems) = reader::read_as_yaml(&text);
            let mut places = Places::new(&text);
            if let Some(Counted { node, .. }) = read(&mut places, &text, 0..text.len()) {
                prop_assert_eq!(&problems, &[], "{}", text);
                let [document] = documents.as_slice() else {
                    return Err(TestCaseError::fail(format!("{} documents in {text}", documents.len())));
                };
                prop_assert_eq!(&document.node, &node, "{}", text);
            }
        }
    }

    #[test]
    fn what_is_not_plainly_json_is_left_to_the_yaml_reader() {
        let is_read = |text: &str| read(&mut Places::new(text), text, 0..text.len()).is_some();
        for text in [
            "{}",
            "---\n{\"a\": [1, {\"b\": null}],\n \"c\": \"d\\n\"}\n",
            "\n{\"a\" :-0.5e+1\r\n}\n",
        ] {
            assert!(is_read(text), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        let long = format!("{{\"{}\":1}}", "a".repeat(LONGEST_KEY));
        for text in [
            &deep,
            &long,
            "",
            "[1]",
            "--- {}",
            "{}x",
            "{} {}",
            "{} # comment",
            "{\t}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,\"a\":2}",
            "{\"a\"\n:1}",
            "{\"a\"}",
            "{a: 1}",
            "{'a': 1}",
            "{\"a\": b}",
            "{\"a\": 01}",
            "{\"a\": 1.}",
            "{\"a\": +1}",
            "{\"a\": .inf}",
            "{\"a\": \"\\x41\"}",
            "{\"a\": \"\\ud83d\\ude00\"}",
            "{\"a\": \"b\n  c\"}",
            "{\"a\": \"b",
        ] {
            assert!(!is_read(text), "{text}");
        }
    }
}
