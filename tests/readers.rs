//! Reports of hostile names, as readers of Markdown and Mermaid take them.
//!
//! The readers are node packages of `web/editor`. Without them the test says that it was skipped,
//! unless `HOPWISE_PAGE=required`, as `make test` has it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use hopwise::analysis::matrix;
use hopwise::report::{grid, markdown, mermaid};
use hopwise::{escape, read, trace};
use hopwise_tests::project;
use serde_json::{Value, json};

/// What would end a name's place, or begin something that a reader obeys.
const HOSTILE: [&str; 40] = [
    "x",
    "x` <img src=http://forged.example/a.png> ![p](http://forged.example/b.png) @everyone `y",
    "`` ` ```",
    "`",
    "\\`<b>\\",
    "\\",
    "|",
    "\\|",
    "a\\\\|`b`|",
    "<script>forged()</script>",
    "<!-- a",
    "</code><b>",
    "&lt;b&gt;&#60;&amp;",
    "[a](javascript:forged)",
    "[a]: http://forged.example",
    "![a][b]",
    "http://forged.example",
    "<http://forged.example>",
    "www.forged.example",
    "forged@forged.example",
    "*a* **b** _c_ __d__ ~~e~~",
    "$a$ $$b$$ #1",
    "\n\n# forged\n\n- forged\n\n> forged\n\n1. forged\n\n---\n",
    "\r\r# forged\r\r| a | b |\r| - | - |\r",
    "\u{85}\u{2028}# forged",
    "\n```\nforged\n~~~",
    "    forged",
    "\tforged",
    "y\r%%{init: {\"theme\":\"dark\"}}%%\r    Note over p0: forged",
    "%%{init: {'theme': 'dark'}}%%",
    "%% forged",
    "a; Note over p0: forged",
    "a\n    Note over p0: forged\n",
    "#59;#lt;#quot;#9829;",
    "#",
    "style:#a",
    "classDef x:#a;",
    "wrap:a",
    ":nowrap: a $$x$$ <br/> b \\n c",
    "p0@{ \"type\": \"database\" } end \"'",
];

/// A world of the name, and what is asked about it.
fn reports(name: &str) -> Vec<Value> {
    let object = |kind: &str, version: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": "shop", "labels": {"app": name}});
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let peer = json!({"podSelector": {"matchLabels": {"app": name}}});
    let clients = json!([{"name": name, "ip": "9.9.9.9"}]);
    let balancers = json!([{"name": name, "ip": "9.9.9.8", "services": []}]);
    let documents = [
        json!({
            "apiVersion": "hopwise.dev/v1", "kind": "Scenario", "metadata": {"name": "s"},
            "spec": {"clients": clients, "balancers": balancers, "flows": [
                {"from": format!("client/{name}"), "to": format!("nodePort/{name}:30080")},
                {"from": format!("pod/shop/{name}"), "to": "service/shop/web:80"},
                {"from": format!("client/{name}"), "to": format!("pod/shop/{name}:80")},
            ]},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"type": "NodePort", "selector": {"app": "web"},
                     "ports": [{"name": name, "port": 80, "nodePort": 30080}]},
        }),
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "w", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"nodeName": name, "containers": [{"name": "c", "image": "i"}]},
            "status": {"podIP": "10.1.1.1"},
        }),
        object("Pod", "v1", json!({"nodeName": name, "containers": [{"name": "c", "image": "i"}]})),
        object(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            json!({"podSelector": {}, "ingress": [{"from": [peer]}]}),
        ),
    ];
    let text: Vec<String> = documents.iter().map(Value::to_string).collect();
    let reading = read(&text.join("\n---\n"));
    let cluster = &reading.cluster;
    let table: String = grid::markdown(&matrix(cluster), true).collect();
    let rows = table.lines().count() - 2;
    let columns = matrix(cluster).columns.len() + 1;
    let mut reports = vec![json!({
        "format": "markdown", "report": table, "code": null, "rows": rows, "columns": columns,
    })];
    for flow in reading.scenario.flows.iter().map(|it| &it.flow) {
        let trace = trace(cluster, flow);
        let rows: usize = trace.outcomes.iter().map(|it| it.steps.len() + it.reply.len()).sum();
        let code = escape::line(&flow.to_string()).replace("\\|", "\\ |");
        reports.push(json!({
            "format": "markdown", "report": markdown::path(cluster, &trace), "code": code,
            "rows": rows, "columns": 5,
        }));
        let report = mermaid::path(cluster, &trace);
        let rows = report.lines().count() - 1;
        let asks = flow.to_string().starts_with(&format!("client/{name} ->")) && rows > 0;
        let texts = asks.then(|| escape::line(&format!("client {name}")).trim().to_owned());
        let texts: Vec<String> = texts.into_iter().collect();
        reports.push(json!({"format": "mermaid", "report": report, "rows": rows, "texts": texts}));
    }
    reports
}

#[test]
fn readers_take_no_name_for_more_than_a_name() {
    if !project().join("web/editor/node_modules/mermaid").is_dir() {
        let required = std::env::var_os("HOPWISE_PAGE").is_some_and(|wish| wish == "required");
        assert!(!required, "the node packages of web/editor are missing: npm ci");
        // Not `eprintln`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: no node packages in web/editor (npm ci)");
        return;
    }
    let reports: Vec<Value> = HOSTILE.iter().flat_map(|name| reports(name)).collect();
    let mut node = Command::new("node")
        .arg(project().join("tests/readers.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut stdin = node.stdin.take().expect("stdin");
    stdin.write_all(Value::from(reports).to_string().as_bytes()).expect("node reads");
    drop(stdin);
    let output = node.wait_with_output().expect("node ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
