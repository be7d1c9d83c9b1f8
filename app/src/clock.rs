//! A clock that ticks from the server's moment. On the server it stands still.

use std::time::Duration;

use leptos::prelude::*;
use model::TimestampMs;
use web_sys::js_sys;

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
