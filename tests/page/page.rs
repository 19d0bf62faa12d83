//! The page as its user meets it.

use crate::browser::{Page, visit};
use crate::site::Path;

// WebDriver's names of keys.
const CONTROL: char = '\u{e009}';
const END: char = '\u{e010}';
const RELEASE: char = '\u{e000}';

/// What the first example says of its first flow.
const STORY: &str = "Dropped on node2";
/// A scenario of the smallest kind: everything else is assumed.
const SERVICE: &str = "kind: Service\napiVersion: v1\nmetadata: {name: web, namespace: shop}\nspec:\n  selector: \
     {app: web}\n  ports: [{port: 80}]\n";

/// Waits until the code editor has taken the text area's place.
fn editor(page: &Page) {
    page.see(".cm-content");
    page.see_no(".plain-editor");
}

fn shows_the_story(page: &Page) {
    page.see_text(".verdict", STORY);
}

#[test]
fn a_first_visit_shows_a_solved_story() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        page.see_text(".verdict", "10.233.90.0");
        page.see_text(".chip[aria-pressed=true]", "through node1");
        assert!(!page.address().contains('#'), "an address is only written once something is done");
        assert!(page.eval("document.title").as_str().is_some_and(|title| title.contains('?')));
    });
}

#[test]
fn the_text_is_there_before_the_code_editor_and_without_it() {
    visit(Path::Root, "", |page| {
        editor(page);
        page.block(&["*/editor/*"]);
        page.reload();
        shows_the_story(page);
        page.wait("document.querySelector('.plain-editor').value.startsWith('apiVersion')");
        page.eval("document.querySelector('.plain-editor').focus()");
        page.press(&format!("{CONTROL}a{RELEASE}{SERVICE}"));
        page.see_text(".inventory summary", "1 service");
        let errors = page.console_errors();
        assert!(errors.iter().all(|error| error.contains("/editor/")), "{errors:?}");
    });
}

#[test]
fn what_is_typed_is_answered_and_kept_in_the_address() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        page.paste_over_editor(SERVICE);
        page.see_text(".inventory summary", "1 service");
        page.see_text(".inventory summary", "3 nodes");
        page.wait("location.hash.startsWith('#v1=')");
        assert!(!page.address().contains('?'), "the query never holds the scenario");
        page.reload();
        page.see_text(".inventory summary", "1 service");
        assert!(page.editor_text().contains("namespace: shop"));
    });
}

#[test]
fn a_picker_edits_the_text_and_undo_takes_it_back() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        editor(page);
        page.click("[data-picker=traffic-policy] [data-value=Local]");
        page.see("[data-picker=traffic-policy] [data-value=Local][aria-pressed=true]");
        assert!(page.editor_text().contains("externalTrafficPolicy: Local"));
        page.see_text(".verdict", "reverse path filter");
        page.type_in_editor(&format!("{CONTROL}z{RELEASE}"));
        page.see_text(".verdict", "sees 10.233.90.0");
        assert!(page.editor_text().contains("externalTrafficPolicy: Cluster"));
    });
}

#[test]
fn a_chip_asks_its_flow() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        page.click_text(".chip", "load balancer");
        page.see_text(".chip[aria-pressed=true]", "load balancer");
        page.wait("location.hash.startsWith('#v1=')");
        page.reload();
        page.see_text(".chip[aria-pressed=true]", "load balancer");
    });
}

#[test]
fn another_source_is_asked_at_once_and_written_on_demand() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        editor(page);
        page.click(".chip.new");
        page.eval(
            "(() => {
               const from = document.getElementById('flow-from');
               from.value = [...from.options].find((one) => one.text === 'node3').value;
               from.dispatchEvent(new Event('change', { bubbles: true }));
             })()",
        );
        page.see_text(".chip.unsaved", "node/node3 -> nodePort/node1:31602");
        page.click_text(".new-flow button", "Write into the text");
        page.see_no(".chip.unsaved");
        page.see_text(".chip[aria-pressed=true]", "node/node3");
        let hash = "location.hash.startsWith('#v1=')";
        page.wait(hash);
        page.reload();
        page.see_text(".chip[aria-pressed=true]", "node/node3");
        page.see_no(".chip.unsaved");
    });
}

