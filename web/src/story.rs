//! The scenario's description: the little of Markdown that prose needs.

use yew::prelude::*;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct StoryProps {
    /// The scenario's title.
    pub(crate) title: AttrValue,
    /// Its description, Markdown.
    pub(crate) text: AttrValue,
}

#[component]
pub(crate) fn Story(props: &StoryProps) -> Html {
    if props.text.trim().is_empty() {
        return html! {};
    }
    let title = if props.title.is_empty() { "About this scenario" } else { &*props.title };
    let blocks = blocks(&props.text);
    html! {
        <section class="story" aria-labelledby="story-title">
            <h2 id="story-title">{ title }</h2>
            { for blocks.iter().map(show) }
        </section>
    }
}

/// A part of the text that stands alone.
#[derive(Debug, PartialEq)]
enum Block {
    Paragraph(String),
    Items(Vec<String>),
    Code(String),
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut code: Option<Vec<&str>> = None;
    let mut open = false;
    for line in text.lines() {
        let words = line.trim();
        if words.starts_with("```") {
            match code.take() {
                Some(lines) => blocks.push(Block::Code(lines.join("\n"))),
                None => code = Some(Vec::new()),
            }
            open = false;
        } else if let Some(lines) = &mut code {
            lines.push(line);
        } else if words.is_empty() {
            open = false;
        } else if let Some(item) = words.strip_prefix("- ").or(words.strip_prefix("* ")) {
            match blocks.last_mut() {
                Some(Block::Items(items)) => items.push(item.to_owned()),
                _ => blocks.push(Block::Items(vec![item.to_owned()])),
            }
            open = true;
        } else {
            let words = words.trim_start_matches('#').trim_start();
            let running = match blocks.last_mut() {
                Some(Block::Paragraph(text)) if open => Some(text),
                Some(Block::Items(items)) if open => items.last_mut(),
                _ => None,
            };
            match running {
                Some(text) => text.extend([" ", words]),
                None => blocks.push(Block::Paragraph(words.to_owned())),
            }
            open = true;
        }
    }
    blocks.extend(code.map(|lines| Block::Code(lines.join("\n"))));
    blocks
}

fn show(block: &Block) -> Html {
    match block {
        Block::Paragraph(text) => html! { <p>{ inline(text) }</p> },
        Block::Code(text) => html! { <pre class="command" tabindex="0">{ text }</pre> },
        Block::Items(items) => {
            html! { <ul>{ for items.iter().map(|item| html! { <li>{ inline(item) }</li> }) }</ul> }
        }
    }
}

/// Code between backticks, and outside of it what is strong between two stars.
fn inline(text: &str) -> Html {
    let parts = text.split('`').enumerate().map(|(at, part)| {
        if at % 2 == 1 {
            return html! { <code>{ part }</code> };
        }
        let words = part.split("**").enumerate().map(|(at, words)| {
            if at % 2 == 1 {
                html! { <strong>{ words }</strong> }
            } else {
                html! { { words } }
            }
        });
        html! { <>{ for words }</> }
    });
    html! { <>{ for parts }</> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_items_and_code_are_told_apart() {
        let text = "# One\ntwo\n\n- three\n  four\n- five\n\nsix\n```\n a\n\n b\n```\n";
        assert_eq!(
            blocks(text),
            [
                Block::Paragraph("One two".to_owned()),
                Block::Items(vec!["three four".to_owned(), "five".to_owned()]),
                Block::Paragraph("six".to_owned()),
                Block::Code(" a\n\n b".to_owned()),
            ]
        );
    }
}
