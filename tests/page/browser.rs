//! A Chromium with one page in it, driven through chromedriver; calls block, so that tests read
//! from top to bottom.
//!
//! Nothing here sleeps: what is waited for is watched inside the page, and found within a frame of
//! its appearance.

use std::any::Any;
use std::env;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hopwise_tests::project;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::site::{self, Path};

/// How long the page may take to show what is waited for. Far more than it needs, for a machine
/// that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long until the browser, which keeps the time above, is taken to hang.
const HANGING: Duration = Duration::from_secs(60);

/// Opens the site with what follows its address (`?embed`, `#v1=…`), runs the test on it, and then
/// fails if the browser's console has an error. Leaves a screenshot in `target/page/` where the
/// test fails.
#[track_caller]
pub(crate) fn visit(path: Path, rest: &str, test: impl FnOnce(&Page)) {
    let Some(page) = Page::start() else { return };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        page.goto(&format!("{}{rest}", site::address(path)));
        test(&page);
        let errors = page.console_errors();
        assert!(errors.is_empty(), "errors in the browser's console:\n{}", errors.join("\n"));
    }));
    if let Err(failure) = outcome {
        page.report();
        page.close();
        resume_unwind(failure);
    }
    page.close();
}

/// One tab of a browser of its own.
pub(crate) struct Page {
    runtime: Runtime,
    client: Client,
    driver: Driver,
}