#[test]
fn an_example_opens_and_undo_brings_the_own_text_back() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        page.paste_over_editor(SERVICE);
        page.see_text(".inventory summary", "1 service");
        page.click_text("header .button", "Examples");
        page.click("[data-example=open-by-default]");
        page.see_no("dialog");
        page.wait(
            "!document.querySelector('.cm-content').textContent.includes('namespace: shop}')",
        );
        page.type_in_editor(&format!("{CONTROL}z{RELEASE}"));
        page.wait("document.querySelector('.cm-content').textContent.includes('namespace: shop}')");
    });
}

#[test]
fn a_damaged_link_says_so_and_loses_nothing() {
    visit(Path::Root, "#v1=eJwLzs8pKUpN", |page| {
        page.see_text(".notice", "damaged");
        shows_the_story(page);
        assert!(page.address().ends_with("#v1=eJwLzs8pKUpN"), "the link stays, to be looked at");
    });
    visit(Path::Root, "", |page| {
        page.paste_over_editor(SERVICE);
        page.see_text(".inventory summary", "1 service");
        page.wait("location.hash.startsWith('#v1=')");
        page.eval("location.hash = '#v7=abc'");
        page.see_text(".notice", "version `v7`");
        assert!(page.editor_text().contains("namespace: shop"));
    });
}

#[test]
fn broken_yaml_is_listed_and_the_last_picture_stays() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        page.type_in_editor(&format!("{CONTROL}{END}{RELEASE}\n}}"));
        page.see(".problems .error");
        page.see(".stale-note");
        shows_the_story(page);
    });
}

#[test]
fn dropped_files_replace_an_untouched_example_and_join_an_own_text() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        let drop = |files: &str| {
            page.eval(&format!(
                "(() => {{
                   const dataTransfer = new DataTransfer();
                   for (const file of [{files}]) dataTransfer.items.add(file);
                   document.querySelector('main').dispatchEvent(
                     new DragEvent('drop', {{ dataTransfer, bubbles: true, cancelable: true }}));
                 }})()"
            ));
        };
        let service = |name: &str| {
            let text = SERVICE.replace("name: web", &format!("name: {name}"));
            format!("new File([{text:?}], '{name}.yaml')")
        };
        drop(&format!("{}, {}", service("one"), service("two")));
        page.see_text(".inventory summary", "2 services");
        drop(&service("three"));
        page.see_text(".inventory summary", "3 services");
        drop("new File([new Uint8Array([0xff, 0xfe, 0])], 'picture.png')");
        page.see_text(".notice", "picture.png");
        page.see_text(".inventory summary", "3 services");
    });
}

#[test]
fn findings_lead_to_their_lines() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        editor(page);
        page.click("#tab-findings");
        page.see_text(".finding-title", "mostly arrive with another");
        page.no_axe_violations();
        page.click(".finding .link");
        page.see_text(".cm-activeLine", "cidr");
        page.paste_over_editor(&format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n\
             ipvs: {{strictARP: true}}\n---\n{SERVICE}"
        ));
        page.see_text(".finding-title", "strictARP changes no address");
        page.see_text(".finding-title .link", "line 4");
    });
}

#[test]
fn a_policy_alone_is_shown_between_pods_that_are_assumed() {
    visit(Path::Root, "", |page| {
        shows_the_story(page);
        editor(page);
        page.paste_over_editor(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: closed}\n\
             spec: {types: [Ingress]}\n",
        );
        page.see_text(".chip", "pod/default/client -> pod/default/server:80");
        page.see_text(".verdict", "Dropped");
        page.click(".inventory summary");
        page.see_text(".assumed", "somebody who asks default/server");
    });
}

#[test]
fn an_empty_text_says_how_to_start() {
    visit(Path::Root, "", |page| {
        page.see("h1");
        page.click_text("header .button", "Examples");
        page.click_text("dialog .button", "Start with an empty text");
        page.see_text(".empty", "kubectl get");
    });
}

