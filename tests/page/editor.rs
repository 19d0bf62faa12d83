//! The code editor's module alone, on an empty page.

use std::fs;

use serde_json::{Value, json};

use crate::browser::{Page, visit};
use crate::site::{self, Path};

/// Runs the test on a page with nothing but an editor, `editor` in the page's JavaScript, made with
/// the text; `told` collects the texts that it tells.
#[track_caller]
fn with_editor(content: &str, test: impl FnOnce(&Page)) {
    visit(Path::Blank, "", |page| {
        let module = fs::read_dir(site::dist().join("editor")).expect("the site has the editor");
        let module = module
            .filter_map(Result::ok)
            .find(|file| file.path().extension().is_some_and(|it| it == "js"));
        let module = module.expect("the editor is a module").file_name();
        page.eval_async(&format!(
            "import('/editor/{}').then(({{ create }}) => {{
               window.told = [];
               const place = document.querySelector('main');
               place.style.height = '400px';
               window.editor = create(place, {{ doc: {}, onChange: (text) => told.push(text) }});
             }})",
            module.display(),
            json!(content)
        ));
        test(page);
    });
}

fn text(page: &Page) -> Value {
    page.eval("editor.text()")
}

fn told(page: &Page) -> Value {
    page.eval("told.splice(0)")
}

const CONTROL: char = '\u{e009}';
const RELEASE: char = '\u{e000}';
const ESCAPE: char = '\u{e00c}';
const TAB: char = '\u{e004}';
const F8: char = '\u{e038}';
const DOWN: char = '\u{e015}';
const ENTER: char = '\u{e007}';

#[test]
fn tells_what_is_typed_and_undoes_it() {
    with_editor("kind: ", |page| {
        page.eval("editor.scrollTo(6)");
        page.type_in_editor("Pod");
        assert_eq!(told(page), json!(["kind: P", "kind: Po", "kind: Pod"]));
        page.press(&format!("{CONTROL}z{RELEASE}"));
        assert_eq!(text(page), "kind: ");
    });
}

#[test]
fn takes_a_new_text_as_one_step_and_says_nothing() {
    with_editor("a: 1\nb: 2\n", |page| {
        page.eval("editor.setText('a: 1\\nb: 3\\nc: 4\\n')");
        assert_eq!(text(page), "a: 1\nb: 3\nc: 4\n");
        page.eval("editor.setText('a: 1\\nb: 3\\nc: 4\\n')");
        assert_eq!(told(page), json!([]));
        page.type_in_editor(&format!("{CONTROL}z{RELEASE}"));
        assert_eq!(text(page), "a: 1\nb: 2\n", "the text that was the same left no step");
        page.press(&format!("{CONTROL}y{RELEASE}"));
        assert_eq!(text(page), "a: 1\nb: 3\nc: 4\n");
    });
}

#[test]
fn applies_a_fix_as_one_step() {
    with_editor("a: 1\nb: 😀\nc: 3\n", |page| {
        page.eval(
            "editor.setDiagnostics([{ from: 11, to: 15, severity: 'error', message: 'wrong', fix: { label: 'Fix',
               edits: [{ start: 11, end: 15, insert: 'c: 4' }, { start: 0, end: 4, insert: 'first: 1' }] } }])",
        );
        page.hover(".cm-lintRange-error");
        page.click(".cm-diagnosticAction");
        assert_eq!(text(page), "first: 1\nb: 😀\nc: 4\n");
        assert_eq!(told(page), json!(["first: 1\nb: 😀\nc: 4\n"]));
        page.type_in_editor(&format!("{CONTROL}z{RELEASE}"));
        assert_eq!(text(page), "a: 1\nb: 😀\nc: 3\n");
    });
}

#[test]
fn makes_every_line_end_a_line_feed_and_says_so() {
    with_editor("a: 1\r\nb: 2\r\n", |page| {
        assert_eq!(told(page), json!(["a: 1\nb: 2\n"]));
        page.eval("editor.setText('a: 1\\r\\nb: 3\\r\\n')");
        assert_eq!(told(page), json!(["a: 1\nb: 3\n"]));
    });
}

#[test]
fn underlines_a_problem_and_offers_its_fix() {
    let problem =
        "editor.setDiagnostics([{ from: 6, to: 9, severity: 'error', message: 'unknown kind `Pot`',
                     fix: { label: 'Pod', edits: [{ start: 6, end: 9, insert: 'Pod' }] } }])";
    with_editor("kind: Pot\n", |page| {
        page.eval(problem);
        assert_eq!(page.text(".cm-lintRange-error"), "Pot");
        page.see(".cm-lint-marker-error");
        page.hover(".cm-lintRange-error");
        page.see_text(".cm-tooltip-lint", "unknown kind `Pot`");
        page.click(".cm-diagnosticAction");
        assert_eq!(text(page), "kind: Pod\n");
        assert_eq!(told(page), json!(["kind: Pod\n"]));
        // Beyond the end of a text that became shorter meanwhile.
        page.eval(
            "editor.setDiagnostics([{ from: 50, to: 60, severity: 'warning', message: 'late' }])",
        );
        page.see(".cm-lint-marker-warning");
    });
}

