//! Leases: work that one server at a time does, such as comparing AWS's list with the store, and servers that live.
//! Who dies with one leaves it to the others once its time is over. Servers' clocks may differ by a part of that time.

use super::{During, Statement, Store, StoreError};

impl Store {
    /// Takes a lease, or holds on to one's own, until a moment. False while another server has it.
    pub async fn lease(&self, name: &str, now_ms: i64, until_ms: i64) -> Result<bool, StoreError> {
        let taken = Statement::new(
            "take a lease",
            "INSERT INTO lease (name, holder, until_ms) VALUES ($1, $2, $4)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
             WHERE lease.holder = $2 OR lease.until_ms <= $3",
        );
        let taken = taken.bind(name).bind(self.server.to_string());
        Ok(self.write(taken.bind(now_ms).bind(until_ms)).await? > 0)
    }

    /// Says that this server lives, until a moment.
    pub async fn alive(&self, now_ms: i64, until_ms: i64) -> Result<(), StoreError> {
        let name = format!("server:{}", self.server);
        self.lease(&name, now_ms, until_ms).await.map(|_| ())
    }

    /// Says that this server ends: what it took and did not put away is for the others at once.
    pub async fn ends(&self) -> Result<(), StoreError> {
        self.lease_end(&format!("server:{}", self.server)).await
    }

    /// Gives a lease of one's own back.
    pub async fn lease_end(&self, name: &str) -> Result<(), StoreError> {
        let ended = Statement::new(
            "give back a lease",
            "DELETE FROM lease WHERE name = $1 AND holder = $2",
        );
        self.write(ended.bind(name).bind(self.server.to_string()))
            .await?;
        Ok(())
    }

    /// When the list of a state machine's executions was last compared with the store: the last time at all, and the
    /// last time from end to end. None when it never was.
    pub async fn sweep(&self, state_machine: &str) -> Result<Option<(i64, i64)>, StoreError> {
        sqlx::query_as("SELECT began_at_ms, deep_at_ms FROM sweep WHERE state_machine = $1")
            .bind(state_machine)
            .fetch_optional(&self.read)
            .await
            .during("read the last sweep")
    }

    /// Notes that a list was compared.
    pub async fn swept(
        &self,
        state_machine: &str,
        began_at_ms: i64,
        deep_at_ms: i64,
    ) -> Result<(), StoreError> {
        let noted = Statement::new(
            "note a sweep",
            "INSERT INTO sweep (state_machine, began_at_ms, deep_at_ms) VALUES ($1, $2, $3)
             ON CONFLICT (state_machine) DO UPDATE SET began_at_ms = excluded.began_at_ms, deep_at_ms = excluded.deep_at_ms",
        );
        self.write(noted.bind(state_machine).bind(began_at_ms).bind(deep_at_ms))
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{
        Backend, Store,
        outbox::testing::submit,
        testing::{address, backend, on_each_database},
    };

    on_each_database!(
        a_lease_is_one_servers_until_it_ends,
        what_a_server_took_is_given_back_once_it_lives_no_more,
    );

    async fn a_lease_is_one_servers_until_it_ends() {
        let (_folder, url) = address(true).await;
        let (one, other) = (
            Store::open(&url).await.unwrap(),
            Store::open(&url).await.unwrap(),
        );
        assert!(one.lease("sweep", 1_000, 2_000).await.unwrap());
        assert!(!other.lease("sweep", 1_500, 2_500).await.unwrap());
        assert!(one.lease("sweep", 1_500, 2_500).await.unwrap());
        // Time is over.
        assert!(other.lease("sweep", 2_500, 3_500).await.unwrap());
        one.lease_end("sweep").await.unwrap();
        assert!(!one.lease("sweep", 2_600, 3_600).await.unwrap());
        other.lease_end("sweep").await.unwrap();
        assert!(one.lease("sweep", 2_600, 3_600).await.unwrap());
    }

    async fn what_a_server_took_is_given_back_once_it_lives_no_more() {
        let (_folder, url) = address(true).await;
        let (one, other) = (
            Store::open(&url).await.unwrap(),
            Store::open(&url).await.unwrap(),
        );
        submit(&one, 1).await;
        one.alive(1_000, 2_000).await.unwrap();
        assert_eq!(one.outbox_take(1_000, 240_000, 9).await.unwrap().len(), 1);
        other.outbox_release(1_500).await.unwrap();
        let taken = other.outbox_take(1_500, 1, 9).await.unwrap();
        // SQLite is one server's.
        assert_eq!(taken.len(), usize::from(backend() == Backend::Sqlite));
        other.outbox_release(2_500).await.unwrap();
        assert_eq!(other.outbox_take(2_500, 1, 9).await.unwrap().len(), 1);
    }
}