#[test]
fn share_shows_the_link_that_opens_the_same() {
    visit(Path::Root, "", |page| {
        page.click_text(".chip", "load balancer");
        page.click_text("header .button", "Share");
        page.see("#share-link");
        let link = page.eval("document.getElementById('share-link').value");
        let link = link.as_str().unwrap_or_default().to_owned();
        page.goto(&link);
        page.reload();
        page.see_text(".chip[aria-pressed=true]", "load balancer");
    });
}

#[test]
fn an_embedded_page_has_no_editor_and_tells_its_height() {
    visit(Path::Project, "?embed&theme=dark", |page| {
        shows_the_story(page);
        page.see(".chip");
        page.see("[data-picker=calico]");
        page.see_text("a", "open in Hopwise");
        page.see_no(".editor");
        assert_eq!(page.eval("document.documentElement.dataset.theme"), "dark");
        let loaded =
            "performance.getEntriesByType('resource').some((it) => it.name.includes('/editor/'))";
        assert_eq!(page.eval(loaded), false, "the editor is not loaded");
        assert_eq!(page.eval("localStorage.length + document.cookie.length"), 0);
        // Without an editor the rule is shown below.
        page.see_no(".excerpt");
        page.click(".verdict-actions .link");
        page.see_text(".excerpt .marked", "ingress:");
        // In a frame of its own page it posts its height, again when that changes.
        let height = page.eval_async(
            "new Promise((done) => {
               addEventListener('message', ({ data }) => {
                 if (data?.type === 'hopwise:height' && data.height > 200) done(data.height);
               });
               const frame = document.createElement('iframe');
               frame.src = location.href;
               frame.width = '800';
               document.body.append(frame);
             })",
        );
        assert!(height.as_f64().is_some_and(|height| height < 4_000.0), "{height}");
    });
}

#[test]
fn a_narrow_screen_shows_one_half_at_a_time_and_never_scrolls_sideways() {
    visit(Path::Root, "", |page| {
        page.resize(360, 740);
        shows_the_story(page);
        let fits = "document.documentElement.scrollWidth <= innerWidth
             && document.querySelector('.pane-path').scrollWidth <= innerWidth";
        assert_eq!(page.eval(fits), true, "the answer fits");
        page.click(".chip.new");
        page.see(".new-flow");
        assert_eq!(page.eval(fits), true, "the form fits");
        page.click_text(".halves button", "Text");
        page.see(".editor");
        page.see_no(".pane-path");
        assert_eq!(page.eval(fits), true, "the text fits");
        page.no_axe_violations();
        page.click_text("header .button", "Examples");
        page.see("dialog");
        assert_eq!(page.eval(fits), true, "the gallery fits");
    });
}

#[test]
fn the_bar_between_the_panes_moves_by_keys() {
    visit(Path::Root, "", |page| {
        page.see(".splitter");
        let width = "document.querySelector('.pane-text').getBoundingClientRect().width";
        let before = page.eval(width).as_f64().unwrap_or_default();
        page.eval("document.querySelector('.splitter').focus()");
        page.press("\u{e014}");
        page.wait(&format!("{width} > {before}"));
        page.press("\u{e011}");
        page.wait(&format!("{width} < {before}"));
    });
}

#[test]
fn every_state_is_accessible_in_both_themes() {
    for theme in ["light", "dark"] {
        visit(Path::Root, "", |page| {
            page.prefer(&[("prefers-color-scheme", theme)]);
            shows_the_story(page);
            editor(page);
            page.no_axe_violations();
            page.click(".chip.new");
            page.click(".inventory summary");
            page.see(".new-flow");
            page.no_axe_violations();
            for dialog in ["Examples", "Share", "Embed", "Export", "?"] {
                page.click_text("header .button", dialog);
                page.see("dialog");
                page.no_axe_violations();
                page.click("dialog [aria-label=Close]");
                page.see_no("dialog");
            }
            page.paste_over_editor("kind: Service\napiVersion: v1\nmetadata: {name: 5}\nx: [");
            page.see(".problems");
            page.no_axe_violations();
            page.paste_over_editor(" ");
            page.see(".empty");
            page.no_axe_violations();
        });
        visit(Path::Root, &format!("?embed&theme={theme}"), |page| {
            shows_the_story(page);
            page.no_axe_violations();
        });
    }
}
