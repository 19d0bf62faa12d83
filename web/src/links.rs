//! Sentences in pieces, with what they speak of as links.

use std::net::IpAddr;

use hopwise::text::Span;
use hopwise::words::Piece;
use yew::prelude::*;

/// What the links of a sentence lead to.
#[derive(Clone, Copy)]
pub(crate) struct Links<'a> {
    /// The address that is pointed at, here or elsewhere.
    pub(crate) lit: Option<IpAddr>,
    pub(crate) on_light: &'a Callback<Option<IpAddr>>,
    /// A place of the text is asked for.
    pub(crate) on_cite: &'a Callback<Span>,
}

impl Links<'_> {
    pub(crate) fn show(self, pieces: &[Piece]) -> Html {
        html! { <>{ for pieces.iter().map(|piece| self.piece(piece)) }</> }
    }

    fn piece(self, piece: &Piece) -> Html {
        let text = piece.text();
        match piece {
            Piece::Text(_) => html! { { text } },
            Piece::Address { ip, owner, .. } => {
                let ip = *ip;
                html! {
                    <span
                        class={classes!(
                            "address",
                            format!("owner-{}", owner.word()),
                            (self.lit == Some(ip)).then_some("lit"),
                        )}
                        onmouseenter={self.on_light.reform(move |_| Some(ip))}
                        onmouseleave={self.on_light.reform(|_| None)}
                    >
                        { text }
                    </span>
                }
            }
            Piece::Code(_, cite) => self.code(text, cite.as_ref().and_then(|cite| cite.span)),
            Piece::Object(cite) => self.code(text, cite.span),
        }
    }

    /// A value or an object, as a link to where it stands.
    fn code(self, text: String, span: Option<Span>) -> Html {
        match span {
            Some(span) => html! {
                <button
                    type="button"
                    class="link code"
                    title={format!("line {}", span.line)}
                    onclick={self.on_cite.reform(move |_: MouseEvent| span)}
                >
                    { text }
                </button>
            },
            None => html! { <code>{ text }</code> },
        }
    }
}
