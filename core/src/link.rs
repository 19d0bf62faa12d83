//! A scenario and how it is looked at, as the fragment of a link.
//!
//! `#v1=` and then, in base64url without padding, a zlib stream. Inside stand the view's settings,
//! one `key: value` a line, an empty line, and the scenario's text as it is. zlib and not bare
//! deflate, because its checksum tells a damaged link from a good one. The fragment never leaves
//! the browser. Every version ever written stays readable; `v1` never changes its meaning.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

/// The most bytes that a link may unfold to: a guard against links made to fill the memory.
pub const MAX_UNFOLDED: usize = 8 << 20;

const VERSION: &str = "v1";
/// `miniz_oxide`'s best; a level above zlib's 9.
const LEVEL: u8 = 10;

/// What a link carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The scenario's text.
    pub text: String,
    /// How it is looked at.
    pub view: View,
}

/// How a scenario is looked at. What is not set is left to the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The selected flow, in flow notation.
    pub flow: Option<String>,
    /// The open tab.
    pub tab: Option<String>,
    /// The theme, if one was chosen.
    pub theme: Option<String>,
}

impl View {
    /// The settings in the order in which they are written.
    fn settings(&self) -> [(&'static str, &Option<String>); 3] {
        [("flow", &self.flow), ("tab", &self.tab), ("theme", &self.theme)]
    }

    fn set(&mut self, key: &str, value: &str) {
        let slot = match key {
            "flow" => &mut self.flow,
            "tab" => &mut self.tab,
            "theme" => &mut self.theme,
            // Of a later Hopwise: the scenario matters more than the setting.
            _ => return,
        };
        *slot = Some(value.to_owned());
    }
}

/// Why a link cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// It does not begin with a version.
    Foreign,
    /// It was written by a later Hopwise, of this version.
    Version(String),
    /// It was cut off or changed on its way.
    Damaged,
    /// It unfolds to more than [`MAX_UNFOLDED`].
    TooLarge,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => {
                write!(f, "this link holds no scenario: it should begin with `#{VERSION}=`")
            }
            Self::Version(version) => write!(
                f,
                "this link is of version `{version}`, which this Hopwise cannot read: reload the \
                 page to get a newer one"
            ),
            Self::Damaged => f.write_str(
                "this link is damaged: it was cut off or changed on its way; ask for it again, \
                 or for the scenario's YAML file",
            ),
            Self::TooLarge => write!(
                f,
                "this link unfolds to more than {} MiB, more than a scenario may have",
                MAX_UNFOLDED >> 20
            ),
        }
    }
}

impl std::error::Error for LinkError {}

/// The fragment, without its `#`.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = String::with_capacity(self.text.len() + 64);
        for (key, value) in self.view.settings() {
            if let Some(value) = value {
                // A line break would end the setting; no setting has one.
                let line = value.lines().next().unwrap_or_default();
                body.extend([key, ": ", line, "\n"]);
            }
        }
        body.push('\n');
        body.push_str(&self.text);
        let packed = compress_to_vec_zlib(body.as_bytes(), LEVEL);
        write!(f, "{VERSION}={}", URL_SAFE_NO_PAD.encode(packed))
    }
}

impl FromStr for Link {
    type Err = LinkError;

