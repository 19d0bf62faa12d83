//! What a text has to look like where it is written, so that whatever a name holds stays a name: one
//! function for each reader. Names that Kubernetes takes come out as they are.

use std::fmt::Write as _;

/// For a line of a terminal or a log, which the text does not leave: characters that steer a
/// terminal or change what is seen become visible, and nothing is a command of a CI service, which
/// are `::error::` at a line's beginning and `##[error]` anywhere.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if is_command(text.trim_start()) {
        out.push('\\');
    }
    let mut hash = false;
    for (at, c) in text.char_indices() {
        if hash && c == '#' {
            let rest = text.get(at + 1..).unwrap_or_default();
            let behind = rest.trim_start_matches(|c: char| c.is_alphanumeric());
            out.push_str(if behind.starts_with('[') { "\\" } else { "" });
        }
        hash = c == '#';
        out.push(visible(c));
    }
    out
}

/// For JSON that stands in a log: the same value, written without the characters that [`line()`]
/// takes out.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hash = false;
    for c in text.chars() {
        // They can only stand in strings.
        if visible(c) != c || (hash && c == '#') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
        hash = c == '#';
    }
    out
}

/// For a field of CSV: no spreadsheet takes it for a formula, or for more than one field.
pub fn csv(text: &str) -> String {
    let mut out = line(text);
    if out.starts_with(['=', '+', '-', '@', '\t']) {
        out.insert(0, '\'');
    }
    if out.contains([',', ';', '\t', '"']) {
        format!("\"{}\"", out.replace('"', "\"\""))
    } else {
        out
    }
}

/// For Markdown's running text. A word that GitHub would make a link, a mention or a formula of
/// stands in code. In a table, what it makes belongs into a [`cell`].
pub fn markdown(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let (word, blank) = word.split_at(word.trim_end().len());
        if word.contains(['@', '#', '$']) || word.contains("://") || word.contains("www.") {
            out.push_str(&code(word));
        } else {
            for c in word.chars() {
                if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        out.push_str(blank);
    }
    // What would begin a list, or make a heading of the line before.
    let digits = out.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = out.chars().skip(digits);
    let begins = match rest.next() {
        Some('-' | '+' | '=') => digits == 0,
        Some('.' | ')') => digits > 0 && rest.next().is_none_or(char::is_whitespace),
        _ => false,
    };
    if begins {
        out.insert(digits, '\\');
    }
    out
}

/// For Markdown, as code.
pub fn code(text: &str) -> String {
    // In a table `\|` is a bar wherever it stands, and a backslash before it can't be written.
    let text = line(text).replace("\\|", "\\ |");
    if text.is_empty() {
        return text;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let blank = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// For a cell of a Markdown table, what is Markdown already.
pub fn cell(markdown: &str) -> String {
    markdown.replace('|', "\\|")
}

/// For a text in a Mermaid diagram.
pub fn mermaid(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len());
    // Mermaid looks for its own words also within texts.
    let own =
        |rest: &str| ["style", "classDef", "wrap:", "nowrap:"].iter().any(|w| rest.starts_with(w));
    for (at, c) in text.char_indices() {
        match c {
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '"' | '#' | '$' | '%' | '&' | ';' | '@' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if text.get(at..).is_some_and(own) => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// For XML, in an element or between double quotes: what XML has no way to write is replaced.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The character, or in its place one that can be seen and does nothing: it takes one column, so
/// that what stands in columns stays there.
fn visible(c: char) -> char {
    match u32::from(c) {
        0x09 => c,
        // The pictures of the control characters, in their order.
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        // C1; soft hyphen; what has no width, turns the direction, or ends a line; tags; and what
        // is no character.
        0x80..0xa0
        | 0xad
        | 0x61c
        | 0x180e
        | 0x200b..=0x200f
        | 0x2028..=0x202e
        | 0x2060..=0x206f
        | 0xfeff
        | 0xfff9..=0xfffb
        | 0xe_0000..=0xe_0fff => char::REPLACEMENT_CHARACTER,
        code if code & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        code if (0xfdd0..=0xfdef).contains(&code) => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// Whether it begins as GitHub's `::error::`, and not as an IPv6 address.
fn is_command(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("::") else { return false };
    let word = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == ':' || c == '.');
    word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests;
