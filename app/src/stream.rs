//! The page's one stream of server-sent events (HTML Living Standard, section 9.2), which says when what is shown
//! may be old. On the server nothing is opened.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

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

/// Follows a topic of `/api/v1/live` and hands each of its views to `take`, in the browser. Never ends before the
/// page does; rests while nobody sees the page, because a browser opens six connections to a server and no more,
/// over all its tabs. For the same reason everything on a page comes over one.
pub fn follow<T: DeserializeOwned + 'static>(
    topic: String,
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
        PAGE.with(|stream| stream.clone().add(topic.clone(), decode, set_link));
    });
    link
}

thread_local! {
    static PAGE: Rc<Stream> = Rc::new(Stream::new());
}

/// A topic with what listens to its events.
struct Follower {
    topic: String,
    on_event: Closure<dyn Fn(MessageEvent)>,
}

/// The stream, with what listens to it; these live as long as the page.
struct Stream {
    followers: RefCell<Vec<Follower>>,
    links: Rc<RefCell<Vec<WriteSignal<Link>>>>,
    /// None while the page is hidden.
    source: RefCell<Option<EventSource>>,
    /// It will be opened as soon as every island of the page has said what it follows.
    opens: Cell<bool>,
    heard: Rc<Heard>,
    on_alive: Closure<dyn Fn()>,
    on_error: Closure<dyn Fn()>,
}

/// What came last.
#[derive(Default)]
struct Heard {
    /// When, by the browser's clock in ms.
    at: Cell<f64>,
    /// The last event's id: what need not be sent again.
    id: RefCell<String>,
}

impl Heard {
    fn now(&self) {
        self.at.set(js_sys::Date::now());
    }
}

impl Stream {
    fn new() -> Stream {
        let heard = Rc::new(Heard::default());
        let links: Rc<RefCell<Vec<WriteSignal<Link>>>> = Rc::default();
        let hear = heard.clone();
        let living = links.clone();
        let lost = links.clone();
        Stream {
            followers: RefCell::default(),
            links,
            source: RefCell::default(),
            opens: Cell::default(),
            heard,
            on_alive: Closure::new(move || {
                hear.now();
                for link in living.borrow().iter() {
                    link.update(|link| {
                        if *link != Link::Outdated {
                            *link = Link::Live;
                        }
                    });
                }
            }),
            on_error: Closure::new(move || lose(&lost)),
        }
    }

    /// Follows one topic more.
    fn add(
        self: Rc<Self>,
        topic: String,
        decode: impl Fn(&str) -> Link + 'static,
        set_link: WriteSignal<Link>,
    ) {
        let heard = self.heard.clone();
        let on_event = Closure::new(move |message: MessageEvent| {
            heard.now();
            heard.id.replace(message.last_event_id());
            set_link.set(decode(&message.data().as_string().unwrap_or_default()));
        });
        let first = self.followers.borrow().is_empty();
        self.links.borrow_mut().push(set_link);
        self.followers
            .borrow_mut()
            .push(Follower { topic, on_event });
        // The newcomer may show something older than what the others were sent.
        self.heard.id.take();
        if first {
            self.clone().watch();
        }
        if !self.opens.replace(true) {
            set_timeout(
                move || {
                    self.opens.set(false);
                    self.close();
                    self.open();
                },
                Duration::ZERO,
            );
        }
    }

    /// Keeps the stream open while the page is seen.
    fn watch(self: Rc<Self>) {
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

    /// The address of all that is followed, from where it was left on.
    fn url(&self) -> String {
        // Nothing in topics and ids has a meaning in a query.
        let mut url = "/api/v1/live?".to_owned();
        for follower in self.followers.borrow().iter() {
            url += &format!("topic={}&", follower.topic);
        }
        url + "last_event_id=" + &self.heard.id.borrow()
    }

    fn open(&self) {
        self.heard.now();
        let Ok(source) = EventSource::new(&self.url()) else {
            lose(&self.links);
            return;
        };
        // Adding a listener to an event source that was just made does not fail.
        for follower in self.followers.borrow().iter() {
            let listener = follower.on_event.as_ref().unchecked_ref();
            let _ = source.add_event_listener_with_callback(&follower.topic, listener);
        }
        let alive = self.on_alive.as_ref().unchecked_ref();
        let _ = source.add_event_listener_with_callback("alive", alive);
        // What has not changed is not sent again: that it is open says that what is shown is true.
        source.set_onopen(Some(alive));
        source.set_onerror(Some(self.on_error.as_ref().unchecked_ref()));
        *self.source.borrow_mut() = Some(source);
    }

    fn close(&self) {
        if let Some(source) = self.source.borrow_mut().take() {
            source.set_onopen(None);
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
        let silent = js_sys::Date::now() - self.heard.at.get() > SILENCE_MS_MAX;
        if state != EventSource::OPEN || silent {
            lose(&self.links);
        }
        if state == EventSource::CLOSED || silent {
            self.close();
            self.open();
        }
    }
}

fn lose(links: &RefCell<Vec<WriteSignal<Link>>>) {
    for link in links.borrow().iter() {
        link.set(Link::Lost);
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
