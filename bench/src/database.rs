//! Databases for one run on a PostgreSQL server that others use too.

use anyhow::Context;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

/// Makes an empty database on a server; gives its address.
pub async fn create(server: &str, name: &str) -> anyhow::Result<String> {
    remove(server, name).await?;
    let mut connection = connect(server).await?;
    connection
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await?;
    connection.close().await?;
    on_server(server, name)
}

/// Removes a database, whoever uses it.
pub async fn remove(server: &str, name: &str) -> anyhow::Result<()> {
    let mut connection = connect(server).await?;
    let gone = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    connection.execute(AssertSqlSafe(gone)).await?;
    connection.close().await?;
    Ok(())
}

/// A connection to either database.
pub async fn connect(url: &str) -> anyhow::Result<AnyConnection> {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url)
        .await
        .context("the database does not answer")
}

/// The same server's address with another database.
fn on_server(server: &str, name: &str) -> anyhow::Result<String> {
    let (address, options) = match server.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (server, String::new()),
    };
    let (before, _) = address
        .rsplit_once('/')
        .context("the server's address names no database")?;
    Ok(format!("{before}/{name}{options}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_is_at_the_same_server() {
        let given = "postgres://gantry@localhost/postgres?host=%2Ftmp%2Fpg";
        assert_eq!(
            on_server(given, "other").unwrap(),
            "postgres://gantry@localhost/other?host=%2Ftmp%2Fpg"
        );
    }
}
