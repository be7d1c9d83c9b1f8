//! What is live in an island: a clock that ticks from the server's moment, and a server-sent event stream
//! (HTML Living Standard, section 9.2) that says when it is not. On the server both stand still.

use std::time::Duration;

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, closure::Closure},
};
use model::TimestampMs;
use serde::de::DeserializeOwned;
use web_sys::{EventSource, MessageEvent, js_sys};

/// Reopening waits this long after the browser has given a stream up.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// A stream that said `alive` before and is silent for this long is taken as lost: the server says it every 5 s.
const SILENCE_MS_MAX: f64 = 15_000.0;

/// The server's time, carried on by the browser's.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<TimestampMs>,
    /// The server's moment, and the browser's (ms) when it came.
    base: StoredValue<(TimestampMs, f64)>,
    alive: RwSignal<bool>,
}

impl Clock {
    /// A clock that stands at the server's moment until the island is alive, then ticks every second.
    pub fn new(as_of: TimestampMs) -> Self {
        let clock = Clock {
            now: RwSignal::new(as_of),
            base: StoredValue::new((as_of, 0.0)),
            alive: RwSignal::new(false),
        };
        // Effects run in the browser only.
        Effect::new(move || {
            clock.alive.set(true);
            clock.set(as_of);
            set_interval(move || clock.tick(), Duration::from_secs(1));
        });
        clock
    }

    /// Whether script runs: what needs it stays hidden until then.
    pub fn alive_signal(self) -> Signal<bool> {
        self.alive.into()
    }

    /// The server's time, as far as it is known.
    pub fn now(self) -> TimestampMs {
        self.now.get()
    }

    /// Takes over the server's moment of a message that has just come.
    pub fn set(self, as_of: TimestampMs) {
        self.base.set_value((as_of, js_sys::Date::now()));
        self.now.set(as_of);
    }

    fn tick(self) {
        let (as_of, came_at) = self.base.get_value();
        let passed = (js_sys::Date::now() - came_at).max(0.0) as i64;
        self.now.set(TimestampMs(as_of.0 + passed));
    }
}

/// Whether what is shown is what the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// No stream is wanted, or it has not been opened yet.
    #[default]
    Still,
    Live,
    /// The connection is gone; the browser tries again.
    Lost,
}

/// Follows the events called `event` at `url` and hands each one's data to `take`, in the browser. Never ends
/// before the page does.
pub fn follow<T: DeserializeOwned + 'static>(
    url: String,
    event: &'static str,
    take: impl Fn(T) + Copy + 'static,
) -> ReadSignal<Link> {
    let (link, set_link) = signal(Link::default());
    Effect::new(move || open(url.clone(), event, take, set_link));
    link
}

fn open<T: DeserializeOwned + 'static>(
    url: String,
    event: &'static str,
    take: impl Fn(T) + Copy + 'static,
    set_link: WriteSignal<Link>,
) {
    let Ok(source) = EventSource::new(&url) else {
        set_link.set(Link::Lost);
        return;
    };
    // When something came last; NAN until the server has said `alive`, so that silence means nothing yet.
    let heard = StoredValue::new(f64::NAN);

    let on_event = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        if !heard.get_value().is_nan() {
            heard.set_value(js_sys::Date::now());
        }
        set_link.set(Link::Live);
        let data = message.data().as_string().unwrap_or_default();
        match serde_json::from_str(&data) {
            Ok(view) => take(view),
            // A newer server: what is shown is no longer what it knows.
            Err(_) => set_link.set(Link::Lost),
        }
    });
    let on_alive = Closure::<dyn Fn()>::new(move || {
        heard.set_value(js_sys::Date::now());
        set_link.set(Link::Live);
    });
    let on_open = Closure::<dyn Fn()>::new(move || set_link.set(Link::Live));

    let listen = |name: &str, function: &js_sys::Function| {
        source
            .add_event_listener_with_callback(name, function)
            .is_ok()
    };
    let listening = listen(event, on_event.as_ref().unchecked_ref())
        && listen("alive", on_alive.as_ref().unchecked_ref())
        && listen("open", on_open.as_ref().unchecked_ref());
    if !listening {
        set_link.set(Link::Lost);
    }
    // They live as long as the page.
    on_event.forget();
    on_alive.forget();
    on_open.forget();

    // The browser reconnects by itself unless an answer was no stream; then, and after silence, it is opened anew.
    let watched = source.clone();
    let interval = StoredValue::new(None::<IntervalHandle>);
    let check = move || {
        let silent = js_sys::Date::now() - heard.get_value() > SILENCE_MS_MAX;
        if watched.ready_state() != EventSource::OPEN {
            set_link.set(Link::Lost);
        }
        if silent || watched.ready_state() == EventSource::CLOSED {
            watched.close();
            set_link.set(Link::Lost);
            if let Some(interval) = interval.get_value() {
                interval.clear();
            }
            open(url.clone(), event, take, set_link);
        }
    };
    if let Ok(handle) = set_interval_with_handle(check, REOPEN_AFTER) {
        interval.set_value(Some(handle));
    }
    let on_error = Closure::<dyn Fn()>::new(move || set_link.set(Link::Lost));
    source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    on_error.forget();
}

/// Says when what is shown may be old, and of when it is.
pub fn link_banner(link: ReadSignal<Link>, as_of: Signal<TimestampMs>) -> impl IntoView {
    view! {
        <p class="banner" role="status" hidden=move || link.get() != Link::Lost>
            {move || {
                (link.get() == Link::Lost)
                    .then(|| {
                        format!(
                            "Reconnecting… what you see is of {} UTC.",
                            crate::components::moment::time_text(as_of.get()),
                        )
                    })
            }}
        </p>
    }
}
