//! The built site (`dist/`) in a real Chromium, as a visitor has it.
//!
//! `cargo test -p hopwise-tests --features page` runs it after `make build`. Without a site or a
//! browser each test says that it was skipped, unless `HOPWISE_PAGE=required`, as `make test` has
//! it. A failed test leaves what it saw in `target/page/`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod browser;
mod editor;
mod page;
mod site;

use browser::visit;
use site::Path;

#[test]
fn opens_at_the_root_of_a_server() {
    visit(Path::Root, "", |page| page.see("h1"));
}

#[test]
fn opens_under_the_path_of_a_project() {
    visit(Path::Project, "", |page| page.see("h1"));
}

#[test]
fn has_no_axe_violations() {
    visit(Path::Root, "", |page| {
        page.see("h1");
        page.no_axe_violations();
    });
}