/// A running chromedriver, which ends with its owner.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Page {
    /// A browser with an empty page; `None` where there is none or no site, and that is allowed.
    fn start() -> Option<Self> {
        let missing = if site::dist().join("index.html").is_file() {
            match Self::launch() {
                Ok(page) => return Some(page),
                Err(why) => why,
            }
        } else {
            "dist/ is not built (make build)".to_owned()
        };
        assert!(env::var_os("HOPWISE_PAGE").is_none_or(|wish| wish != "required"), "{missing}");
        // Not `eprintln`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {}: {missing}", test_name());
        None
    }

    fn launch() -> Result<Self, String> {
        let command = env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut child = Command::new(command)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver does not start: {error}"))?;
        let said = child.stdout.take().expect("a piped output");
        let driver = Driver(child);
        let mut said = BufReader::new(said).lines().map_while(Result::ok);
        let port = said
            .find_map(|line| {
                line.split("successfully on port ")
                    .nth(1)?
                    .trim_end_matches('.')
                    .parse::<u16>()
                    .ok()
            })
            .ok_or("chromedriver does not say its port")?;
        // Whatever it says later must be read, or it would wait for a reader.
        std::thread::spawn(move || said.for_each(drop));

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(capabilities())
                    .connect(&format!("http://127.0.0.1:{port}")),
            )
            .map_err(|error| format!("Chromium does not start: {error}"))?;
        runtime
            .block_on(client.update_timeouts(TimeoutConfiguration::new(
                Some(PATIENCE),
                Some(PATIENCE),
                None,
            )))
            .map_err(|error| error.to_string())?;
        Ok(Self { runtime, client, driver })
    }

    /// Opens an address.
    pub(crate) fn goto(&self, address: &str) {
        self.run(self.client.goto(address));
    }

    /// The address as it stands now.
    pub(crate) fn address(&self) -> String {
        self.run(self.client.current_url()).to_string()
    }

    /// Loads the page anew.
    pub(crate) fn reload(&self) {
        self.run(self.client.refresh());
    }

    /// The value of a JavaScript expression.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.run(self.client.execute(&format!("return ({expression});"), vec![]))
    }

    /// The value that a JavaScript promise comes to.
    #[track_caller]
    pub(crate) fn eval_async(&self, promise: &str) -> Value {
        let script = format!(
            "const done = arguments[0];
             (async () => ({promise}))().then(
               (value) => done({{ value }}), (error) => done({{ error: `${{error}}` }}));"
        );
        let answer = self.run(self.client.execute_async(&script, vec![]));
        assert!(answer.get("error").is_none(), "{promise}\nfailed: {}", answer["error"]);
        answer["value"].clone()
    }

    /// Waits until a JavaScript expression is true, and gives its value. One that throws is not
    /// true yet.
    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0], end = performance.now() + {};
             const look = () => {{
               let value;
               try {{ value = ({expression}); }} catch {{ }}
               if (value || performance.now() > end) done(value || null); else setTimeout(look, 10);
             }};
             look();",
            PATIENCE.as_millis()
        );
        let value = self.run(self.client.execute_async(&script, vec![]));
        assert!(!value.is_null(), "waited in vain for: {expression}");
        value
    }

    /// Waits until an element that matches the CSS selector is shown.
    #[track_caller]
    pub(crate) fn see(&self, selector: &str) {
        self.wait(&format!(
            "[...document.querySelectorAll({})].some((one) => one.checkVisibility())",
            json!(selector)
        ));
    }

    /// Waits until a shown element that matches the CSS selector contains the text; white space
    /// counts as one blank.
    #[track_caller]
    pub(crate) fn see_text(&self, selector: &str, text: &str) {
        self.wait(&format!(
            "[...document.querySelectorAll({})].some((one) =>
               one.checkVisibility() && one.textContent.replace(/\\s+/g, ' ').includes({}))",
            json!(selector),
            json!(text)
        ));
    }

    /// Waits until no shown element matches the CSS selector.
    #[track_caller]
    pub(crate) fn see_no(&self, selector: &str) {
        self.wait(&format!(
            "![...document.querySelectorAll({})].some((one) => one.checkVisibility())",
            json!(selector)
        ));
    }

    /// The text of the first element that matches, white space as one blank. Waits for it.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        self.see(selector);
        let text = self.eval(&format!(
            "document.querySelector({}).textContent.replace(/\\s+/g, ' ').trim()",
            json!(selector)
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for the first element that matches, and clicks it as the mouse does: what covers it is
    /// an error.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        self.see(selector);
        self.run(self.element(selector).click());
    }

    /// Waits for the first shown element that matches and contains the text, and clicks it.
    #[track_caller]
    pub(crate) fn click_text(&self, selector: &str, text: &str) {
        self.see_text(selector, text);
        self.eval(&format!(
            "[...document.querySelectorAll({})].find((one) =>
               one.checkVisibility() && one.textContent.replace(/\\s+/g, ' ').includes({})).click()",
            json!(selector),
            json!(text)
        ));
    }

    /// Moves the mouse to the middle of the first element that matches.
    #[track_caller]
    pub(crate) fn hover(&self, selector: &str) {
        self.see(selector);
        let element = self.element(selector);
        let to = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
        self.run(self.client.perform_actions(MouseActions::new("mouse".to_owned()).then(to)));
    }

    /// Presses keys where the focus is; `fantoccini::key::Key` names those without a character. A
    /// modifier holds until `Key::Null`.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let focused = self.run(self.client.active_element());
        self.run(focused.send_keys(keys));
    }

    /// Puts the focus into the code editor and presses keys. What is typed passes through the
    /// editor's indentation and bracket closing, as for a person.
    #[track_caller]
    pub(crate) fn type_in_editor(&self, keys: &str) {
        self.see(".cm-content");
        self.eval("document.querySelector('.cm-content').focus()");
        self.press(keys);
    }

    /// Replaces the editor's text by pasting over all of it.
    #[track_caller]
    pub(crate) fn paste_over_editor(&self, text: &str) {
        self.see(".cm-content");
        self.type_in_editor("\u{e009}a\u{e000}");
        self.eval(&format!(
            "(() => {{
               const clipboardData = new DataTransfer();
               clipboardData.setData('text/plain', {});
               document.querySelector('.cm-content').dispatchEvent(
                 new ClipboardEvent('paste', {{ clipboardData, bubbles: true, cancelable: true }}));
             }})()",
            json!(text)
        ));
    }

    /// The lines of the editor that are drawn, which are all of a short text.
    #[track_caller]
    pub(crate) fn editor_text(&self) -> String {
        self.see(".cm-content");
        let text = self.eval("[...document.querySelectorAll('.cm-line')].map((line) => line.textContent).join('\\n')");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Sets the size of the viewport, in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Sets media features, such as `("prefers-color-scheme", "dark")`.
    pub(crate) fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Has the browser fail to load what matches, `*` standing for anything.
    pub(crate) fn block(&self, addresses: &[&str]) {
        self.devtools("Network.enable", &json!({}));
        self.devtools("Network.setBlockedURLs", &json!({ "urls": addresses }));
    }

    /// Fails where axe finds the page wanting in accessibility as it is now.
    #[track_caller]
    pub(crate) fn no_axe_violations(&self) {
        let source =
            fs::read_to_string(project().join("web/editor/node_modules/axe-core/axe.min.js"))
                .expect("axe-core is installed");
        self.run(self.client.execute(&source, vec![]));
        let violations = self.eval_async(
            "axe.run().then(({ violations }) => violations.map(({ id, help, nodes }) =>
               [`${id}: ${help}`, ...nodes.map((node) => `${node.target}: ${node.failureSummary}`)]
                 .join('\\n  ')))",
        );
        let violations: Vec<_> =
            violations.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(violations.is_empty(), "axe found violations:\n{}", violations.join("\n"));
    }

    /// A picture of the viewport, written to `target/page/NAME.png`.
    pub(crate) fn screenshot(&self, name: &str) {
        let folder = project().join("target/page");
        let picture = self.run(self.client.screenshot());
        fs::create_dir_all(&folder).expect("target/ can be written");
        fs::write(folder.join(format!("{name}.png")), picture).expect("target/ can be written");
    }

    /// What went wrong in the browser since this was last asked: exceptions, `console.error`, files
    /// not found.
    pub(crate) fn console_errors(&self) -> Vec<String> {
        let log = self.run(
            self.client.issue_cmd(Vendor { path: "se/log", body: json!({ "type": "browser" }) }),
        );
        let entries = log.as_array().into_iter().flatten();
        entries
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.run(self.client.issue_cmd(Vendor {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": params }),
        }));
    }

    #[track_caller]
    fn element(&self, selector: &str) -> Element {
        self.run(self.client.find(Locator::Css(selector)))
    }

    #[track_caller]
    fn run<T, E: std::fmt::Display>(&self, command: impl Future<Output = Result<T, E>>) -> T {
        let answer = self.runtime.block_on(async { tokio::time::timeout(HANGING, command).await });
        match answer {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => panic!("{error}"),
            Err(elapsed) => panic!("the browser does not answer: {elapsed}"),
        }
    }

    /// Says what the browser showed when a test failed.
    fn report(&self) {
        let seen = catch_unwind(AssertUnwindSafe(|| {
            self.screenshot(&test_name().replace("::", "-"));
            eprintln!("{} shows: {}", self.address(), self.eval("document.body.innerText"));
            self.console_errors().iter().for_each(|error| eprintln!("console: {error}"));
        }));
        seen.unwrap_or_else(|_: Box<dyn Any + Send>| {
            eprintln!("the browser can't tell what it showed");
        });
    }

    fn close(self) {
        let Self { runtime, client, driver } = self;
        // The driver ends the browser in any case.
        let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.close()).await });
        drop(driver);
    }
}

fn capabilities() -> Capabilities {
    let mut options = json!({
        "args": [
            "--headless=new", "--window-size=1400,900", "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-sync",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            // Chromium refuses to run sandboxed as root, which continuous integration often is.
            "--no-sandbox",
        ],
    });
    if let Ok(binary) = env::var("CHROMIUM") {
        options["binary"] = json!(binary);
    }
    let mut capabilities = Capabilities::new();
    capabilities.insert("goog:chromeOptions".to_owned(), options);
    capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
    capabilities
}

/// The name of the running test, which is its thread's.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("page").to_owned()
}

/// A command that chromedriver has beyond the standard.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
