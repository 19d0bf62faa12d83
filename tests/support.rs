//! What the suites share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The command line, built from the sources as they are now.
///
/// # Panics
/// If it can't be built.
#[expect(clippy::panic, reason = "no test can go on without it")]
pub fn hopwise() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--package", "hopwise", "--features", "cli"])
            .args(["--bin", "hopwise", "--message-format", "json-render-diagnostics"])
            .current_dir(project())
            .output()
            .unwrap_or_else(|error| panic!("cargo can't be run: {error}"));
        let messages = String::from_utf8_lossy(&built.stdout);
        let executable = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(PathBuf::from(message.get("executable")?.as_str()?))
        });
        executable.unwrap_or_else(|| {
            panic!("the command line can't be built:\n{}", String::from_utf8_lossy(&built.stderr))
        })
    })
}
