//! Calico's selector language: `app == 'web' && tier in {'a', 'b'}`.
//!
//! ```text
//! or      := and ( '||' and )*
//! and     := op ( '&&' op )*
//! op      := '!'* primary
//! primary := all() | global() | has(LABEL) | '(' or ')'
//!          | LABEL ('==' | '!=' | contains | starts with | ends with) STRING
//!          | LABEL (in | not in) '{' [ STRING (',' STRING)* [','] ] '}'
//! ```
//! Blank text is `all()`. Blanks are spaces and tabs only. Strings stand in single or double
//! quotes and know no escapes; labels are letters, digits and `_ . / -`. After a label comes an
//! operator, so `in`, `all` and the like are labels too. Errors are worded as Calico words them
//! (`libcalico-go/lib/selector`), with the place where they stand.

use std::fmt;
use std::str::FromStr;

use super::Selector;

/// What is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    /// Byte offset in the selector.
    pub at: usize,
    /// In Calico's words.
    pub message: String,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, end: text.len(), depth: 0 };
        if parser.tokens.is_empty() {
            return Ok(Self::everything());
        }
        let selector = parser.or()?;
        if parser.tokens.is_empty() {
            return Ok(selector);
        }
        let rest: Vec<_> = parser.tokens.iter().map(|(_, token)| token.to_string()).collect();
        Err(parser
            .error(&format!("unexpected content at end of selector [{} TokEOF()]", rest.join(" "))))
    }
}

impl Selector {
    /// The selector as Calico stores it: sets sorted, everything in parentheses, double quotes
    /// where they can be. Negations that only parentheses kept apart then stand side by side, and
    /// are none when that is read again.
    pub fn canonical(&self) -> String {
        let quoted = |s: &String| {
            if s.contains('"') { format!("'{s}'") } else { format!("\"{s}\"") }
        };
        let set = |values: &[String]| values.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let joined = |parts: &[Self], operator: &str| {
            let parts: Vec<_> = parts.iter().map(Self::canonical).collect();
            format!("({})", parts.join(operator))
        };
        match self {
            Self::All(parts) if parts.is_empty() => "all()".to_owned(),
            Self::Any(parts) if parts.is_empty() => "!all()".to_owned(),
            Self::All(parts) => joined(parts, " && "),
            Self::Any(parts) => joined(parts, " || "),
            Self::Global => "global()".to_owned(),
            Self::Not(part) => format!("!{}", part.canonical()),
            Self::Has(key) => format!("has({key})"),
            Self::Is(key, value) => format!("{key} == {}", quoted(value)),
            Self::IsNot(key, value) => format!("{key} != {}", quoted(value)),
            Self::In(key, values) => format!("{key} in {{{}}}", set(values)),
            Self::NotIn(key, values) => format!("{key} not in {{{}}}", set(values)),
            Self::Contains(key, part) => format!("{key} contains {}", quoted(part)),
            Self::StartsWith(key, part) => format!("{key} starts with {}", quoted(part)),
            Self::EndsWith(key, part) => format!("{key} ends with {}", quoted(part)),
        }
    }
}

/// A word of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Label(String),
    String(String),
    LeftBrace,
    RightBrace,
    Comma,
    Equal,
    NotEqual,
    In,
    Not,
    NotIn,
    Contains,
    StartsWith,
    EndsWith,
    All,
    Has(String),
    LeftParenthesis,
    RightParenthesis,
    And,
    Or,
    Global,
}

/// As Calico's messages write it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Label(value) => ("Label", value.as_str()),
            Self::String(value) => ("StringLiteral", value.as_str()),
            Self::Has(value) => ("Has", value.as_str()),
            Self::LeftBrace => ("LBrace", ""),
            Self::RightBrace => ("RBrace", ""),
            Self::Comma => ("Comma", ""),
            Self::Equal => ("Eq", ""),
            Self::NotEqual => ("Ne", ""),
            Self::In => ("In", ""),
            Self::Not => ("Not", ""),
            Self::NotIn => ("NotIn", ""),
            Self::Contains => ("Contains", ""),
            Self::StartsWith => ("StartsWith", ""),
            Self::EndsWith => ("EndsWith", ""),
            Self::All => ("All", ""),
            Self::LeftParenthesis => ("LParen", ""),
            Self::RightParenthesis => ("RParen", ""),
            Self::And => ("And", ""),
            Self::Or => ("Or", ""),
            Self::Global => ("Global", ""),
        };
        write!(f, "Tok{name}({value})")
    }
}

