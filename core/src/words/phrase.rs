//! A sentence in pieces: words, and the things that it speaks of.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::owner::{Owner, owner_of};
use crate::cluster::{Cluster, PodId, Service};
use crate::net::{Packet, address_and_port};
use crate::text::{Cite, ObjectRef};

/// A piece of a sentence, for views that link what it speaks of.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Plain words.
    Text(String),
    /// A value or a field, and where it stands.
    Code(String, Option<Cite>),
    /// An address.
    Address {
        /// The address itself.
        ip: IpAddr,
        /// With its port, where the sentence says it.
        text: String,
        /// Whose it is.
        owner: Owner,
    },
    /// An object, or a part of it.
    Object(Cite),
}

impl Piece {
    /// What is read.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Code(text, _) | Self::Address { text, .. } => text.clone(),
            Self::Object(cite) if cite.object.namespace.is_empty() => cite.object.name.clone(),
            Self::Object(cite) => format!("{}/{}", cite.object.namespace, cite.object.name),
        }
    }
}

/// What a phrase is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// Words.
    Text(String),
    /// A name, which keeps its spelling at a sentence's beginning.
    Name(String),
    /// A value or a field.
    Code(String, Option<Cite>),
    /// An address, with its port where it is said.
    Address(IpAddr, Option<u16>),
    /// A range of addresses, and where it stands.
    Net(IpNet, Option<Cite>),
    /// An object, with its kind.
    Object(Cite),
    /// An object whose kind the words around it say.
    ObjectName(Cite),
    /// A pod: `pod/NAMESPACE/NAME`.
    Pod(ObjectRef),
}

/// A sentence, or a part of one, without its full stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrase(Vec<Part>);

/// What was looked at, and found, at one place of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where it stands.
    pub cite: Cite,
    /// Did it match?
    pub matched: bool,
    /// What was found.
    pub finding: Phrase,
}

/// Plain: as logs and JSON have it.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(str::to_owned, |code| format!("`{code}`")))
    }
}

impl Phrase {
    /// With one more part.
    pub(crate) fn add(&mut self, part: impl Into<Phrase>) {
        for part in part.into().0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                (_, Part::Text(text)) if text.is_empty() => {}
                (_, part) => self.0.push(part),
            }
        }
    }

    /// As a text whose words and code are written as asked.
    pub(crate) fn told(
        &self,
        words: impl Fn(&str) -> String,
        code: impl Fn(&str) -> String,
    ) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) | Part::Name(text) => words(text),
            Part::Code(text, _) => code(text),
            Part::Address(ip, port) => words(&address_and_port(*ip, *port)),
            Part::Net(net, _) => words(&net.to_string()),
            Part::Object(cite) => words(&cite.object.to_string()),
            Part::ObjectName(cite) => words(&Piece::Object(cite.clone()).text()),
            Part::Pod(pod) => words(&format!("pod/{}/{}", pod.namespace, pod.name)),
        };
        self.0.iter().map(part).collect()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it says of `cite`'s object stands there, and so do values whose place is not known.
    pub(crate) fn stands_at(&mut self, cite: &Cite) {
        for part in &mut self.0 {
            match part {
                Part::Object(at) | Part::ObjectName(at) if at.object == cite.object => {
                    at.clone_from(cite);
                }
                Part::Code(_, at) | Part::Net(_, at) => {
                    at.get_or_insert_with(|| cite.clone());
                }
                _ => {}
            }
        }
    }

    /// Whether it speaks of the address.
    pub(crate) fn speaks_of(&self, address: IpAddr) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Address(ip, _) if *ip == address))
    }

    /// Whether it names an object.
    pub(crate) fn names_object(&self) -> bool {
        let named =
            |part: &Part| matches!(part, Part::Object(_) | Part::ObjectName(_) | Part::Pod(_));
        self.0.iter().any(named)
    }

    /// Without blanks at its end.
    pub(crate) fn trim(&mut self) {
        if let Some(Part::Text(text)) = self.0.last_mut() {
            text.truncate(text.trim_end().len());
        }
    }

    /// As a sentence begins: with a capital letter, unless a name stands there.
    #[must_use]
    pub fn capital(mut self) -> Self {
        if let Some(Part::Text(text)) = self.0.first_mut()
            && let Some(first) = text.get_mut(..1)
        {
            first.make_ascii_uppercase();
        }
        self
    }

    /// The pieces of a sentence that links what it speaks of.
    pub fn pieces(&self, cluster: &Cluster) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for part in &self.0 {
            let text = |pieces: &mut Vec<Piece>, text: &str| match pieces.last_mut() {
                Some(Piece::Text(before)) => before.push_str(text),
                _ => pieces.push(Piece::Text(text.to_owned())),
            };
            match part {
                Part::Text(words) | Part::Name(words) => text(&mut pieces, words),
                Part::Code(code, cite) => pieces.push(Piece::Code(code.clone(), cite.clone())),
                Part::Address(ip, port) => {
                    let owner = owner_of(cluster, *ip).owner;
                    let text = address_and_port(*ip, *port);
                    pieces.push(Piece::Address { ip: *ip, text, owner });
                }
                Part::Net(net, cite) => pieces.push(Piece::Code(net.to_string(), cite.clone())),
                Part::Object(cite) => {
                    text(&mut pieces, &format!("{} ", cite.object.kind));
                    pieces.push(Piece::Object(cite.clone()));
                }
                Part::ObjectName(cite) => pieces.push(Piece::Object(cite.clone())),
                Part::Pod(pod) => {
                    text(&mut pieces, "pod ");
                    let cite = Cite { object: pod.clone(), field: String::new(), span: None };
                    pieces.push(Piece::Object(cite));
                }
            }
        }
        pieces
    }
}

