//! The command line from outside: what it prints, what it says of bad input, how it ends.

#![expect(clippy::expect_used, reason = "a test: what is broken must stop it")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hopwise_tests::{hopwise, project};
use serde_json::Value;

/// What a run left behind.
struct Done {
    status: i32,
    out: String,
    err: String,
}

impl Done {
    #[track_caller]
    fn ends_with_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn complains(self, part: &str) -> Self {
        assert!(self.err.contains(part), "stderr has no `{part}`:\n{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    #[track_caller]
    fn says(self, part: &str) -> Self {
        assert!(self.out.contains(part), "stdout has no `{part}`:\n{}", self.out);
        self
    }

    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Done {
    let mut child = Command::new(hopwise())
        .args(arguments)
        .current_dir(project().join("examples"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("stdin is fed");
    Done {
        status: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A file of its own for a test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("hopwise-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary file");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a name in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const FIRST: &str = "nodeport-cluster-through-node1.yaml";
const POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: closed
  namespace: shop
spec:
  podSelector: {}
";

#[test]
fn json_is_the_contract() {
    let done = run(&["trace", FIRST, "--format", "json"], b"").ends_with_status(0);
    let answers = done.json();
    assert_eq!(answers.len(), 2, "one line for each of the scenario's flows");
    let answer = &answers[0];
    assert_eq!(answer["flow"], "client/user -> nodePort/node1:31602");
    assert_eq!(answer["verdict"], "Dropped");
    let outcome = &answer["outcomes"][0];
    assert_eq!(outcome["share"], 1.0);
    assert_eq!(outcome["endpoint"], "pod/tekton-pipelines/tekton-dashboard-xbgk6");
    assert_eq!(outcome["sourceSeenByApp"], Value::Null);
    let cause = &outcome["cause"];
    assert_eq!(cause["kind"], "PolicyDenied");
    assert_eq!(cause["object"], "NetworkPolicy tekton-pipelines/test-network-policy");
    assert_eq!(cause["field"], "spec.ingress");
    assert_eq!(line_of(FIRST, cause["line"].as_u64()), "  ingress:");
    assert_eq!(outcome["gates"].as_array().map(Vec::len), Some(1));
    let gate = &outcome["gates"][0];
    for (field, value) in [
        ("node", "node2"),
        ("direction", "Ingress"),
        ("pod", "pod/tekton-pipelines/tekton-dashboard-xbgk6"),
        ("source", "10.233.90.0"),
        ("destination", "10.233.96.32:9097"),
        ("verdict", "Deny"),
        ("by", "NetworkPolicy tekton-pipelines/test-network-policy"),
    ] {
        assert_eq!(gate[field], value, "{field}");
    }
    let rewrites = outcome["rewrites"].as_array().expect("rewrites");
    assert_eq!(rewrites.len(), 2);
    assert_eq!(rewrites[0]["type"], "DNAT");
    assert_eq!(rewrites[0]["node"], "node1");
    assert_eq!(rewrites[0]["from"], "10.102.123.117:31602");
    assert_eq!(rewrites[0]["to"], "10.233.96.32:9097");
    assert_eq!(rewrites[1]["type"], "SNAT");
    assert_eq!(rewrites[1]["hook"], "POSTROUTING");
    assert_eq!(rewrites[1]["from"], "10.2.3.4");
    assert_eq!(rewrites[1]["to"], "10.233.90.0");
    assert_eq!(rewrites[1]["device"], "tunl0");
    assert!(outcome["hops"].as_array().is_some_and(|hops| hops.len() > 3));
    assert_eq!(outcome["reply"].as_array().map(Vec::len), Some(0), "nothing arrived");
}

fn line_of(example: &str, line: Option<u64>) -> String {
    let text = std::fs::read_to_string(project().join("examples").join(example)).expect("example");
    let line = usize::try_from(line.expect("a line")).expect("small");
    text.lines().nth(line - 1).expect("in the text").to_owned()
}

#[test]
fn flows_come_from_the_command_line_a_file_or_standard_input() {
    let flow = "client/user -> nodePort/node2:31602";
    let given = run(&["trace", FIRST, "--format", "json", "--flow", flow], b"");
    let piped =
        |text: &str| run(&["trace", FIRST, "--format", "json", "--flows", "-"], text.as_bytes());
    let commented = piped(&format!("# a comment\n\n{flow}\n"));
    let marked = piped(&format!("\u{feff}{flow}\r\n"));
    for done in [given, commented, marked] {
        let done = done.ends_with_status(0);
        assert_eq!(done.json().len(), 1);
        assert_eq!(done.json()[0]["verdict"], "Delivered");
    }
    let text = std::fs::read(project().join("examples").join(FIRST)).expect("example");
    run(&["trace", "-", "--flow", flow], &text).ends_with_status(0).says("10.2.3.4");
    run(&["trace", "-", "--flows", "-"], b"").ends_with_status(2).complains("standard input");
}

#[test]
fn wrong_flows_are_all_told() {
    let flows = "client/user -> nodePort/node1:31602\nclient/user\nuser -> ip/1.2.3.4:80\n";
    run(&["trace", FIRST, "--flows", "-"], flows.as_bytes())
        .ends_with_status(2)
        .complains("-:2:1: error: a flow is written `FROM -> TO`")
        .complains("-:3:1: error: `user` is no source");
    run(&["trace", FIRST, "--flow", "nonsense"], b"")
        .ends_with_status(2)
        .complains("--flow: error: a flow is written");
}

#[test]
fn every_format_tells_the_path() {
    for (format, part) in [
        ("text", "client/user -> nodePort/node1:31602"),
        ("markdown", "### `client/user -> nodePort/node1:31602`"),
        ("mermaid", "sequenceDiagram"),
        ("svg", "</svg>\n</g>\n</svg>\n"),
    ] {
        let done = run(&["trace", FIRST, "--format", format], b"").ends_with_status(0).says(part);
        assert!(done.out.contains("10.233.90.0"), "{format}");
        assert!(!done.out.contains('\u{1b}'), "{format}: colours, but no terminal");
    }
    let rules = run(&["trace", FIRST, "--rules"], b"").ends_with_status(0);
    let plain = run(&["trace", FIRST], b"").ends_with_status(0);
    assert!(rules.out.len() > plain.out.len());
}

#[test]
fn check_fails_where_an_expectation_does() {
    run(&["check", FIRST], b"").ends_with_status(0).says("ok    user through node1: Dropped");
    let text = std::fs::read_to_string(project().join("examples").join(FIRST)).expect("example");
    let wrong = text.replace("expect: Dropped", "expect: Delivered");
    assert_ne!(text, wrong);
    let done = run(&["check", "-"], wrong.as_bytes()).ends_with_status(1);
    done.says("FAIL  user through node1: expected Delivered, source 10.233.90.0, got Dropped");
    let wrong = text.replace("expectSource: 10.233.90.0", "expectSource: 10.2.3.4");
    assert_ne!(text, wrong);
    let done = run(&["check", "-"], wrong.as_bytes()).ends_with_status(1);
    done.says("expected Dropped, source 10.2.3.4, got Dropped, source 10.233.90.0");
    run(&["check", "-"], POLICY.as_bytes()).ends_with_status(2).complains("nothing to check");
}

/// A Scenario of its own clients that asks one thing.
fn asking(name: &str, expect: &str) -> String {
    format!(
        "apiVersion: hopwise.dev/v1\nkind: Scenario\nmetadata: {{name: {name}}}\nspec:\n  \
         clients: [{{name: {name}, ip: 198.51.100.7}}]\n  \
         flows: [{{from: client/{name}, to: \"ip/192.0.2.1:80\", {expect}}}]\n"
    )
}

const MET: &str = "expect: Delivered";
const NOT_MET: &str = "expect: Unroutable";

#[test]
fn check_looks_at_every_file_in_whatever_order() {
    let good = File::new("met.yaml", asking("good", MET));
    let bad = File::new("not-met.yaml", asking("bad", NOT_MET));
    for files in [[good.name(), bad.name()], [bad.name(), good.name()]] {
        run(&["check", files[0], files[1]], b"")
            .ends_with_status(1)
            .says("ok    client/good -> ip/192.0.2.1:80: Delivered\n")
            .says("FAIL  client/bad -> ip/192.0.2.1:80: expected Unroutable, got Delivered  (")
            .says(&format!("Scenario bad ({}:1:1)\n", bad.name()))
            .says("\n1 of 2 expectations failed (2 Scenarios, 2 files)\n");
    }
    run(&["check", good.name(), good.name()], b"")
        .ends_with_status(0)
        .says("\n2 expectations hold (2 Scenarios, 2 files)\n");
}

#[test]
fn check_looks_at_every_scenario_of_a_text() {
    let list = |items: [String; 2]| {
        let items = items.map(|item| format!("- {}", item.trim_end().replace('\n', "\n  ")));
        format!("apiVersion: v1\nkind: List\nitems:\n{}\n", items.join("\n"))
    };
    let same_name = [asking("a", MET), asking("a", NOT_MET)];
    let names = [asking("a", NOT_MET), asking("b", MET)];
    let nameless =
        names.clone().map(|text| text.replace("metadata: {name", "metadata: {namespace"));
    for text in [names.join("---\n"), list(names), same_name.join("---\n"), nameless.join("---\n")]
    {
        run(&["check", "-"], text.as_bytes())
            .ends_with_status(1)
            .says("\n1 of 2 expectations failed (2 Scenarios, 1 file)\n");
    }
}

#[test]
fn files_without_a_scenario_are_there_for_every_scenario() {
    let pod = |name: &str| {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\n")
    };
    let pod = File::new("pod.yaml", [pod("web"), pod("cli")].join("---\n"));
    let policy = File::new("policy.yaml", POLICY);
    let ask = |name: &str| {
        let asked = format!("name: {name}, expect: Dropped");
        let flow = asking(name, &asked).replace("ip/192.0.2.1", "pod/shop/web");
        flow.replace(&format!("client/{name}"), "pod/shop/cli")
    };
    let a = File::new("ask-a.yaml", ask("a"));
    // What one brings along is not there for the other.
    let open = POLICY.replace("closed", "open") + "  ingress: [{}]\n";
    let b = File::new("ask-b.yaml", format!("{}---\n{open}", ask("b")));
    run(&["check", pod.name(), a.name(), b.name(), policy.name()], b"")
        .ends_with_status(1)
        .says("ok    a: Dropped\n")
        .says("FAIL  b: expected Dropped, got Delivered")
        .says("\n1 of 2 expectations failed (2 Scenarios, 4 files)\n");
}

#[test]
fn check_counts_what_it_looked_at_in_json_too() {
    let text = [asking("a", MET), asking("b", NOT_MET)].join("---\n");
    let done = run(&["check", "-", "--format", "json"], text.as_bytes()).ends_with_status(1);
    let lines = done.json();
    let [met, not_met, all] = &lines[..] else { panic!("{}", done.out) };
    assert_eq!((&met["passed"], &not_met["passed"]), (&Value::from(true), &Value::from(false)));
    for (field, value) in [
        ("file", "-"),
        ("scenario", "b"),
        ("flow", "client/b -> ip/192.0.2.1:80"),
        ("expect", "Unroutable"),
        ("verdict", "Delivered"),
    ] {
        assert_eq!(not_met[field], value, "{field}");
    }
    assert_eq!(not_met["line"], 13);
    for (field, count) in [("files", 1), ("scenarios", 2), ("expectations", 2), ("failed", 1)] {
        assert_eq!(all[field], count, "{field}");
    }
}

#[test]
fn a_run_that_looked_at_no_expectation_fails() {
    let silent = asking("a", "name: silent");
    let twice = [silent.clone(), asking("b", "name: silent")].join("---\n");
    for (text, counted) in [
        (POLICY, "(0 Scenarios, 1 file)"),
        (&silent, "(1 Scenario, 1 file)"),
        (&twice, "(2 Scenarios, 1 file)"),
    ] {
        for format in ["text", "json"] {
            run(&["check", "-", "--format", format], text.as_bytes())
                .ends_with_status(2)
                .complains("error: nothing to check: no flow has an `expect`")
                .complains(counted);
        }
    }
    // One that says nothing beside others is told.
    let text = format!("{silent}---\n{}", asking("b", MET));
    run(&["check", "-"], text.as_bytes())
        .ends_with_status(0)
        .complains("-:1:1: note: this Scenario expects nothing")
        .says("\n1 expectation holds (2 Scenarios, 1 file)\n");
}

#[test]
fn an_expectation_that_cannot_be_read_is_never_passed_over() {
    let good = asking("good", MET);
    for (wrong, part) in [
        (asking("bad", "expct: Unroutable"), "unknown field \"spec.flows[0].expct\""),
        (asking("bad", "expect: Unrouted"), "spec.flows[0].expect: Unsupported value"),
        (asking("bad", NOT_MET).replace("kind: Scenario", "kind: Scenaro"), "write `Scenario`"),
        (asking("bad", NOT_MET).replace("kind: Scenario", "kind: Test"), "write `Scenario`"),
        (asking("bad", NOT_MET).replace("dev/v1", "dev/v2"), "write `hopwise.dev/v1`"),
        (asking("bad", NOT_MET) + "  exposure: []\n", "unknown field \"spec.exposure\""),
    ] {
        let text = format!("{good}---\n{wrong}");
        run(&["check", "-"], text.as_bytes()).ends_with_status(2).complains(part).says("ok    ");
        let files = [File::new("good.yaml", &good), File::new("wrong.yaml", &wrong)];
        run(&["check", files[0].name(), files[1].name()], b"")
            .ends_with_status(2)
            .complains(part)
            .says("ok    ");
    }
}

#[test]
fn a_problem_that_a_scenario_is_about_is_expected() {
    let example = "ingress-empty-map.yaml";
    let done = run(&["check", example], b"").ends_with_status(0);
    done.says("ok    problem: json: cannot unmarshal object into Go struct field")
        .says("\n4 expectations hold (1 Scenario, 1 file)\n")
        .complains(": note: as expected: json: cannot unmarshal");
    run(&["trace", example], b"").ends_with_status(0);
    let text = std::fs::read_to_string(project().join("examples").join(example)).expect("example");
    // Where it is no more, or another one comes, that is told.
    let mended = text.replace("  ingress: {}\n", "");
    assert_ne!(text, mended);
    let part = "cannot unmarshal object into Go struct field NetworkPolicySpec.spec.ingress";
    run(&["check", "-"], mended.as_bytes())
        .ends_with_status(1)
        .says(&format!("FAIL  problem: expected `{part}`, got none  (-:"));
    let policy = POLICY.replace("podSelector: {}", "podSelector: {}\n  ingress: {}");
    let again = format!("{text}---\n{policy}");
    run(&["check", "-"], again.as_bytes()).ends_with_status(2).complains(": error: json: cannot");
    let any = asking("any", MET) + "  expectProblems: ['']\n";
    run(&["check", "-"], any.as_bytes())
        .ends_with_status(2)
        .complains("expectProblems[0]: Required");
}

#[test]
fn the_examples_hold() {
    let done = run(&["check", "."], b"").ends_with_status(0);
    let scenarios = std::fs::read_dir(project().join("examples"))
        .expect("the examples")
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "yaml"))
        .count();
    done.says(&format!(" expectations hold ({scenarios} Scenarios, {scenarios} files)\n"));
}

#[test]
fn every_command_takes_each_scenario_in_turn() {
    let text = [asking("a", MET), asking("b", MET)].join("---\n");
    let text = text.as_bytes();
    let lines = run(&["trace", "-", "--format", "json"], text).ends_with_status(0);
    let flows: Vec<_> = lines.json().iter().map(|line| line["flow"].clone()).collect();
    assert_eq!(flows, ["client/a -> ip/192.0.2.1:80", "client/b -> ip/192.0.2.1:80"]);
    lines.complains("2 Scenarios in 1 file");
    run(&["trace", "-"], text).ends_with_status(0).says("Scenario b (-:8:1)\nclient/b -> ");
    assert_eq!(run(&["evaluate", "-"], text).ends_with_status(0).json().len(), 2);
    assert_eq!(run(&["matrix", "-", "--format", "json"], text).ends_with_status(0).json().len(), 2);
    // One document can't hold several.
    run(&["trace", "-", "--format", "svg"], text)
        .ends_with_status(2)
        .complains("there are several");
    run(&["matrix", "-", "--format", "csv"], text)
        .ends_with_status(2)
        .complains("there are several");
    // What is shared is told once.
    let text = [OPEN_RULE, &asking("a", MET), &asking("b", MET)].join("---\n");
    let found = run(&["findings", "-"], text.as_bytes()).ends_with_status(0);
    assert_eq!(found.out.matches("does not restrict egress").count(), 1, "{}", found.out);
}

#[test]
fn evaluate_asks_the_policies_alone() {
    let flows = "pod/dev/debug -> pod/shop/db:5432\nnode/node2 -> pod/shop/db:5432\n";
    let example = "default-deny-and-the-node.yaml";
    let done = run(&["evaluate", example, "--flows", "-", "--format", "json"], flows.as_bytes());
    let answers = done.ends_with_status(0).json();
    assert_eq!(answers[0]["flow"], "pod/dev/debug -> pod/shop/db:5432");
    assert_eq!(answers[0]["allowed"], false);
    assert_eq!(answers[0]["ingress"]["verdict"], "Deny");
    assert_eq!(answers[0]["ingress"]["by"], "NetworkPolicy shop/default-deny-ingress");
    assert!(answers[0]["ingress"]["line"].is_u64());
    assert_eq!(answers[0]["egress"]["verdict"], "Allow");
    assert_eq!(answers[0]["egress"]["by"], "no policy");
    assert_eq!(answers[1]["allowed"], true, "a node reaches its own pods");
}

#[test]
fn evaluate_does_not_answer_for_the_pods_of_a_service() {
    let text = format!(
        "{POLICY}---\napiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
    );
    let flow = "pod/shop/client -> service/shop/web:80";
    let done = run(&["evaluate", "-", "--flow", flow], text.as_bytes());
    let answer = &done.ends_with_status(0).json()[0];
    assert_eq!(
        answer["ingress"]["uncertain"],
        "the policies of the pods of service/shop/web decide"
    );
}

#[test]
fn staged_policies_are_told_as_what_would_be() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b, labels: {app: a}}\n---\n\
                apiVersion: projectcalico.org/v3\nkind: StagedNetworkPolicy\nmetadata: {name: shut, \
                namespace: b}\nspec: {selector: app == 'a'}\n";
    let flow = ["--flow", "ip/192.0.2.1 -> pod/b/a:80"];
    let arguments = [&["evaluate", "-"], &flow[..]].concat();
    let answer = run(&arguments, text.as_bytes()).ends_with_status(0).json().remove(0);
    assert_eq!(answer["allowed"], true);
    let staged = &answer["ingress"]["staged"][0];
    assert_eq!(staged["policies"][0], "StagedNetworkPolicy b/shut");
    assert_eq!(staged["would"], "Deny");
    assert_eq!(staged["line"], 5);
    let arguments = [&arguments[..], &["--format", "text"]].concat();
    run(&arguments, text.as_bytes())
        .ends_with_status(0)
        .says("~ StagedNetworkPolicy b/shut is staged: enforced, it would deny this:");
}

#[test]
fn matrix_shows_who_may_reach_whom() {
    let example = "default-deny-one-namespace.yaml";
    let done = run(&["matrix", example, "--format", "csv", "--ports"], b"").ends_with_status(0);
    let done = done
        .says("from,to,port,protocol,allowed\n")
        .says("pod/dev/debug,pod/default/web,8080,TCP,false\n")
        .says("pod/dev/debug,pod/shop/db,5432,TCP,true\n");
    assert!(!done.out.contains("pod/shop/db,pod/shop/db"), "a pod and itself");
    let json = run(&["matrix", example, "--format", "json"], b"").ends_with_status(0).json();
    let matrix = &json[0];
    let rows = matrix["rows"].as_array().expect("rows");
    assert_eq!(matrix["cells"].as_array().map(Vec::len), Some(rows.len()));
    run(&["matrix", example], b"").ends_with_status(0).says("pod/shop/db").says("✗");
    run(&["matrix", example, "--ports"], b"").ends_with_status(0).says("5432");
    run(&["matrix", example, "--format", "markdown"], b"").ends_with_status(0).says("| --- |");
}

#[test]
fn several_files_are_one_stream_and_keep_their_lines() {
    let good = File::new("good.yaml", POLICY.trim_end());
    let bad = File::new("bad.yaml", POLICY.replace("podSelector: {}", "podSelector: []"));
    let place = format!("{}:7:", bad.name());
    run(&["matrix", good.name(), bad.name()], b"")
        .ends_with_status(2)
        .complains(&place)
        .complains(": error: ");
}

#[test]
fn a_folder_is_the_files_in_it() {
    let folder = std::env::temp_dir().join(format!("hopwise-{}-folder", std::process::id()));
    std::fs::create_dir_all(folder.join("deeper.yaml")).expect("a temporary folder");
    let name = folder.to_str().expect("a name in UTF-8");
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("written");
    write("notes.txt", "just words");
    run(&["matrix", name], b"").ends_with_status(2).complains("no .yaml, .yml or .json file");
    // A scenario in a folder of its own is not looked at, and so not kept silent about.
    let deeper =
        format!("{}: note: folders in a folder are not read", folder.join("deeper.yaml").display());
    write("1.yaml", &asking("a", MET));
    run(&["check", name], b"").ends_with_status(0).complains(&deeper);
    write("1.yaml", POLICY);
    write("2.yml", &POLICY.replace("closed", "second"));
    write("3.json", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop"}}"#);
    let place = format!("{}:1:", folder.join("3.json").display());
    run(&["matrix", name], b"").ends_with_status(2).complains(&place);
    std::fs::remove_file(folder.join("3.json")).expect("removed");
    run(&["evaluate", name, "--flow", "pod/shop/client -> pod/shop/server:80"], b"")
        .ends_with_status(0)
        .says("shop/closed")
        .says("shop/second");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn every_error_is_told_and_the_rest_still_works() {
    let text = format!(
        "{}---\n{}---\n{POLICY}",
        POLICY.replace("podSelector: {}", "podSelector: 5"),
        POLICY.replace("podSelector: {}", "podSelector: {}\n  ingress: {}"),
    );
    let done = run(&["matrix", "-"], text.as_bytes()).ends_with_status(2);
    assert_eq!(done.err.matches(": error: ").count(), 2, "{}", done.err);
    assert!(!done.out.is_empty());
}

#[test]
fn errors_are_shown_with_a_caret_at_their_character() {
    let text = "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata:\n  name: a\n\
                spec:\n  selector: >-\n    app == 'web' &&\n    tier in {'a', b}\n";
    let done = run(&["matrix", "-"], text.as_bytes()).ends_with_status(2).complains(
        "-:8:19: error: spec.selector: Invalid value: \"app == 'web' && tier in {'a', b}\": expected }",
    );
    done.complains("\n  |     tier in {'a', b}\n  |                   ^\n");
}

#[test]
fn of_a_long_line_what_is_near_the_error_is_shown() {
    let items = "{apiVersion: a/b, kind: Widget, metadata: {name: ü}}, ".repeat(1000);
    let text = format!("{{apiVersion: v1, kind: List, items: [{items}1, {items}]}}");
    run(&["matrix", "-"], text.as_bytes())
        .ends_with_status(2)
        .complains("-:1:54038: error: this is no Kubernetes object")
        .complains("\n  |  ü}}, {apiVersion: a/b, kind: Widget, metadata: {name: ü}}, 1, {api")
        .complains(&format!(" metad\n  | {}^\n", " ".repeat(60)));
}

#[test]
fn what_is_no_scenario_is_told_so() {
    run(&["trace", "there-is-no-such-file.yaml"], b"")
        .ends_with_status(2)
        .complains("there-is-no-such-file.yaml:1:1: error: can't be read");
    run(&["trace", "-"], b"").ends_with_status(2).complains("error: ");
    run(&["trace", "-"], b"\n# nothing but a comment\n").ends_with_status(2).complains("error: ");
    run(&["trace", "-"], b"kind: [\n").ends_with_status(2).complains("-:").complains(": error: ");
    run(&["trace", "-"], b"\tkind: Pod\n").ends_with_status(2).complains("-:1:");
    run(&["trace", "-"], b"just words").ends_with_status(2).complains("error: ");
    run(&["trace", "-"], b"kind: Pod\nname: \xff\xfe\n")
        .ends_with_status(2)
        .complains("-:2:7: error: not a text: byte 0xff is not UTF-8");
    run(&["trace", "-"], b"\xff\xfek\0i\0n\0d\0").ends_with_status(2).complains("UTF-16");
    let elf: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    run(&["trace", "-"], &elf).ends_with_status(2).complains("error: ");
    run(&["trace"], b"").ends_with_status(2).complains("FILE");
}

#[test]
fn unknown_kinds_are_no_error() {
    let text =
        format!("apiVersion: example.org/v1\nkind: Widget\nmetadata:\n  name: w\n---\n{POLICY}");
    run(&["matrix", "-"], text.as_bytes()).ends_with_status(0);
}

#[test]
fn a_service_without_endpoints_rejects() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  \
         clusterIP: 10.96.0.7\n  ports:\n  - port: 80\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  \
         name: caller\n  namespace: shop\n";
    let flow = "pod/shop/caller -> service/shop/web:80";
    let done = run(&["trace", "-", "--format", "json", "--flow", flow], text.as_bytes());
    let answer = &done.ends_with_status(0).json()[0];
    assert_eq!(answer["verdict"], "Rejected");
    assert_eq!(answer["outcomes"][0]["cause"]["kind"], "NoEndpoints");
}

#[test]
fn a_flow_to_nowhere_is_answered() {
    let flow = "client/nobody -> service/no/where:80";
    let done = run(&["trace", FIRST, "--format", "json", "--flow", flow], b"").ends_with_status(0);
    assert_eq!(done.json()[0]["verdict"], "Unroutable");
}

#[test]
fn aliases_do_not_multiply() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..40 {
        let last = format!("*a{}", i - 1);
        let _ = writeln!(bomb, "a{i}: &a{i} [{}]", vec![last; 10].join(", "));
    }
    run(&["matrix", "-"], bomb.as_bytes()).ends_with_status(2).complains("error: ");
}

#[test]
fn deep_nesting_is_no_trap() {
    let deep = format!("kind: {}", "[".repeat(100_000));
    run(&["matrix", "-"], deep.as_bytes()).ends_with_status(2).complains("error: ");
}

#[test]
fn a_large_dump_is_read() {
    let mut dump = String::from("apiVersion: v1\nkind: List\nitems:\n");
    let mut n = 0;
    while dump.len() < 5_000_000 {
        n += 1;
        let _ = write!(
            dump,
            "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: web-{n}\n    namespace: ns-{}\n    \
             labels:\n      app: web\n    managedFields:\n    - manager: kubelet\n      operation: Update\n      \
             fieldsV1:\n        f:metadata:\n          f:labels:\n            .: {{}}\n            f:app: {{}}\n  \
             spec:\n    nodeName: node{}\n    containers:\n    - name: main\n      image: example.org/web:1\n      \
             env:\n      - name: FILLER\n        value: {}\n  status:\n    phase: Running\n    podIP: 10.{}.{}.{}\n",
            n % 40,
            n % 50,
            "x".repeat(2_000),
            100 + n / 65_536,
            n / 256 % 256,
            n % 256,
        );
    }
    let done = run(&["matrix", "-", "--format", "csv"], dump.as_bytes()).ends_with_status(0);
    assert!(done.out.lines().count() > 40, "{}", done.err);
}

#[test]
fn whoever_stops_reading_is_not_told_off() {
    let flows = "client/user -> nodePort/node1:31602\n".repeat(2_000);
    let flows = File::new("flows.txt", flows);
    let mut child = Command::new(hopwise())
        .args(["trace", "--format", "json", "--flows", flows.name()])
        .arg(project().join("examples").join(Path::new(FIRST)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdout = child.stdout.take().expect("stdout");
    let mut first = [0; 1];
    stdout.read_exact(&mut first).expect("an answer");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

const OPEN_RULE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {}
  egress: []
";

#[test]
fn findings_are_told_with_their_place_and_can_fail_the_run() {
    let found = run(&["findings", "-"], OPEN_RULE.as_bytes()).ends_with_status(0);
    assert!(found.out.starts_with(
        "-:7:3: warning: NetworkPolicy shop/p does not restrict egress\n  without policyTypes"
    ));
    run(&["findings", "-", "--deny", "error"], OPEN_RULE.as_bytes()).ends_with_status(0);
    run(&["findings", "-", "--deny", "warning"], OPEN_RULE.as_bytes()).ends_with_status(1);
    let lines = run(&["findings", "-", "--format", "json"], OPEN_RULE.as_bytes()).json();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["egress-not-isolated", "established-connections"]);
    assert_eq!(lines.first().map(|line| &line["line"]), Some(&Value::from(7)));
}

/// Every kind of name and message, each with what would steer a terminal or command a CI service.
const FORGED: &str = r#"
apiVersion: "v1\e[2J\e]0;forged\a\n::error::forged by a version"
kind: Pod
metadata: {name: a}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: s}
spec:
  clients: [{name: "u\e[2J", ip: 9.9.9.9}]
  flows:
  - {name: "a\nok    forged: Delivered\n::error::forged by a name", from: "client/u\e[2J", to: "ip/1.2.3.4:80", expect: Delivered}
  - {name: "\u202Eb ##[error]forged", from: "client/u\e[2J", to: "node/n\r\x9B2J:80", expect: Delivered}
---
apiVersion: v1
kind: Service
metadata: {name: "w\n::error::forged", namespace: "s\r::error::forged", labels: {"\e[2J": "\e[2J"}}
spec: {type: "\n::error::forged", selector: {"a\e": "b\x85"}, ports: [{name: "\e[2J", port: 80}]}
"#;

#[test]
fn no_text_steers_a_terminal_or_forges_a_line() {
    let file = File::new("forged\u{1b}[2J\n::error::forged.yaml", FORGED);
    let raw = File::new("raw.yaml", "kind: Pod\nx: \u{1b}[31mred\u{1b}]0;forged\u{7}\n");
    let flow = ["--flow", "client/\u{1b}[2J\n::error::forged -> ip/1.1.1.1:80"];
    let wrong = ["--flow", "\u{1b}[2J\n::error::forged"];
    let list = File::new("list", "client/\u{1b}[2J -> ip/1.1.1.1:80\n\u{1b}[2J\n");
    let flows = ["--flows", list.name()];
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["check"],
        vec!["findings"],
        vec!["findings", "--format", "text"],
        vec!["matrix"],
        vec!["matrix", "--ports"],
        vec!["\u{1b}[2J\n::error::forged"],
    ];
    for format in ["text", "json", "mermaid", "markdown", "svg"] {
        runs.extend(
            [&flow[..], &wrong, &flows, &[]]
                .map(|flows| [&["trace", "--format", format][..], flows].concat()),
        );
    }
    for format in ["text", "json"] {
        runs.push([&["evaluate", "--format", format][..], &flow].concat());
    }
    for format in ["\u{1b}[2J\n::error::forged", "csv", "json", "markdown"] {
        runs.push(vec!["matrix", "--format", format]);
    }
    for run_of in &runs {
        for file in [file.name(), raw.name(), "missing\u{1b}[2J\n::error::forged"] {
            let done = run(&[&run_of[..], &[file]].concat(), b"");
            for line in done.out.lines().chain(done.err.lines()) {
                let steers = line.contains(|c: char| c.is_control() || c == '\u{202e}');
                let command = line.trim_start().starts_with("::") || line.contains("##[");
                let forged = line.starts_with("ok    forged");
                assert!(!steers && !command && !forged, "{run_of:?}: {line:?}");
            }
        }
    }
    run(&["check", file.name()], b"")
        .says("ok    a␊ok    forged: Delivered␊::error::forged by a name: Delivered")
        .complains("v1␛[2J");
    run(&["check", raw.name()], b"").complains("  | x: ␛[31mred␛]0;forged␇\n  |    ^");
}

#[test]
fn a_text_without_a_flow_says_why_there_is_none() {
    run(&["trace", "-"], b"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
        .ends_with_status(2)
        .complains(
            "error: no flow to trace: the scenario has none, and nothing in it proposes one",
        );
    let broken = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: x, namespace: shop}
spec: {podSelector: {}, ingress: [{ports: [{protocol: tcp}]}]}
";
    run(&["trace", "-"], broken.as_bytes())
        .ends_with_status(2)
        .complains("error: no flow to trace: what could propose one may be among what has errors");
}
