//! Settings with where they come from.

use crate::manifest::Object;
use crate::text::{Cite, Origin, Setting};

/// A value that the text writes.
pub(crate) fn written<T>(value: T, cite: Cite) -> Setting<T> {
    Setting { value, origin: Origin::Written(cite) }
}

/// A value that its reader defaults.
pub(crate) fn default<T>(value: T, why: &str) -> Setting<T> {
    Setting { value, origin: Origin::Default(why.to_owned()) }
}

/// The object that writes settings, if there is one.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) Option<&'a Object>);

/// What it writes at a path.
pub(super) struct Found<T> {
    /// `None` if it writes nothing there.
    cite: Option<Cite>,
    /// `None` if that is no particular value.
    value: Option<T>,
}

impl Source<'_> {
    pub(super) fn at<T>(self, path: &str, value: Option<T>) -> Found<T> {
        Found { cite: self.0.filter(|_| value.is_some()).map(|object| object.cite(path)), value }
    }

    /// A word that stands for a value.
    pub(super) fn word<T: Copy>(
        self,
        path: &str,
        word: Option<&String>,
        values: &[(&str, T)],
    ) -> Found<T> {
        let cite = self.0.filter(|_| word.is_some()).map(|object| object.cite(path));
        let is =
            |(known, _): &&(&str, T)| word.is_some_and(|word| word.eq_ignore_ascii_case(known));
        Found { cite, value: values.iter().find(is).map(|(_, value)| *value) }
    }
}

impl<T> Found<T> {
    /// The setting, with its reader's default and why that is.
    pub(super) fn or(self, usual: T, why: &str) -> Setting<T> {
        match self.cite {
            Some(cite) => written(self.value.unwrap_or(usual), cite),
            None => default(usual, why),
        }
    }
}
