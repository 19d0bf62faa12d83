//! What the suites share.

use std::path::PathBuf;

/// The folder of cases with known right answers: `$HOPWISE_CONFORMANCE`, or `shared/conformance`
/// beside the project. `None` where there is none.
pub fn conformance() -> Option<PathBuf> {
    let folder = std::env::var_os("HOPWISE_CONFORMANCE")
        .map_or_else(|| project().join("../shared/conformance"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The project's top folder.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
