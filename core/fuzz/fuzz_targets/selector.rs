//! Calico's selectors survive whatever is written: what parses has a stored form that selects the
//! same, and is itself once negations that cancel each other are gone, and an error stands inside
//! the text.
#![no_main]

use hopwise::net::Labels;
use hopwise::net::Selector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let labels: Labels =
        [("a", "x"), ("b", ""), ("app.kubernetes.io/name", "web")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    match text.parse::<Selector>() {
        Ok(selector) => {
            let stored = selector.canonical();
            let again: Selector = stored.parse().expect("the stored form is a selector");
            let last = again.canonical();
            assert_eq!(last.parse::<Selector>().expect("and so is its own").canonical(), last);
            assert_eq!(again.matches(&labels), selector.matches(&labels), "{text}");
        }
        Err(error) => assert!(error.at <= text.len(), "{text}: {error}"),
    }
});
