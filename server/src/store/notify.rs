//! What servers over one PostgreSQL tell each other: that jobs changed. NOTIFY carries ids and no more; whoever hears
//! of one reads the store. Nothing here is needed for the store to be right, only for others to look at once.
//! <https://www.postgresql.org/docs/current/sql-notify.html>

use std::collections::HashSet;

use model::JobId;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::{During, Store, StoreError};

const CHANNEL: &str = "gantry";
/// Ids in one notification: PostgreSQL takes less than 8,000 bytes.
const IDS_MAX: usize = 180;

/// What a server says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    from: Uuid,
    /// None when there are too many to name.
    jobs: Option<Vec<JobId>>,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Another server changed these.
    Jobs(HashSet<JobId>),
    /// Anything may have changed: too much did, or the connection was gone for a while.
    Anything,
}

/// A connection that hears what other servers say.
pub struct Listener {
    listener: PgListener,
    server: Uuid,
}

impl Store {
    /// Tells other servers that jobs changed, after that is durable. On SQLite there is nobody to tell.
    pub async fn tell_others(&self, jobs: &HashSet<JobId>) -> Result<(), StoreError> {
        if self.postgres_url().is_none() || jobs.is_empty() {
            return Ok(());
        }
        let named = (jobs.len() <= IDS_MAX).then(|| jobs.iter().copied().collect());
        let said = Said {
            from: self.server,
            jobs: named,
        };
        let text = serde_json::to_string(&said).map_err(|_| StoreError::Unreadable {
            what: "notification",
            text: CHANNEL.to_owned(),
        })?;
        // Not among the writes: a transaction that notifies waits for every other one that does.
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(text)
            .execute(&self.write)
            .await
            .during("tell other servers")?;
        Ok(())
    }

    /// Begins to hear what other servers say; none on SQLite.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        let Some(url) = self.postgres_url() else {
            return Ok(None);
        };
        let mut listener = PgListener::connect(url).await.during("listen")?;
        listener.listen(CHANNEL).await.during("listen")?;
        Ok(Some(Listener {
            listener,
            server: self.server,
        }))
    }
}

impl Listener {
    /// Waits for what another server says.
    pub async fn hear(&mut self) -> Result<Heard, StoreError> {
        loop {
            let Some(notification) = self.listener.try_recv().await.during("listen")? else {
                // The connection broke and is made anew: what was said meanwhile is gone.
                return Ok(Heard::Anything);
            };
            match serde_json::from_str::<Said>(notification.payload()) {
                Ok(said) if said.from == self.server => {}
                Ok(Said {
                    jobs: Some(jobs), ..
                }) => return Ok(Heard::Jobs(jobs.into_iter().collect())),
                Ok(_) | Err(_) => return Ok(Heard::Anything),
            }
        }
    }
}
