//! Gantry's pages, rendered by the server, and their browser half: islands. Owns HTML and what is live in
//! it; refuses data access (it asks the [`backend::Backend`]) and decisions.
//!
//! Two builds: `ssr` is the server's, with pages; the other, `hydrate`, is the browser's, with islands alone.
//! Which modules belong to which is decided here and nowhere else.

mod clock;
mod components;
mod islands;
mod stream;

#[cfg(feature = "ssr")]
pub mod backend;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
mod quiet;
#[cfg(feature = "ssr")]
mod schema_form;
#[cfg(feature = "ssr")]
mod shell;

#[cfg(feature = "ssr")]
pub use shell::shell;

/// Called by the page's script once the browser half is loaded; the script then wakes every island by name.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
