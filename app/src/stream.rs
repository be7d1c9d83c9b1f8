//! A server-sent event stream (HTML Living Standard, section 9.2) that says when what is shown may be old.
//! On the server nothing is opened.

use std::{cell::RefCell, rc::Rc, time::Duration};

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, closure::Closure},
};
use model::TimestampMs;
use serde::de::DeserializeOwned;
use web_sys::{EventSource, MessageEvent, js_sys};

use crate::components::moment::time_text;

/// How often the stream is looked after.
const CHECK: Duration = Duration::from_secs(2);
/// A stream that is silent for this long is taken as lost: the server says `alive` every 5 s.
const SILENCE_MS_MAX: f64 = 15_000.0;

/// Whether what is shown is what the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// No stream is wanted, or it has not been opened yet.
    #[default]
    Still,
    Live,
    /// The connection is gone; it is tried again.
    Lost,
    /// The server speaks of things this page does not know: it is newer.
    Outdated,
}

/// Follows the events called `event` at `url` and hands each one's data to `take`, in the browser. Never ends
/// before the page does; rests while nobody sees the page, because a browser opens six connections to a server
/// and no more, over all its tabs.
pub fn follow<T: DeserializeOwned + 'static>(
    url: String,
    event: &'static str,
    take: impl Fn(T) + 'static,
) -> ReadSignal<Link> {
    let (link, set_link) = signal(Link::default());
    let take = Rc::new(take);
    Effect::new(move || {
        let take = take.clone();
        let decode = move |data: &str| match serde_json::from_str(data) {
            Ok(view) => {
                take(view);
                Link::Live
            }
            Err(_) => Link::Outdated,
        };
        Rc::new(Stream::new(url.clone(), event, decode, set_link)).watch();
    });
    link
}

/// The stream, with what listens to it; these live as long as the page.
struct Stream {
    url: String,
    event: &'static str,
    set_link: WriteSignal<Link>,
    /// None while the page is hidden.
    source: RefCell<Option<EventSource>>,
    /// When something came last, by the browser's clock in ms.
    heard: Rc<RefCell<f64>>,
    on_event: Closure<dyn Fn(MessageEvent)>,
    on_alive: Closure<dyn Fn()>,
    on_error: Closure<dyn Fn()>,
}

impl Stream {
    fn new(
        url: String,
        event: &'static str,
        decode: impl Fn(&str) -> Link + 'static,
        set_link: WriteSignal<Link>,
    ) -> Stream {
        let heard = Rc::new(RefCell::new(js_sys::Date::now()));
        let hear = {
            let heard = heard.clone();
            move || *heard.borrow_mut() = js_sys::Date::now()
        };
        let hear_event = hear.clone();
        Stream {
            url,
            event,
            set_link,
            source: RefCell::new(None),
            heard,
            on_event: Closure::new(move |message: MessageEvent| {
                hear_event();
                set_link.set(decode(&message.data().as_string().unwrap_or_default()));
            }),
            on_alive: Closure::new(move || {
                hear();
                set_link.update(|link| {
                    if *link != Link::Outdated {
                        *link = Link::Live;
                    }
                });
            }),
            on_error: Closure::new(move || set_link.set(Link::Lost)),
        }
    }

    /// Opens the stream and keeps it open while the page is seen.
    fn watch(self: Rc<Self>) {
        self.open();
        let on_visibility = {
            let stream = self.clone();
            Closure::<dyn Fn()>::new(move || {
                stream.close();
                if !document().hidden() {
                    stream.open();
                }
            })
        };
        // Without the event a hidden page only keeps its connection.
        let _ = document().add_event_listener_with_callback(
            "visibilitychange",
            on_visibility.as_ref().unchecked_ref(),
        );
        on_visibility.forget();
        set_interval(move || self.check(), CHECK);
    }

    fn open(&self) {
        *self.heard.borrow_mut() = js_sys::Date::now();
        let Ok(source) = EventSource::new(&self.url) else {
            self.set_link.set(Link::Lost);
            return;
        };
        // Adding a listener to an event source that was just made does not fail.
        let _ = source
            .add_event_listener_with_callback(self.event, self.on_event.as_ref().unchecked_ref());
        let _ = source
            .add_event_listener_with_callback("alive", self.on_alive.as_ref().unchecked_ref());
        source.set_onerror(Some(self.on_error.as_ref().unchecked_ref()));
        *self.source.borrow_mut() = Some(source);
    }

    fn close(&self) {
        if let Some(source) = self.source.borrow_mut().take() {
            source.set_onerror(None);
            source.close();
        }
    }

    /// The browser reconnects by itself, unless an answer was no stream or the network fell silent.
    fn check(&self) {
        let state = match &*self.source.borrow() {
            None => return,
            Some(source) => source.ready_state(),
        };
        let silent = js_sys::Date::now() - *self.heard.borrow() > SILENCE_MS_MAX;
        if state != EventSource::OPEN || silent {
            self.set_link.set(Link::Lost);
        }
        if state == EventSource::CLOSED || silent {
            self.close();
            self.open();
        }
    }
}

/// Says when what is shown may be old, and of when it is.
pub fn link_banner(link: ReadSignal<Link>, as_of: Signal<TimestampMs>) -> impl IntoView {
    let text = move || match link.get() {
        Link::Still | Link::Live => String::new(),
        Link::Lost => format!(
            "Reconnecting… what you see is of {} UTC.",
            time_text(as_of.get())
        ),
        Link::Outdated => "Gantry has been updated. Reload this page to go on.".to_owned(),
    };
    view! {
        <p class="banner" role="status" hidden=move || text().is_empty()>
            {text}
        </p>
    }
}
