//! What the user did, and nothing else: everything that is shown follows from it.

use std::rc::Rc;

use hopwise::link::{Link, View};
use hopwise::net::Flow;
use hopwise::text::{Edit, Span, edit};
use yew::prelude::*;

/// What the user did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Session {
    /// The scenario's text.
    pub(crate) text: Rc<str>,
    /// The question that is asked; the text's first if none was chosen.
    pub(crate) flow: Option<Selected>,
    /// The open tab.
    pub(crate) tab: Tab,
    /// The theme, if one was chosen; the system's otherwise.
    pub(crate) theme: Option<Theme>,
    /// Which half a narrow screen shows.
    pub(crate) pane: Pane,
    /// A place of the text to bring into view.
    pub(crate) place: Option<Place>,
    /// What went wrong with the last link or file.
    pub(crate) notice: Option<Rc<str>>,
    /// Whether anything was done since the page opened. Until then its address stays as it is.
    pub(crate) touched: bool,
}

/// A chosen flow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selected {
    /// The flow.
    pub(crate) flow: Flow,
    /// Its place among the text's flows, if it was chosen there: if the text's flow is edited, the
    /// selection follows.
    pub(crate) chip: Option<usize>,
}

/// A place of the text, told apart from the same place asked for earlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// Where.
    pub(crate) span: Span,
    /// How many places were asked for before.
    pub(crate) turn: u32,
}

/// What the lower part shows of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    /// The packet's way.
    #[default]
    Path,
    /// Who may reach whom.
    Matrix,
    /// What does something else than it seems to.
    Findings,
}

/// What the user may fix the colours to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The halves of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The text.
    Text,
    /// The answer.
    #[default]
    Path,
}

/// Something the user does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Opens a scenario.
    Open(Link),
    /// Opens something that is no scenario; the message says why.
    Refuse(Rc<str>),
    /// Changes the text in the editor.
    Edit(Rc<str>),
    /// Has the text changed by a control.
    Apply(Vec<Edit>),
    /// Adds documents at the end of the text.
    Append(String),
    /// Asks another question.
    Ask(Selected),
    /// Opens a tab.
    Show(Tab),
    /// Fixes the colours, or leaves them to the system.
    Colour(Option<Theme>),
    /// Turns to the other half of a narrow screen.
    Turn(Pane),
    /// Wants to see a place of the text.
    Visit(Span),
    /// Has read the notice.
    Dismiss,
}

impl Reducible for Session {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        let mut next = (*self).clone();
        next.touched = true;
        match action {
            Action::Open(link) => {
                next = Self { place: None, notice: None, ..next.opened(link) };
            }
            // The address keeps the link that could not be read until something else is done.
            Action::Refuse(message) => {
                next.notice = Some(message);
                next.touched = self.touched;
            }
            Action::Edit(text) => next.text = text,
            Action::Apply(edits) => next.text = edit::apply(&self.text, &edits).into(),
            Action::Append(documents) => {
                next.text = edit::apply(&self.text, &[edit::append(&self.text, &documents)]).into();
            }
            Action::Ask(selected) => next.flow = Some(selected),
            Action::Show(tab) => next.tab = tab,
            Action::Colour(theme) => next.theme = theme,
            Action::Turn(pane) => next.pane = pane,
            Action::Visit(span) => {
                let turn = self.place.map_or(0, |place| place.turn.wrapping_add(1));
                next.place = Some(Place { span, turn });
                next.pane = Pane::Text;
                next.touched = self.touched;
            }
            Action::Dismiss => {
                next.notice = None;
                next.touched = self.touched;
            }
        }
        next.into()
    }
}

impl Session {
    /// The session with what a link carries; what the link leaves open stays as it is.
    pub(crate) fn opened(self, link: Link) -> Self {
        let flow = link.view.flow.and_then(|flow| flow.parse().ok());
        Self {
            text: link.text.into(),
            flow: flow.map(|flow| Selected { flow, chip: None }),
            tab: link.view.tab.as_deref().and_then(Tab::named).unwrap_or_default(),
            theme: link.view.theme.as_deref().and_then(Theme::named).or(self.theme),
            ..self
        }
    }

    /// What a link to this carries.
    pub(crate) fn link(&self) -> Link {
        Link {
            text: self.text.to_string(),
            view: View {
                flow: self.flow.as_ref().map(|selected| selected.flow.to_string()),
                tab: (self.tab != Tab::default()).then(|| self.tab.name().to_owned()),
                theme: self.theme.map(|theme| theme.name().to_owned()),
            },
        }
    }
}

impl Tab {
    /// Every tab, in order.
    pub(crate) const ALL: [Self; 3] = [Self::Path, Self::Matrix, Self::Findings];

    /// Its name in links.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Matrix => "matrix",
            Self::Findings => "findings",
        }
    }

    /// Its name on the page.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Path => "Path",
            Self::Matrix => "Matrix",
            Self::Findings => "Findings",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.name() == name)
    }
}

impl Theme {
    /// Its name in links and style sheets.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of this name; `None` for anything else, as `auto`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(session: Session, action: Action) -> Session {
        (*Rc::new(session).reduce(action)).clone()
    }

    #[test]
    fn a_link_shows_what_its_sender_saw() {
        let flow = "client/user -> nodePort/node1:31602".parse().unwrap();
        let sent = Session {
            text: "kind: Pod\n".into(),
            flow: Some(Selected { flow, chip: None }),
            theme: Some(Theme::Dark),
            ..Session::default()
        };
        let got = after(Session::default(), Action::Open(sent.link()));
        assert_eq!(got, Session { touched: true, ..sent });
    }

    #[test]
    fn a_bad_link_leaves_everything_as_it_is() {
        let session = Session { text: "kind: Pod\n".into(), ..Session::default() };
        let got = after(session.clone(), Action::Refuse("this link is damaged".into()));
        assert_eq!(got.link(), session.link());
        assert_eq!(got.notice.as_deref(), Some("this link is damaged"));
        assert!(!got.touched, "the address keeps the damaged link");
    }

    #[test]
    fn the_same_place_can_be_visited_twice() {
        let span = Span { start: 1, end: 2, line: 1, column: 2 };
        let once = after(Session::default(), Action::Visit(span));
        let twice = after(once.clone(), Action::Visit(span));
        assert_ne!(once.place, twice.place);
        assert_eq!(twice.pane, Pane::Text);
    }
}
