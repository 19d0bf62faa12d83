//! What in the text, or which default, made something happen.

use crate::text::{Cite, ObjectRef, Origin, Setting};

/// A place in the text, or a default, that had its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub cite: Cite,
    /// What was found there, for a person: `it is the service's address`.
    pub finding: String,
}

impl Evidence {
    /// A setting of `object` that had its effect.
    pub(super) fn of_setting<T>(
        setting: &Setting<T>,
        object: &ObjectRef,
        field: &str,
        finding: &str,
    ) -> Self {
        let unwritten = |why: &str| Self {
            cite: Cite { object: object.clone(), field: field.to_owned(), span: None },
            finding: format!("{finding} ({why})"),
        };
        match &setting.origin {
            Origin::Written(cite) => Self { cite: cite.clone(), finding: finding.to_owned() },
            Origin::Default(why) => unwritten(why),
            Origin::Assumed(why) => unwritten(&format!("assumed: {why}")),
        }
    }

    /// A setting of kube-proxy that had its effect.
    pub(super) fn of_proxy<T>(setting: &Setting<T>, field: &str, finding: &str) -> Self {
        Self::of_setting(setting, &ObjectRef::new("KubeProxyConfiguration", "", ""), field, finding)
    }

    /// A setting of Felix that had its effect.
    pub(super) fn of_felix<T>(setting: &Setting<T>, field: &str, finding: &str) -> Self {
        Self::of_setting(
            setting,
            &ObjectRef::new("FelixConfiguration", "", "default"),
            field,
            finding,
        )
    }

    /// An object that had its effect.
    pub(super) fn of(cite: Cite, finding: &str) -> Self {
        Self { cite, finding: finding.to_owned() }
    }
}
