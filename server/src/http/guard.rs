//! What no request gets past: a `Host` that is not this server's (DNS rebinding) and, for what changes
//! something, a caller that is not Gantry's own page (cross-site request forgery). Also the headers that
//! tell browsers what answers may do. There is no sign-in yet, so these two are all that stands between a
//! web page somewhere and this server on loopback.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{
            CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use model::{ApiError, ErrorCode};

use super::{Edge, answer::Answer, request::RequestId};
use crate::control::Failure;

/// The values of `Host` that this server answers to, in lower case.
#[derive(Debug, Clone)]
pub struct Hosts(Arc<HashSet<String>>);

impl Hosts {
    /// Loopback by its names at the bound port, and what was configured.
    pub fn new(port: u16, configured: &[String]) -> Hosts {
        let mut hosts: HashSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .map(|name| format!("{name}:{port}"))
            .collect();
        if port == 80 {
            // Browsers leave the default port away (RFC 9110, section 4.2.1).
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        hosts.extend(configured.iter().cloned());
        Hosts(Arc::new(hosts))
    }

    fn allow(&self, host: &str) -> bool {
        self.0.contains(&host.to_ascii_lowercase())
    }
}

/// Refuses what must not be served.
pub(super) async fn refuse(
    State(edge): State<Edge>,
    RequestId(id): RequestId,
    request: Request,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let problem = if !host.is_some_and(|host| edge.hosts.allow(host)) {
        Some(
            "This server does not answer to that host name. Open it as http://127.0.0.1 with its port, or name further hosts in GANTRY_HOSTS.",
        )
    } else if !request.method().is_safe() && is_cross_site(request.headers(), &edge.hosts) {
        Some("This came from another site's page, and such pages may not change anything here.")
    } else {
        None
    };
    match problem {
        Some(problem) => {
            let error = Failure::from(ApiError::new(ErrorCode::Forbidden, problem));
            Answer(error.answer(&id)).into_response()
        }
        None => next.run(request).await,
    }
}

/// Whether a browser says that another site's page caused this request. `Sec-Fetch-Site` cannot be forged
/// by a page (<https://www.w3.org/TR/fetch-metadata/>); where a browser is too old to send it, `Origin`
/// tells. A program that is no browser sends neither and is nobody's deputy.
fn is_cross_site(headers: &HeaderMap, hosts: &Hosts) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    !host.is_some_and(|host| hosts.allow(host))
}

/// Headers of every answer that has not said otherwise itself.
const HEADERS: [(HeaderName, &str); 7] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: that would make the Origin of Gantry's own forms `null`.
    (REFERRER_POLICY, "same-origin"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
    // Pages and artifacts have policies of their own; everything else is data.
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

/// Adds [`HEADERS`].
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cross_site(headers: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        is_cross_site(&headers, &Hosts::new(8080, &[]))
    }

    #[test]
    fn only_gantrys_own_pages_and_programs_may_change_something() {
        for (headers, refused) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("origin", "http://127.0.0.1:8080")], false),
            (&[("origin", "http://127.0.0.1:9999")], true),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
        ] {
            assert_eq!(cross_site(headers), refused, "{headers:?}");
        }
    }

    #[test]
    fn hosts_are_loopback_at_the_port_and_what_is_configured() {
        let hosts = Hosts::new(8080, &["gantry.internal".to_owned()]);
        for allowed in [
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "gantry.internal",
        ] {
            assert!(hosts.allow(allowed), "{allowed}");
        }
        for refused in [
            "localhost",
            "127.0.0.1:8081",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "",
        ] {
            assert!(!hosts.allow(refused), "{refused}");
        }
    }
}
