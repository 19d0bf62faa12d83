//! A static file server for `dist/`, as dumb as the one that the site will be published on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::OnceLock;

use hopwise_tests::project;
use tiny_http::{Header, Request, Response, Server};

/// Where on the server the site is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// At `/`.
    Root,
    /// At `/some/project/`, as GitHub Pages serves the site of a project.
    Project,
    /// No site but an empty page beside it, to try a part alone.
    Blank,
}

const PROJECT: &str = "/some/project/";
const BLANK: &str = "/blank";

/// The built site.
pub(crate) fn dist() -> PathBuf {
    project().join("dist")
}

/// The address of the site, served by this process as long as it lives.
pub(crate) fn address(path: Path) -> String {
    static ORIGIN: OnceLock<String> = OnceLock::new();
    let origin = ORIGIN.get_or_init(|| {
        let server = Server::http("127.0.0.1:0").expect("a free port on localhost");
        let origin = format!("http://{}", server.server_addr());
        std::thread::spawn(move || server.incoming_requests().for_each(answer));
        origin
    });
    match path {
        Path::Root => format!("{origin}/"),
        Path::Project => format!("{origin}{PROJECT}"),
        Path::Blank => format!("{origin}{BLANK}"),
    }
}

fn answer(request: Request) {
    let asked = request.url().split(['?', '#']).next().unwrap_or_default();
    if asked == BLANK {
        let page = "<!doctype html><html lang=en><title>Blank</title><link rel=icon href=data:,><main><h1>Blank</h1></main>";
        let _ = request
            .respond(Response::from_string(page).with_header(content_type("blank.html".as_ref())));
        return;
    }
    let inside =
        asked.strip_prefix(PROJECT).or_else(|| asked.strip_prefix('/')).unwrap_or_default();
    let mut file = dist().join(inside);
    if file.is_dir() {
        file.push("index.html");
    }
    let allowed = fs::canonicalize(&file)
        .is_ok_and(|real| fs::canonicalize(dist()).is_ok_and(|dist| real.starts_with(dist)));
    // A browser that hangs up before it has everything is no fault of the site.
    let _ = match File::open(&file) {
        Ok(content) if allowed => {
            request.respond(Response::from_file(content).with_header(content_type(&file)))
        }
        _ => request.respond(Response::from_string("not found").with_status_code(404)),
    };
}

fn content_type(file: &std::path::Path) -> Header {
    let value = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("md" | "txt" | "yaml") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Header::from_bytes("Content-Type", value).expect("a header in ASCII")
}
