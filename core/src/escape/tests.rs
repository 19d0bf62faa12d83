use super::*;

/// Characters that a name can hold and a reader would obey: line ends, what steers terminals, what
/// turns the direction of writing, what can't be seen, and what is no character.
const HIDDEN: &str = "\0\u{7}\u{8}\n\u{b}\u{c}\r\u{1b}\u{7f}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{200b}\u{200d}\
    \u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{fffe}\u{ffff}\u{1fffe}\u{e0041}";

#[test]
fn names_of_kubernetes_and_what_hopwise_writes_stay_as_they_are() {
    for text in [
        "NetworkPolicy shop/only-the-user.v1, spec.ingress[0], line 9",
        "::1",
        "::/0 is not in 10.0.0.0/8",
        "::ffff:10.0.0.1",
        "[::]:80",
        "::",
        "✓ delivered → `a == 'b'`\tübergröße 日本 ## a heading, #1",
    ] {
        assert_eq!(line(text), text);
    }
    assert_eq!(json("{\"a\": \"übergröße, #1\"}"), "{\"a\": \"übergröße, #1\"}");
    assert_eq!(xml("node1's 10.0.0.1"), "node1's 10.0.0.1");
    assert_eq!(
        mermaid("10.0.0.1:80 → pod/a/b, a-b_c (line 9)"),
        "10.0.0.1:80 → pod/a/b, a-b_c (line 9)"
    );
    assert_eq!(markdown("sees 10.0.0.1:80 (node1's tunl0)."), "sees 10.0.0.1:80 (node1's tunl0).");
    assert_eq!(csv("pod/a/b"), "pod/a/b");
}

#[test]
fn what_is_hidden_is_seen_in_one_column_each() {
    assert_eq!(line("a\u{1b}[2J\rb\nc\u{7f}"), "a␛[2J␍b␊c␡");
    for hidden in HIDDEN.chars() {
        let shown = line(&hidden.to_string());
        assert_eq!(shown.chars().count(), 1, "{hidden:?}");
        assert_ne!(shown, hidden.to_string());
        for shown in [markdown, code, mermaid, xml, csv].map(|escape| escape(&hidden.to_string())) {
            assert!(!shown.contains(hidden), "{hidden:?} in {shown:?}");
        }
    }
}

#[test]
fn no_line_is_a_command_of_a_ci_service() {
    assert_eq!(line("::error::forged"), "\\::error::forged");
    assert_eq!(line(" \t::add-mask::forged"), "\\ \t::add-mask::forged");
    assert_eq!(line("::error file=a::forged"), "\\::error file=a::forged");
    assert_eq!(line("a ##[error]b"), "a #\\#[error]b");
    assert_eq!(line("a ###vso[task.complete]"), "a ##\\#vso[task.complete]");
    assert_eq!(line("##teamcity[testFailed]"), "#\\#teamcity[testFailed]");
}

#[test]
fn json_keeps_its_value() {
    let text = format!("##[error] {HIDDEN} ::error:: ü");
    let written = json(&serde_json::to_string(&text).unwrap());
    assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    assert_eq!(line(&written), written);
}

#[test]
fn no_field_of_csv_is_a_formula_or_two_fields() {
    assert_eq!(csv("=1+1"), "'=1+1");
    assert_eq!(csv("@SUM(1;2)"), "\"'@SUM(1;2)\"");
    assert_eq!(csv("-1"), "'-1");
    assert_eq!(csv("a\"b,c"), "\"a\"\"b,c\"");
    assert_eq!(csv("a\nb"), "a␊b");
}

#[test]
fn markdown_is_text() {
    assert_eq!(
        markdown("a *b* _c_ [d](e) `f` ~g~ &lt; <b> h\\"),
        r"a \*b\* \_c\_ \[d\](e) \`f\` \~g\~ \&lt; \<b\> h\\"
    );
    assert_eq!(markdown("- a"), r"\- a");
    assert_eq!(markdown("12. a"), r"12\. a");
    assert_eq!(markdown("10.0.0.1 a"), "10.0.0.1 a");
    assert_eq!(
        markdown("see https://a.example, #1 and @all"),
        "see `https://a.example,` `#1` and `@all`"
    );
    assert_eq!(cell(&markdown(r"a|b\|c")), r"a\|b\\\|c");
}

#[test]
fn nothing_leaves_code() {
    assert_eq!(code("a"), "`a`");
    assert_eq!(code(""), "");
    assert_eq!(code("a`b"), "``a`b``");
    assert_eq!(code("`"), "`` ` ``");
    assert_eq!(cell(&code("a || b")), r"`a \|\| b`");
    assert_eq!(cell(&code(r"a\|b")), r"`a\ \|b`");
}

#[test]
fn mermaid_is_text() {
    assert_eq!(mermaid("a;b#c<d"), "a#59;b#35;c#lt;d");
    assert_eq!(mermaid("%%{init: {}}%%"), "#37;#37;{init: {}}#37;#37;");
    assert_eq!(mermaid("\"&lt;\\n$$x$$@{"), "#34;#38;lt#59;#92;n#36;#36;x#36;#36;#64;{");
    // The first would cut the entity behind it, the second is not shown.
    assert_eq!(mermaid("style:#"), "#115;tyle:#35;");
    assert_eq!(mermaid("nowrap: a"), "#110;o#119;rap: a");
}

#[test]
fn xml_is_text() {
    assert_eq!(xml("<a b=\"c\" d='e'>&amp;"), "&lt;a b=&quot;c&quot; d='e'&gt;&amp;amp;");
}
