//! Text in the picture: how wide it is without asking a font, and how it is shortened.

/// Where a label's `x` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its left end.
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// How a label is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// A machine's name.
    Heading,
    /// What a station is, or what a gate says.
    Title,
    /// What a station does, and other small print.
    Note,
    /// An address or a rule's value.
    Address,
    /// An address in small print.
    SmallAddress,
    /// An address where there is little room.
    TinyAddress,
}

impl Face {
    /// Font size in units of the picture.
    pub fn size(self) -> i32 {
        match self {
            Self::Heading => 13,
            Self::Title | Self::Address => 12,
            Self::Note | Self::SmallAddress => 11,
            Self::TinyAddress => 10,
        }
    }

    /// Whether it is set in the monospaced font.
    pub fn mono(self) -> bool {
        matches!(self, Self::Address | Self::SmallAddress | Self::TinyAddress)
    }

    /// Whether it is bold.
    pub fn bold(self) -> bool {
        matches!(self, Self::Heading | Self::Title | Self::Address | Self::TinyAddress)
    }
}

/// The ink of a label, a line or a surface; the page's style sheet has a custom property for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ink {
    /// The owner of an address.
    Owner(crate::words::Owner),
    /// Behind everything.
    Background,
    /// Behind a lane.
    Surface,
    /// Borders.
    Line,
    /// What is read.
    Text,
    /// What is read second.
    Quiet,
    /// Refused or lost.
    Bad,
    /// Let through.
    Good,
    /// Not certain.
    Warn,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Horizontal place of its anchor.
    pub x: i32,
    /// Its baseline.
    pub y: i32,
    /// Which point of it `x` is.
    pub anchor: Anchor,
    /// How it is set.
    pub face: Face,
    /// Its colour.
    pub ink: Ink,
    /// What is shown.
    pub text: String,
    /// The whole text where `text` is shortened.
    pub full: Option<String>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// From the left edge to the right one.
    pub width: i32,
    /// From the top edge to the bottom one.
    pub height: i32,
}

impl Area {
    /// The right edge.
    pub fn right(self) -> i32 {
        self.x + self.width
    }

    /// The bottom edge.
    pub fn bottom(self) -> i32 {
        self.y + self.height
    }

    /// Whether the two share more than an edge.
    pub fn overlaps(self, other: Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }

    /// Whether `other` lies within.
    pub fn holds(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

impl Label {
    /// A label that is at most `room` wide: what is too long loses its middle.
    pub(super) fn fit(text: &str, face: Face, ink: Ink, room: i32) -> Self {
        let short = shorten(text, face, room);
        let full = (short != text).then(|| text.to_owned());
        Self { x: 0, y: 0, anchor: Anchor::Start, face, ink, text: short, full }
    }

    /// The same, put somewhere.
    #[must_use]
    pub(super) fn at(self, x: i32, y: i32, anchor: Anchor) -> Self {
        Self { x, y, anchor, ..self }
    }

    /// How wide it is, estimated.
    pub fn width(&self) -> i32 {
        width(&self.text, self.face)
    }

    /// Where it stands, estimated.
    pub fn area(&self) -> Area {
        let width = self.width();
        let x = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2,
            Anchor::End => self.x - width,
        };
        let size = self.face.size();
        Area { x, y: self.y - size * 4 / 5, width, height: size }
    }
}

/// How wide `text` is, estimated so that common system fonts need no more.
pub(super) fn width(text: &str, face: Face) -> i32 {
    let thousandths: i32 =
        if face.mono() { text.chars().map(mono).sum() } else { text.chars().map(sans).sum() };
    let thousandths = if face.bold() && !face.mono() { thousandths * 11 / 10 } else { thousandths };
    (thousandths * face.size() + 999) / 1000
}

/// Advance of a character of the monospaced font, in thousandths of the font size.
fn mono(c: char) -> i32 {
    if wide(c) { 1210 } else { 605 }
}

/// Advance of a character of the proportional font, in thousandths of the font size; of the widest
/// common one, `DejaVu Sans`.
fn sans(c: char) -> i32 {
    match c {
        'i' | 'j' | 'l' | '\'' | '’' => 290,
        ' ' | '.' | ',' | ':' | ';' | 'I' | '|' | '/' | '·' => 345,
        'f' | 'r' | 't' | '(' | ')' | '-' => 410,
        'm' | 'w' | 'M' | 'W' | '…' | '→' | '✓' | '✕' => 1000,
        'A'..='Z' => 745,
        c if wide(c) => 1100,
        _ => 640,
    }
}

/// Ideographs and pictures, which are twice as wide.
fn wide(c: char) -> bool {
    u32::from(c) >= 0x1100 && !matches!(u32::from(c), 0x2000..=0x2BFF)
}

/// `text`, or its two ends with an ellipsis between them, at most `room` wide.
fn shorten(text: &str, face: Face, room: i32) -> String {
    if width(text, face) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut keep = chars.len();
    loop {
        keep = keep.saturating_sub(1);
        let head = keep.div_ceil(2);
        let tail = keep - head;
        let short: String = chars
            .iter()
            .take(head)
            .chain(std::iter::once(&'…'))
            .chain(chars.iter().skip(chars.len() - tail))
            .collect();
        if keep == 0 || width(&short, face) <= room {
            return short;
        }
    }
}

/// How many lines [`wrap`] makes at most.
const LINES: usize = 4;

/// `text` in lines of at most `room`, broken at spaces; what is longer than a line is shortened.
pub(super) fn wrap(text: &str, face: Face, ink: Ink, room: i32) -> Vec<Label> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if lines_left(line, word, face, room) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.len() > LINES {
        let rest = lines.split_off(LINES - 1).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|line| Label::fit(line, face, ink, room)).collect()
}

fn lines_left(line: &str, word: &str, face: Face, room: i32) -> bool {
    width(line, face) + width(" ", face) + width(word, face) <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten("dashboard", Face::Address, 200), "dashboard");
        assert_eq!(
            shorten("tekton-dashboard-75c65d785b-xbgk6", Face::Address, 100),
            "tekton…-xbgk6"
        );
        assert_eq!(shorten("dashboard", Face::Address, 0), "…");
    }

    #[test]
    fn lines_break_at_spaces() {
        let lines = |text| {
            wrap(text, Face::Note, Ink::Text, 90).into_iter().map(|l| l.text).collect::<Vec<_>>()
        };
        assert_eq!(lines("is 10.233.90.0 allowed?"), ["is 10.233.90.0", "allowed?"]);
        assert_eq!(lines(""), Vec::<String>::new());
        assert!(
            lines("a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f").len() <= LINES
        );
    }
}
