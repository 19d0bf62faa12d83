//! Selectors over labels: the common form of Kubernetes' label selectors and of Calico's selector
//! language, what they match, and what is missing where they don't.

use std::fmt;

use super::Labels;

/// The label that Calico gives every namespace and every service account: its name.
pub(crate) const CALICO_NAME: &str = "projectcalico.org/name";

/// Labels, wherever they come from.
pub(crate) trait Lookup {
    /// The value of a label.
    fn value(&self, key: &str) -> Option<&str>;
    /// What `all()` says of their owner.
    fn all(&self) -> bool {
        true
    }
    /// What `global()` says of their owner.
    fn global(&self) -> bool {
        true
    }
}

impl Lookup for Labels {
    fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// An expression over labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// All of these; without any, everything.
    All(Vec<Self>),
    /// At least one of these; without any, nothing.
    Any(Vec<Self>),
    /// Calico's `global()`. It selects everything; rules that it may stand in look for it.
    Global,
    /// The opposite.
    Not(Box<Self>),
    /// The label exists.
    Has(String),
    /// The label exists and has this value.
    Is(String, String),
    /// The label has another value, or does not exist.
    IsNot(String, String),
    /// The label exists and has one of these values, sorted.
    In(String, Vec<String>),
    /// The label has none of these values, sorted, or does not exist.
    NotIn(String, Vec<String>),
    /// The label exists and its value holds this.
    Contains(String, String),
    /// The label exists and its value starts so.
    StartsWith(String, String),
    /// The label exists and its value ends so.
    EndsWith(String, String),
}

impl Selector {
    /// Selects everything.
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Does it select everything, whatever the labels?
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(parts) if parts.iter().all(Self::is_everything))
    }

    /// The label that it asks for first, if it asks for one to be there.
    pub(crate) fn wanted(&self) -> Option<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().find_map(Self::wanted),
            Self::Has(key)
            | Self::Is(key, _)
            | Self::In(key, _)
            | Self::Contains(key, _)
            | Self::StartsWith(key, _)
            | Self::EndsWith(key, _) => Some(key),
            Self::Global | Self::Not(_) | Self::IsNot(..) | Self::NotIn(..) => None,
        }
    }

    /// Does it select what has these labels?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.holds(labels)
    }

    /// [`Selector::matches`], wherever the labels come from.
    pub(crate) fn holds(&self, labels: &impl Lookup) -> bool {
        let value = |key: &String| labels.value(key);
        match self {
            Self::All(parts) if parts.is_empty() => labels.all(),
            Self::All(parts) => parts.iter().all(|p| p.holds(labels)),
            Self::Any(parts) => parts.iter().any(|p| p.holds(labels)),
            Self::Global => labels.global(),
            Self::Not(part) => !part.holds(labels),
            Self::Has(key) => value(key).is_some(),
            Self::Is(key, wanted) => value(key) == Some(wanted),
            Self::IsNot(key, unwanted) => value(key) != Some(unwanted),
            Self::In(key, values) => value(key).is_some_and(|v| has(values, v)),
            Self::NotIn(key, values) => !value(key).is_some_and(|v| has(values, v)),
            Self::Contains(key, part) => value(key).is_some_and(|v| v.contains(part.as_str())),
            Self::StartsWith(key, part) => value(key).is_some_and(|v| v.starts_with(part.as_str())),
            Self::EndsWith(key, part) => value(key).is_some_and(|v| v.ends_with(part.as_str())),
        }
    }

    /// What of it does not hold of these labels; `None` if it selects what has them.
    pub(crate) fn miss(&self, labels: &impl Lookup) -> Option<SelectorMiss> {
        if self.holds(labels) {
            return None;
        }
        let misses = |parts: &[Self]| parts.iter().filter_map(|part| part.miss(labels)).collect();
        Some(match self {
            Self::All(parts) if !parts.is_empty() => SelectorMiss::All(misses(parts)),
            Self::Any(parts) => SelectorMiss::Any(misses(parts)),
            term => {
                let value = term.key().and_then(|key| labels.value(key)).map(str::to_owned);
                SelectorMiss::Term { term: term.clone(), value }
            }
        })
    }

    /// The one label that it asks about.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Has(key)
            | Self::Is(key, _)
            | Self::IsNot(key, _)
            | Self::In(key, _)
            | Self::NotIn(key, _)
            | Self::Contains(key, _)
            | Self::StartsWith(key, _)
            | Self::EndsWith(key, _) => Some(key),
            Self::Not(part) => part.key(),
            Self::All(_) | Self::Any(_) | Self::Global => None,
        }
    }
}

/// Why a selector does not select something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorMiss {
    /// This part does not hold.
    Term {
        /// The part.
        term: Selector,
        /// The value of the label that it asks about; `None` if there is no such label.
        value: Option<String>,
    },
    /// None of these hold, and all would have to.
    All(Vec<Self>),
    /// None of these hold, and one would do.
    Any(Vec<Self>),
}

/// As kubectl and `kubectl describe` write selectors, as far as they can.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], separator: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(separator)?;
                }
                let nested = matches!(part, Self::All(p) | Self::Any(p) if p.len() > 1);
                if nested { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Self::All(parts) if parts.is_empty() => f.write_str("everything"),
            Self::Any(parts) if parts.is_empty() => f.write_str("nothing"),
            Self::Global => f.write_str("global()"),
            Self::All(parts) => joined(f, parts, ", "),
            Self::Any(parts) => joined(f, parts, " or "),
            Self::Not(part) => match part.as_ref() {
                Self::Is(key, value) => write!(f, "{key}!={value}"),
                Self::All(_) | Self::Any(_) => write!(f, "!({part})"),
                part => write!(f, "!{part}"),
            },
            Self::Has(key) => f.write_str(key),
            Self::Is(key, value) => write!(f, "{key}={value}"),
            Self::IsNot(key, value) => write!(f, "{key}!={value}"),
            Self::In(key, values) => write!(f, "{key} in ({})", values.join(", ")),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(", ")),
            Self::Contains(key, part) => write!(f, "{key} contains {part}"),
            Self::StartsWith(key, part) => write!(f, "{key} starts with {part}"),
            Self::EndsWith(key, part) => write!(f, "{key} ends with {part}"),
        }
    }
}

fn has(values: &[String], value: &str) -> bool {
    values.iter().any(|v| v == value)
}