#[test]
fn applies_a_fix_only_to_the_text_that_it_was_made_for() {
    with_editor("kind: Pot\n", |page| {
        page.eval(
            "editor.setDiagnostics([{ from: 6, to: 9, severity: 'error', message: 'unknown kind',
               fix: { label: 'Pod', edits: [{ start: 6, end: 9, insert: 'Pod' }] } }])",
        );
        page.eval("editor.setText('# a comment\\nkind: Pot\\n')");
        assert_eq!(page.text(".cm-lintRange-error"), "Pot", "the underline moves with its text");
        page.hover(".cm-lintRange-error");
        page.click(".cm-diagnosticAction");
        assert_eq!(text(page), "# a comment\nkind: Pot\n");
    });
}

#[test]
fn marks_the_lines_that_decided() {
    with_editor("a: 1\nb: 2\nc: 3\nd: 4\n", |page| {
        page.eval("editor.setHighlights([{ from: 8, to: 14, kind: 'decided' }, { from: 18, to: 99, kind: 'denied' }])");
        let lines = |kind: &str| {
            page.eval(&format!(
                "[...document.querySelectorAll('.hw-bar-{kind}')].map((one) => one.textContent)"
            ))
        };
        assert_eq!(lines("decided"), json!(["b: 2", "c: 3"]));
        assert_eq!(lines("denied"), json!(["d: 4"]));
        assert_eq!(page.eval("[...document.querySelectorAll('.hw-signs [title]')].map((one) => one.textContent).join('')"), "▸▸✕");
        page.eval("editor.setText('z: 0\\na: 1\\nb: 2\\nc: 3\\nd: 4\\n')");
        assert_eq!(lines("decided"), json!(["b: 2", "c: 3"]), "marks move with their lines");
        page.eval("editor.setHighlights([])");
        assert_eq!(lines("decided"), json!([]));
    });
}

#[test]
fn tab_indents_until_escape_lets_it_leave() {
    with_editor("a:\nb: 1\n", |page| {
        page.eval("document.body.append(Object.assign(document.createElement('button'), { textContent: 'after' }))");
        page.eval("editor.scrollTo(3)");
        page.type_in_editor(&TAB.to_string());
        assert_eq!(text(page), "a:\n  b: 1\n");
        page.press(&format!("{ESCAPE}{TAB}"));
        assert_eq!(page.eval("document.activeElement.textContent"), "after");
        assert_eq!(text(page), "a:\n  b: 1\n");
    });
}

#[test]
fn completes_the_words_of_the_text() {
    with_editor("metadata:\n", |page| {
        page.eval("editor.scrollTo(10)");
        page.type_in_editor("met");
        page.see_text(".cm-tooltip-autocomplete", "metadata");
        // The list takes no key in its first moments, so that it eats none that is meant for the text.
        page.eval("window.listed = performance.now()");
        page.wait("performance.now() - listed > 200");
        page.press(&DOWN.to_string());
        page.see(".cm-tooltip-autocomplete li[aria-selected]");
        page.press(&ENTER.to_string());
        assert_eq!(text(page), "metadata:\nmetadata");
        page.press(&ENTER.to_string());
        page.press("met");
        page.see(".cm-tooltip-autocomplete");
        page.press(&ENTER.to_string());
        assert_eq!(
            text(page),
            "metadata:\nmetadata\nmet\n",
            "Enter is a line break until something was chosen"
        );
    });
}

#[test]
fn leaves_dropped_files_for_the_page() {
    let drop = "(() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['kind: Service'], 'service.yaml'));
        const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
        document.querySelector('.cm-content').dispatchEvent(drop);
        return drop.defaultPrevented;
    })()";
    with_editor("kind: Pod\n", |page| {
        page.eval(
            "addEventListener('drop', ({ dataTransfer }) => told.push(dataTransfer.files[0].name))",
        );
        assert_eq!(page.eval(drop), true, "not for the browser, which would open them");
        assert_eq!(told(page), json!(["service.yaml"]));
        assert_eq!(text(page), "kind: Pod\n");
    });
}

#[test]
fn holds_a_dump_of_a_megabyte() {
    with_editor("", |page| {
        page.eval("editor.setText('- kind: Pod\\n  metadata: { name: pod, namespace: default }\\n'.repeat(20_000) + 'end: 1\\n')");
        page.eval("editor.setDiagnostics([{ from: 1_000_000, to: 1_000_010, severity: 'error', message: 'far down' }])");
        page.eval("editor.scrollTo(editor.text().length - 7)");
        page.type_in_editor("x");
        assert_eq!(page.eval("editor.text().slice(-9)"), "\nxend: 1\n");
        page.press(&F8.to_string());
        page.see(".cm-lintRange-error");
    });
}

#[test]
fn searches_and_has_no_axe_violations_in_either_theme() {
    with_editor("kind: Pod # a comment\nname: \"x\"\nlist: [a]\n", |page| {
        page.eval("editor.setHighlights([{ from: 0, to: 4, kind: 'decided' }, { from: 22, to: 26, kind: 'denied' }])");
        page.eval(
            "editor.setDiagnostics([{ from: 28, to: 31, severity: 'error', message: 'wrong' }])",
        );
        page.type_in_editor(&format!("{CONTROL}f{RELEASE}"));
        page.see(".cm-search input[name=search]");
        page.screenshot("editor");
        page.no_axe_violations();
        page.eval("editor.setDark(true)");
        page.no_axe_violations();
    });
}
