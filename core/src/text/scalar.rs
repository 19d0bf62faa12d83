//! What a plain scalar means, as Kubernetes' YAML reader (sigs.k8s.io/yaml, goyaml.v2
//! `resolve.go`) has it: YAML 1.1 booleans, integers by Go's base 0, timestamps as strings.

use super::Value;

/// The value of a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

/// The value of a scalar with a tag of YAML's core schema, by the tag's last word. `None` if the
/// text cannot be read as that.
pub(super) fn resolve_tagged(tag: &str, text: &str) -> Option<Value> {
    match (tag, resolve(text)) {
        ("int", value @ Value::Int(_))
        | ("float", value @ Value::Float(_))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => Some(value),
        #[expect(clippy::cast_precision_loss, reason = "what a float of this number is")]
        ("float", Value::Int(number)) => Some(Value::Float(number as f64)),
        ("int" | "float" | "bool" | "null", _) => None,
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Whether a plain scalar of this text reads as this very string, wherever it stands.
pub(super) fn is_plain_string(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let starts = first.is_alphanumeric()
        || matches!(first, '_' | '/' | '.' | '(' | '+' | '<' | '=' | '$' | '^' | ';')
        || (matches!(first, '-') && chars.next().is_some_and(char::is_alphanumeric));
    let inside = text.chars().all(|c| {
        c.is_alphanumeric()
            || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':' | '@' | '>' | '<' | '=')
            || matches!(
                c,
                '(' | ')' | '+' | '*' | '\'' | ';' | '$' | '%' | '^' | '~' | '!' | '|' | '&'
            )
    });
    starts
        && inside
        && text != "<<"
        && !text.ends_with([' ', ':'])
        // the parser stumbles over `[a -]`
        && !text.ends_with(" -")
        && !text.contains(": ")
        && !text.starts_with("...")
        && !text.chars().any(|c| matches!(c, '\u{85}' | '\u{a0}' | '\u{2028}' | '\u{2029}'))
        && matches!(resolve(text), Value::String(_))
}

/// A number as Go's `encoding/json` writes it.
pub(crate) fn json_number(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        }
    } else {
        number.to_string()
    }
}

fn number(text: &str) -> Option<Value> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return float(text);
    }
    if !first.is_ascii_digit() && !matches!(first, b'+' | b'-') {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).map(Value::Int).or_else(|| float(&plain))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, without underscores.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some(_) if digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // from_str_radix would take a second sign
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = i128::from_str_radix(digits, base).ok()?;
    i64::try_from(if negative { -size } else { size }).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the whole of YAML's floats.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let shaped = digits(whole)
        && fraction.is_none_or(digits)
        && (!whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty()))
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        });
    let number: f64 = if shaped { text.parse().ok()? } else { return None };
    number.is_finite().then_some(Value::Float(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_kubernetes_takes_them_for() {
        for (text, value) in [
            ("y", Value::Bool(true)),
            ("No", Value::Bool(false)),
            ("ON", Value::Bool(true)),
            ("~", Value::Null),
            ("", Value::Null),
            ("010", Value::Int(8)),
            ("0x50", Value::Int(80)),
            ("0b11", Value::Int(3)),
            ("0o17", Value::Int(15)),
            ("1_000", Value::Int(1000)),
            ("8_0", Value::Int(80)),
            ("-7", Value::Int(-7)),
            ("+7", Value::Int(7)),
            ("08", Value::Float(8.0)),
            ("80.5", Value::Float(80.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            (".inf", Value::Float(f64::INFINITY)),
            ("9223372036854775807", Value::Int(i64::MAX)),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
        for text in [
            "yEs",
            "nUll",
            "12:30",
            "2001-01-01",
            "10.0.0.1",
            "1.2.3",
            "0x",
            "0xg",
            "-",
            "+",
            "e3",
            "--1",
            "+-1",
            "0x-1",
            "1e",
            ".",
            "_1",
            "<<",
            "Infinity",
            "nan",
            "10.0.0.0/8",
        ] {
            assert_eq!(resolve(text), Value::String(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_go_writes_json() {
        for (number, text) in
            [(80.5, "80.5"), (80.0, "80"), (1e21, "1e+21"), (1e-7, "1e-7"), (1.5e300, "1.5e+300")]
        {
            assert_eq!(json_number(number), text);
        }
    }
}
