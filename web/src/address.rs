//! The page's address holds the scenario: what it opens with, and what it is kept up to date with.

use std::rc::Rc;

use gloo::timers::callback::Timeout;
use hopwise::link::Link;
use yew::prelude::*;

use crate::browser;
use crate::examples;
use crate::state::{Action, Session};

/// How long the address waits for the next key, in milliseconds. Browsers refuse more than some
/// hundred changes in half a minute.
const DELAY: u32 = 300;
/// How many bytes of text make it wait a millisecond longer: long texts take long to compress.
const BYTES_A_MILLISECOND: usize = 1_000;

/// What the page opens with: the link's scenario, or the first example.
pub(crate) fn start() -> Session {
    let query = browser::query();
    let session =
        Session { text: examples::first().into(), theme: query.theme, ..Session::default() };
    match browser::linked() {
        None => session,
        Some(Ok(link)) => {
            let opened = session.opened(link);
            // Whoever embeds a picture knows what stands around it.
            let theme = if query.embed { query.theme } else { opened.theme };
            Session { theme, ..opened }
        }
        Some(Err(error)) => Session { notice: Some(error.to_string().into()), ..session },
    }
}

/// Follows the address, and has it follow the session. An embedded page leaves its own alone.
#[hook]
pub(crate) fn use_address(
    session: &UseReducerHandle<Session>,
    embed: bool,
    act: &Callback<Action>,
) {
    let newest = use_mut_ref(|| None::<Rc<Link>>);
    let link = use_memo((**session).clone(), Session::link);
    // Its own reference, so that leaving the page finds what the timer has not written yet.
    use_effect_with((link, session.touched && !embed), {
        let newest = Rc::clone(&newest);
        move |(link, due)| {
            let timer = due.then(|| {
                *newest.borrow_mut() = Some(Rc::clone(link));
                let longer = u32::try_from(link.text.len() / BYTES_A_MILLISECOND).unwrap_or(DELAY);
                let newest = Rc::clone(&newest);
                Timeout::new(DELAY + longer, move || write(newest.borrow_mut().take()))
            });
            move || drop(timer)
        }
    });
    use_effect_with((), {
        let act = act.clone();
        move |()| {
            let leaving = browser::on_leave(move || write(newest.borrow_mut().take()));
            let changed = browser::on_hash_change(move || {
                act.emit(match browser::linked() {
                    None => {
                        Action::Open(Link { text: examples::first().to_owned(), ..Link::default() })
                    }
                    Some(Ok(link)) => Action::Open(link),
                    Some(Err(error)) => Action::Refuse(error.to_string().into()),
                });
            });
            move || drop((leaving, changed))
        }
    });
}

fn write(link: Option<Rc<Link>>) {
    if let Some(link) = link {
        browser::write_link(&link);
    }
}
