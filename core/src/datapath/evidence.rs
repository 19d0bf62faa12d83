//! What in the text, or which default, made something happen.

use crate::decision::Evidence;
use crate::text::{Cite, ObjectRef, Origin, Setting};

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
            matched: true,
            finding: format!("{finding} ({why})"),
        };
        match &setting.origin {
            Origin::Written(cite) => {
                Self { cite: cite.clone(), matched: true, finding: finding.to_owned() }
            }
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
        Self { cite, matched: true, finding: finding.to_owned() }
    }
}