/// The longest label that Calico takes.
const LONGEST_LABEL: usize = 512;

/// The words that are no letters; of two, the longer one first.
const FIXED: [(&str, Token); 10] = [
    ("(", Token::LeftParenthesis),
    (")", Token::RightParenthesis),
    ("{", Token::LeftBrace),
    ("}", Token::RightBrace),
    (",", Token::Comma),
    ("==", Token::Equal),
    ("!=", Token::NotEqual),
    ("!", Token::Not),
    ("&&", Token::And),
    ("||", Token::Or),
];

/// The words with their places.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SelectorError> {
    let mut tokens: Vec<(usize, Token)> = Vec::new();
    let mut rest = text;
    loop {
        rest = blanks(rest);
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let error = |rest: &str, message: &str| {
            Err(SelectorError { at: text.len() - rest.len(), message: message.to_owned() })
        };
        let after_label = match tokens.last() {
            Some((_, Token::Label(label))) => Some(label.clone()),
            _ => None,
        };
        let fixed = FIXED.iter().find_map(|(word, token)| Some((rest.strip_prefix(word)?, token)));
        let (token, remainder) = if let Some((remainder, token)) = fixed {
            (token.clone(), remainder)
        } else if let '"' | '\'' = first {
            let Some((value, remainder)) = rest.get(1..).and_then(|r| r.split_once(first)) else {
                return error(rest, "unterminated string");
            };
            (Token::String(value.to_owned()), remainder)
        } else if let '=' | '&' | '|' = first {
            return error(rest, &format!("expected {first}{first}"));
        } else if let Some(label) = after_label {
            match operator(rest) {
                Some(found) => found,
                None => return error(rest, &format!("expected operator after label \"{label}\"")),
            }
        } else if let Some(inside) = rest.strip_prefix("has(") {
            let (label, remainder) = match identifier(blanks(inside)) {
                Ok(found) => found,
                Err(message) => return error(inside, &message),
            };
            let Some(remainder) = blanks(remainder).strip_prefix(')') else {
                return error(remainder, "no closing ')' after has(");
            };
            (Token::Has(label.to_owned()), remainder)
        } else if let Some(inside) = rest.strip_prefix("all(") {
            let Some(remainder) = blanks(inside).strip_prefix(')') else {
                return error(inside, "no closing ')' after all(");
            };
            (Token::All, remainder)
        } else if let Some(inside) = rest.strip_prefix("global(") {
            let Some(remainder) = blanks(inside).strip_prefix(')') else {
                return error(inside, "no closing ')' after global(");
            };
            (Token::Global, remainder)
        } else {
            match identifier(rest) {
                Ok((label, remainder)) => (Token::Label(label.to_owned()), remainder),
                Err(message) => return error(rest, &message),
            }
        };
        tokens.push((at, token));
        rest = remainder;
    }
}

/// The operator that `text` starts with, if it is one of the words.
fn operator(text: &str) -> Option<(Token, &str)> {
    let boundary = |rest: &str| !rest.starts_with(is_label_character);
    let words = |first: &str, second: &str| {
        let rest = blanks(blanks(text.strip_prefix(first)?).strip_prefix(second)?);
        boundary(rest).then_some(rest)
    };
    let word = |word: &str| text.strip_prefix(word).filter(|rest| boundary(rest));
    if let Some(rest) = word("contains") {
        Some((Token::Contains, rest))
    } else if let Some(rest) = words("starts", "with") {
        Some((Token::StartsWith, rest))
    } else if let Some(rest) = words("ends", "with") {
        Some((Token::EndsWith, rest))
    } else if let Some(rest) = words("not", "in") {
        Some((Token::NotIn, rest))
    } else {
        word("in").map(|rest| (Token::In, rest))
    }
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn identifier(text: &str) -> Result<(&str, &str), String> {
    let end = text.find(|c| !is_label_character(c)).unwrap_or(text.len());
    let (label, rest) = text.split_at(end);
    match label.len() {
        0 => Err("expected identifier".to_owned()),
        1..=LONGEST_LABEL => Ok((label, rest)),
        _ => Err(format!("label too long: {label}")),
    }
}

fn is_label_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-')
}