    /// Reads a fragment, with or without its `#`.
    fn from_str(fragment: &str) -> Result<Self, LinkError> {
        let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
        let (version, payload) = fragment.split_once('=').ok_or(LinkError::Foreign)?;
        let number = version.strip_prefix('v').unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(LinkError::Foreign);
        }
        if version != VERSION {
            return Err(LinkError::Version(version.to_owned()));
        }
        // Prose glues its punctuation to links.
        let payload = payload
            .trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let packed = URL_SAFE_NO_PAD.decode(payload).map_err(|_| LinkError::Damaged)?;
        let body =
            decompress_to_vec_zlib_with_limit(&packed, MAX_UNFOLDED).map_err(
                |error| match error.status {
                    TINFLStatus::HasMoreOutput => LinkError::TooLarge,
                    _ => LinkError::Damaged,
                },
            )?;
        let body = String::from_utf8(body).map_err(|_| LinkError::Damaged)?;
        let mut view = View::default();
        let mut rest = body.as_str();
        while let Some((line, after)) = rest.split_once('\n') {
            rest = after;
            if line.is_empty() {
                return Ok(Self { text: rest.to_owned(), view });
            }
            if let Some((key, value)) = line.split_once(": ") {
                view.set(key, value);
            }
        }
        Err(LinkError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(text: &str) -> Link {
        let view = View { flow: Some("client/user -> node/n:1".to_owned()), ..View::default() };
        Link { text: text.to_owned(), view }
    }

    #[test]
    fn a_link_of_the_first_version_stays_readable() {
        let golden =
            "v1=eNpLy8kvt1JIzslMzSvRLy1OLVLQtVPIy09J1c-zMuTiys7MS7FSCMpPzuZSVihJrSjhAgCa4Q-Y";
        let read = golden.parse::<Link>();
        assert_eq!(read, Ok(link("kind: Rock\n# text\n")));
    }

    #[test]
    fn a_leading_hash_and_trailing_punctuation_do_not_matter() {
        let scenario = link("kind: Service\n");
        for around in ["", ".", ")", "=", " \n"] {
            assert_eq!(format!("#{scenario}{around}").parse(), Ok(scenario.clone()));
        }
    }

    #[test]
    fn every_cut_and_every_changed_character_is_noticed() {
        let whole = link("kind: Service\nmetadata: {name: web}\n").to_string();
        for cut in 3..whole.len() {
            assert_eq!(whole[..cut].parse::<Link>(), Err(LinkError::Damaged), "cut at {cut}");
        }
        for at in 3..whole.len() {
            let other = if &whole[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &whole[..at], &whole[at + 1..]);
            assert!(changed.parse::<Link>().is_err(), "changed at {at}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (fragment, error) in [
            ("", LinkError::Foreign),
            ("top", LinkError::Foreign),
            ("code=abc", LinkError::Foreign),
            ("v=abc", LinkError::Foreign),
            ("v2=abc", LinkError::Version("v2".to_owned())),
            ("v1=", LinkError::Damaged),
            ("v1=%%%", LinkError::Damaged),
        ] {
            assert_eq!(fragment.parse::<Link>(), Err(error), "{fragment}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = compress_to_vec_zlib(&vec![b'\n'; MAX_UNFOLDED + 1], 1);
        let fragment = format!("v1={}", URL_SAFE_NO_PAD.encode(bomb));
        assert_eq!(fragment.parse::<Link>(), Err(LinkError::TooLarge));
    }

    #[test]
    fn settings_of_a_later_hopwise_are_passed_over() {
        let body = compress_to_vec_zlib(b"flow: a -> b\nhop: 3\n\nkind: Pod\n", 9);
        let fragment = format!("v1={}", URL_SAFE_NO_PAD.encode(body));
        let view = View { flow: Some("a -> b".to_owned()), ..View::default() };
        assert_eq!(fragment.parse(), Ok(Link { text: "kind: Pod\n".to_owned(), view }));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            text in any::<String>(),
            flow in proptest::option::of("[^\r\n]*"),
            tab in proptest::option::of("[a-z-]{1,9}"),
            theme in proptest::option::of("light|dark"),
        ) {
            let link = Link { text, view: View { flow, tab, theme } };
            prop_assert_eq!(link.to_string().parse::<Link>(), Ok(link));
        }

        #[test]
        fn anything_is_survived(fragment in any::<String>(), payload in "[A-Za-z0-9_-]{0,200}") {
            let _ = fragment.parse::<Link>();
            let _ = format!("v1={payload}").parse::<Link>();
        }
    }
}
