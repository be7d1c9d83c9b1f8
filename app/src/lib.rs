//! Gantry's pages, rendered by the server, and their browser half: islands. Owns HTML and what is live in
//! it; refuses data access (it asks the [`backend::Backend`]) and decisions.

#[cfg(feature = "ssr")]
pub mod backend;