impl From<Part> for Phrase {
    fn from(part: Part) -> Self {
        Self(vec![part])
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        Self::from(Part::Text(text.to_owned()))
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self::from(Part::Text(text))
    }
}

impl From<usize> for Phrase {
    fn from(number: usize) -> Self {
        Self::from(number.to_string())
    }
}

impl From<u16> for Phrase {
    fn from(number: u16) -> Self {
        Self::from(number.to_string())
    }
}

impl From<IpAddr> for Phrase {
    fn from(ip: IpAddr) -> Self {
        Self::from(Part::Address(ip, None))
    }
}

impl From<(IpAddr, Option<u16>)> for Phrase {
    fn from((ip, port): (IpAddr, Option<u16>)) -> Self {
        Self::from(Part::Address(ip, port))
    }
}

impl From<IpNet> for Phrase {
    fn from(net: IpNet) -> Self {
        Self::from(Part::Net(net, None))
    }
}

impl From<Cite> for Phrase {
    fn from(cite: Cite) -> Self {
        Self::from(Part::Object(cite))
    }
}

/// A phrase of its parts, in order.
macro_rules! phrase {
    ($($part:expr),* $(,)?) => {{
        let mut phrase = $crate::words::Phrase::default();
        $(phrase.add($part);)*
        phrase
    }};
}
pub(crate) use phrase;

/// A value or a field, in code.
pub(crate) fn code(text: &str) -> Part {
    Part::Code(text.to_owned(), None)
}

/// A name that keeps its spelling.
pub(crate) fn name(name: &str) -> Part {
    Part::Name(name.to_owned())
}

/// An object, of which only the name is at hand.
pub(crate) fn object(object: &ObjectRef) -> Part {
    Part::Object(Cite { object: object.clone(), field: String::new(), span: None })
}

/// The parts, with `by` between them.
pub(crate) fn joined<P: Into<Phrase>>(parts: impl IntoIterator<Item = P>, by: &str) -> Phrase {
    let mut all = Phrase::default();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            all.add(by);
        }
        all.add(part);
    }
    all
}

/// A pod.
pub(crate) fn pod(cluster: &Cluster, id: PodId) -> Part {
    let found = cluster.pod(id);
    let object = found.map(|pod| ObjectRef::new("Pod", &pod.namespace, &pod.name));
    Part::Pod(object.unwrap_or_default())
}

/// A service, where it stands.
pub(crate) fn service(service: &Service) -> Part {
    Part::Object(service.cite.clone())
}

/// Where a packet goes.
pub(crate) fn to(packet: &Packet) -> Part {
    Part::Address(packet.destination, packet.destination_port)
}

/// Where a packet comes from.
pub(crate) fn from(packet: &Packet) -> Part {
    Part::Address(packet.source, packet.source_port)
}