/// How deep parentheses may nest. Nobody writes that; it protects the stack.
const DEEPEST: usize = 128;

/// The words that are left.
struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    /// The text's length, where its end is reported.
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, message: &str) -> SelectorError {
        let at = self.tokens.first().map_or(self.end, |(at, _)| *at);
        SelectorError { at, message: message.to_owned() }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.first().map(|(_, token)| token)
    }

    /// The next word as messages name it.
    fn peeked(&self) -> String {
        self.peek().map_or_else(|| "TokEOF()".to_owned(), ToString::to_string)
    }

    fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.skip();
        }
        found
    }

    fn or(&mut self) -> Result<Selector, SelectorError> {
        let first = self.and()?;
        let mut parts = vec![first];
        while self.takes(&Token::Or) {
            parts.push(self.and()?);
        }
        Ok(alone(parts).unwrap_or_else(Selector::Any))
    }

    fn and(&mut self) -> Result<Selector, SelectorError> {
        let first = self.operation()?;
        let mut parts = vec![first];
        while self.takes(&Token::And) {
            parts.push(self.operation()?);
        }
        Ok(alone(parts).unwrap_or_else(Selector::All))
    }

    fn operation(&mut self) -> Result<Selector, SelectorError> {
        let mut negated = false;
        while self.takes(&Token::Not) {
            negated = !negated;
        }
        let part = self.primary()?;
        Ok(if negated { Selector::Not(Box::new(part)) } else { part })
    }

    fn primary(&mut self) -> Result<Selector, SelectorError> {
        match self.peek().cloned() {
            Some(Token::Has(label)) => {
                self.skip();
                Ok(Selector::Has(label))
            }
            Some(Token::All) => {
                self.skip();
                Ok(Selector::everything())
            }
            Some(Token::Global) => {
                self.skip();
                Ok(Selector::Global)
            }
            Some(Token::LeftParenthesis) => {
                if self.depth == DEEPEST {
                    return Err(self.error(&format!(
                        "parentheses are nested more than {DEEPEST} deep, which Hopwise does not read: write it flatter"
                    )));
                }
                self.depth += 1;
                self.skip();
                let inside = self.or()?;
                if !self.takes(&Token::RightParenthesis) {
                    return Err(self.error("expected )"));
                }
                self.depth -= 1;
                Ok(inside)
            }
            Some(Token::Label(label)) => {
                self.skip();
                self.comparison(label)
            }
            _ => Err(self.error(&format!("unexpected token: {}", self.peeked()))),
        }
    }

    fn comparison(&mut self, label: String) -> Result<Selector, SelectorError> {
        let Some(operator) = self.peek().cloned() else {
            return Err(self.error("unexpected end of string looking for op"));
        };
        let make: fn(String, String) -> Selector = match operator {
            Token::Equal => Selector::Is,
            Token::NotEqual => Selector::IsNot,
            Token::Contains => Selector::Contains,
            Token::StartsWith => Selector::StartsWith,
            Token::EndsWith => Selector::EndsWith,
            Token::In => {
                self.skip();
                return Ok(Selector::In(label, self.set()?));
            }
            Token::NotIn => {
                self.skip();
                return Ok(Selector::NotIn(label, self.set()?));
            }
            // Calico looks for the operator's value before it looks at the operator.
            other => return Err(self.error(&format!("expected == or != not: {other}"))),
        };
        self.skip();
        match self.peek().cloned() {
            Some(Token::String(value)) => {
                self.skip();
                Ok(make(label, value))
            }
            _ => Err(self.error("expected string")),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        if !self.takes(&Token::LeftBrace) {
            return Err(self.error("expected set literal"));
        }
        let mut values = Vec::new();
        while let Some(Token::String(value)) = self.peek().cloned() {
            self.skip();
            values.push(value);
            if !self.takes(&Token::Comma) {
                break;
            }
        }
        if !self.takes(&Token::RightBrace) {
            return Err(self.error("expected }"));
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

/// The only part, or all of them back.
fn alone(mut parts: Vec<Selector>) -> Result<Selector, Vec<Selector>> {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => Ok(part),
        (_, Some(last)) => {
            parts.push(last);
            Err(parts)
        }
        (_, None) => Err(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Labels;
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Selector>().map_or_else(|e| format!("{}: {}", e.at, e), |s| s.canonical())
    }

    #[test]
    fn selectors_are_stored_in_one_form() {
        for (text, form) in [
            ("", "all()"),
            (" \t", "all()"),
            ("! ! a == 'b'", "a == \"b\""),
            ("a=='b'&&c!=\"d\"||has( e )", "((a == \"b\" && c != \"d\") || has(e))"),
            ("a in {'y', 'x', 'y',}", "a in {\"x\", \"y\"}"),
            ("a not  in {}", "a not in {}"),
            ("in == 'b'", "in == \"b\""),
            ("a starts  with '\"'", "a starts with '\"'"),
            ("!(global())", "!global()"),
            ("!(!(a == 'x' || has(b)))", "!!(a == \"x\" || has(b))"),
        ] {
            assert_eq!(canonical(text), form, "{text}");
        }
    }

    #[test]
    fn errors_stand_where_they_are() {
        for (text, error) in [
            ("a = 'b'", "2: expected =="),
            ("a == b", "5: expected string"),
            ("a == 'b' and c == 'd'", "13: expected operator after label \"and\""),
            ("a == 'b", "5: unterminated string"),
            ("a", "1: unexpected end of string looking for op"),
            ("a == 'b' &&", "11: unexpected token: TokEOF()"),
            ("a\n== 'b'", "1: expected operator after label \"a\""),
            ("ä == 'b'", "0: expected identifier"),
            ("(a == 'b'", "9: expected )"),
        ] {
            assert_eq!(canonical(text), error, "{text}");
        }
    }

    #[test]
    fn labels_that_are_missing() {
        let none = Labels::new();
        for (text, matches) in [
            ("a == ''", false),
            ("a in {''}", false),
            ("a contains ''", false),
            ("a starts with ''", false),
            ("has(a)", false),
            ("a != ''", true),
            ("a not in {''}", true),
            ("!has(a)", true),
            ("!(a == '')", true),
            ("global()", true),
        ] {
            assert_eq!(text.parse::<Selector>().map(|s| s.matches(&none)), Ok(matches), "{text}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |n: usize| format!("{}all(){}", "(".repeat(n), ")".repeat(n));
        assert_eq!(canonical(&deep(DEEPEST)), "all()");
        assert!(canonical(&deep(DEEPEST + 1)).contains("nested more than 128 deep"));
        assert!(canonical(&"(".repeat(100_000)).contains("nested more than 128 deep"));
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "\\PC{0,40}") {
            let _ = canonical(&text);
        }

        #[test]
        fn words_in_any_order_are_read(
            text in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "b", "==", "!=", "'x'", "\"y\"", "&&", "||", "!", "(", ")", "has(a)",
                    "all()", "in", "not in", "{", "}", ",", "contains", "starts with", "ends with",
                ]),
                0..12,
            )
        ) {
            let _ = canonical(&text.join(" "));
        }

        #[test]
        fn the_stored_form_selects_the_same(
            text in written(),
            labels in proptest::collection::btree_map("[ab]", "[xy]", 0..3),
        ) {
            let selector: Selector = text.parse().unwrap();
            let form = selector.canonical();
            let stored: Selector = form.parse().unwrap();
            let labels: Labels = labels.into_iter().collect();
            prop_assert_eq!(stored.matches(&labels), selector.matches(&labels));
            prop_assert_eq!(stored.canonical(), form.replace("!!", ""));
            prop_assert_eq!(canonical(&stored.canonical()), stored.canonical());
        }
    }

    /// Selectors as people could write them.
    fn written() -> impl Strategy<Value = String> {
        let one = proptest::sample::select(vec![
            "a == 'x'",
            "b!=\"y\"",
            "has(a)",
            "a in {'y', 'x'}",
            "b not in {'x',}",
            "a contains 'x'",
            "a starts with 'y'",
            "b ends with 'x'",
            "all()",
            "global()",
        ]);
        one.prop_map(str::to_owned).prop_recursive(6, 24, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| format!("!({one})")),
                inner.clone().prop_map(|one| format!("! !({one})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("{a} || {b}")),
            ]
        })
    }
}
