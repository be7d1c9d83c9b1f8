//! What the group commit promises: everybody's write durable before the answer, and nobody's failure another's.

use futures::future::join_all;

use super::*;
use crate::store::{
    Store,
    testing::{on_each_database, store},
};

on_each_database!(
    one_that_fails_does_not_fail_its_neighbours,
    a_write_that_panics_leaves_a_writer_behind,
    a_closed_store_refuses_and_does_not_hang,
);

fn begun(number: usize) -> Statement {
    Statement::new(
        "begin",
        "INSERT INTO upload (key, upload_id, started_at_ms) VALUES ($1, $2, $3)",
    )
    .bind(format!("uploads/{}", number / 2 * 2))
    .bind("1")
    .bind(5_i64)
}

async fn one_that_fails_does_not_fail_its_neighbours() {
    let (_folder, store) = store().await;
    // Each key comes twice: the second one violates the primary key.
    let results = join_all((0..200).map(|number| store.write(begun(number)))).await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 100);
    assert!(
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| matches!(error, StoreError::Query { .. }))
    );
    assert_eq!(store.uploads_left(i64::MAX).await.unwrap().len(), 100);
}

struct Panicking;

impl Write for Panicking {
    type Output = ();

    fn operation(&self) -> &'static str {
        "panic"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        begun(0).apply(connection).await?;
        panic!("on purpose");
    }
}

async fn a_write_that_panics_leaves_a_writer_behind() {
    let (_folder, store) = store().await;
    for _ in 0..3 {
        let error = store.write(Panicking).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(pending(&store).await, 0);
    store.write(begun(0)).await.unwrap();
    assert_eq!(pending(&store).await, 1);
}

async fn pending(store: &Store) -> usize {
    store.uploads_left(i64::MAX).await.unwrap().len()
}

async fn a_closed_store_refuses_and_does_not_hang() {
    let (_folder, store) = store().await;
    store.close().await;
    let error = store.write(begun(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
