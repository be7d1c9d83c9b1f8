//! What a database's refusal means, in the words of either one. Owns every code that the store knows;
//! tells no caller's secrets: an address is shown without its password.

use std::sync::Arc;

use url::Url;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or brought up to date. `url` is without its password.
    #[error("cannot open the database {url}{hint}")]
    Open {
        url: String,
        /// What to do about it, after a semicolon; empty when the source says it all.
        hint: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk with the database is full or read-only.
    #[error("the disk with the database takes no more data, in {operation}")]
    Full {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// The database is not there, or others keep it busy: the same may do well in a moment.
    #[error("the database does not answer, in {operation}")]
    Unavailable {
        operation: &'static str,
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A statement failed.
    #[error("the database failed in {operation}")]
    Query {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A stored value is not what Gantry writes.
    #[error("the database holds an unreadable {what}: {text}")]
    Unreadable { what: &'static str, text: String },
}

/// Names the operation a statement belongs to, in its error.
pub(super) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match kind(&source) {
            Kind::Full => StoreError::Full { operation, source },
            Kind::Unavailable => StoreError::Unavailable {
                operation,
                source: Arc::new(source),
            },
            Kind::Other => StoreError::Query { operation, source },
        })
    }
}

/// What may be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Unavailable,
    Other,
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        sqlx::Error::Database(error) => error.code().map_or(Kind::Other, |code| of_code(&code)),
        _ => Kind::Other,
    }
}

/// PostgreSQL's SQLSTATEs have five characters (<https://www.postgresql.org/docs/current/errcodes-appendix.html>);
/// SQLite's codes are numbers of at most four digits (<https://www.sqlite.org/rescode.html>), whose last byte is the
/// primary one.
fn of_code(code: &str) -> Kind {
    if code.len() == 5 {
        return match code {
            // disk_full, io_error
            "53100" | "58030" => Kind::Full,
            // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now, and a standby that took over
            "53300" | "57P01" | "57P02" | "57P03" | "25006" => Kind::Unavailable,
            _ if code.starts_with("08") => Kind::Unavailable,
            _ => Kind::Other,
        };
    }
    match code.parse::<i32>().map(|code| code & 0xff) {
        // SQLITE_BUSY
        Ok(5) => Kind::Unavailable,
        // SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL
        Ok(8 | 10 | 13) => Kind::Full,
        _ => Kind::Other,
    }
}

/// Whether PostgreSQL undid a transaction because another one was in its way: it may do well the second time.
pub(super) fn undone_for_another(error: &StoreError) -> bool {
    let StoreError::Query { source, .. } = error else {
        return false;
    };
    source
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| ["40001", "40P01"].contains(&&*code))
}

impl StoreError {
    /// Why the database at `url` could not be opened, and what to do.
    pub(super) fn open(
        url: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        let source = source.into();
        let code = source
            .downcast_ref::<sqlx::Error>()
            .and_then(sqlx::Error::as_database_error)
            .and_then(|error| error.code());
        let hint = match code.as_deref() {
            Some("28P01" | "28000") => "; see to the user and the password in DATABASE_URL",
            Some("3D000") => "; make it with `createdb`, Gantry fills it",
            Some("42501") => {
                "; the user needs to own the database, or the right to CREATE in its schema"
            }
            _ => match source.downcast_ref() {
                Some(sqlx::Error::Io(_)) if !url.starts_with("sqlite:") => {
                    "; is the server running, and is this its address?"
                }
                _ => "",
            },
        };
        drop(code);
        StoreError::Open {
            url: shown(url),
            hint,
            source,
        }
    }
}

/// An address for people: without password, and without options, which may hold one.
pub(super) fn shown(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    match Url::parse(url) {
        Ok(mut parsed) => {
            // A failure means that there is no host, and so no password either.
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            parsed.set_fragment(None);
            parsed.into()
        }
        Err(_) => url.split(':').next().unwrap_or_default().to_owned() + ":…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_is_secret() {
        for (url, expected) in [
            ("sqlite:/var/lib/gantry.db", "sqlite:/var/lib/gantry.db"),
            (
                "postgres://gantry:hunter2@db:5432/gantry?sslmode=require",
                "postgres://gantry@db:5432/gantry",
            ),
            ("postgres:///gantry?password=hunter2", "postgres:///gantry"),
            ("postgres://u:hunter2@:x/", "postgres:…"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn the_codes_of_both_databases_are_told_apart() {
        for (code, expected) in [
            ("53100", Kind::Full),
            ("13", Kind::Full),
            ("778", Kind::Full),
            ("1288", Kind::Full),
            ("57P03", Kind::Unavailable),
            ("08006", Kind::Unavailable),
            ("517", Kind::Unavailable),
            ("23505", Kind::Other),
            ("1555", Kind::Other),
        ] {
            assert_eq!(of_code(code), expected, "{code}");
        }
    }
}
