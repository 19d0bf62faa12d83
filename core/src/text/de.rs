//! A tree as a source of serde's: the types behind it are plain `#[derive(Deserialize)]`.
//!
//! `null` is what it is to Go's `encoding/json`: the same as leaving the field out.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Entry, Node, Span, Value};

/// Why a tree is not of a type, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// serde's words.
    pub message: String,
    /// The innermost value that does not fit.
    pub span: Option<Span>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }
}

impl<'de> Node {
    /// The tree as a value of a type.
    pub fn parse<T: de::Deserialize<'de>>(&'de self) -> Result<T, Mismatch> {
        T::deserialize(self)
    }

    /// The error, at this place unless it is at one further in.
    fn place(&self, error: Mismatch) -> Mismatch {
        Mismatch { span: error.span.or(Some(self.span)), ..error }
    }

    /// Another type of value was expected here.
    fn mismatch(&self, expected: &dyn de::Expected) -> Mismatch {
        let found = match &self.value {
            Value::Null => de::Unexpected::Unit,
            Value::Bool(yes) => de::Unexpected::Bool(*yes),
            Value::Int(number) => de::Unexpected::Signed(*number),
            Value::Float(number) => de::Unexpected::Float(*number),
            Value::String(text) => de::Unexpected::Str(text),
            Value::List(_) => de::Unexpected::Seq,
            Value::Map(_) => de::Unexpected::Map,
        };
        self.place(de::Error::invalid_type(found, expected))
    }

    fn visit<V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mismatch> {
        let visited = match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => match whole(*number) {
                Some(number) => visitor.visit_i64(number),
                None => visitor.visit_f64(*number),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(entries) => visitor.visit_map(Fields { rest: entries.iter(), value: None }),
        };
        visited.map_err(|error| self.place(error))
    }
}

/// A number without a fraction is an integer, as it is once written as JSON.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_bool(false),
            _ => self.visit(visitor),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_i64(0),
            _ => self.visit(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_borrowed_str(""),
            _ => self.visit(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let items = match &self.value {
            Value::Null => [].iter(),
            Value::List(items) => items.iter(),
            _ => return Err(self.mismatch(&visitor)),
        };
        visitor.visit_seq(Items(items)).map_err(|error| self.place(error))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let rest = match &self.value {
            Value::Null => [].iter(),
            Value::Map(entries) => entries.iter(),
            _ => return Err(self.mismatch(&visitor)),
        };
        visitor.visit_map(Fields { rest, value: None }).map_err(|error| self.place(error))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.value {
            // serde would take its items for the fields
            Value::List(_) => Err(self.mismatch(&"a mapping")),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let word: de::value::StrDeserializer<'_, Mismatch> =
            de::IntoDeserializer::into_deserializer(self.as_str().unwrap_or_default());
        word.deserialize_enum(name, variants, visitor).map_err(|error| self.place(error))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        let Some(item) = self.0.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|error| item.place(error))
    }
}

struct Fields<'de> {
    rest: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: de::value::BorrowedStrDeserializer<'de, Mismatch> =
            de::value::BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(|error| value.place(error)),
            None => Err(de::Error::custom("a value is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::text::read;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sample {
        count: i32,
        name: String,
        list: Vec<String>,
        labels: BTreeMap<String, String>,
        inner: Inner,
        maybe: Option<Inner>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        flag: bool,
    }

    fn sample(text: &str) -> Result<Sample, (String, String)> {
        read(text).0[0]
            .node
            .parse()
            .map_err(|error: Mismatch| (error.message, error.span.unwrap().of(text).to_owned()))
    }

    #[test]
    fn null_is_the_same_as_leaving_a_field_out() {
        let nulls = "count: ~\nname:\nlist:\nlabels: null\ninner:\nmaybe:\n";
        assert_eq!(sample(nulls), Ok(Sample::default()));
        let labels = sample("labels: {a: null}\nlist: [null]\nmaybe: {}\n").unwrap();
        assert_eq!(labels.labels["a"], "");
        assert_eq!(labels.list, [""]);
        assert_eq!(labels.maybe, Some(Inner { flag: false }));
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        assert_eq!(sample("count: 80.0\n").unwrap().count, 80);
        assert_eq!(sample("count: 0x50\n").unwrap().count, 80);
    }

    #[test]
    fn a_mismatch_points_at_the_innermost_value() {
        let (message, at) = sample("name: a\ninner: {flag: [1]}\n").unwrap_err();
        assert_eq!(at, "[1]");
        assert_eq!(message, "invalid type: sequence, expected a boolean");
        assert_eq!(sample("list: [a, 1]\n").unwrap_err().1, "1");
        assert_eq!(sample("count: 99999999999\n").unwrap_err().1, "99999999999");
    }
}
