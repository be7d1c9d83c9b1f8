//! Many rows as one value, and many values as one parameter: what a statement gives or takes as a list. Owns how each
//! database writes and reads lists.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor},
};
use serde_json::json;

use super::{Backend, StoreError};

impl Backend {
    /// The expression for all rows of a query as one value, a list of lists in JSON: SQLite's rows are handed from its
    /// thread to ours one by one otherwise, which costs more than reading them. [`read`] reads it. PostgreSQL writes
    /// numbers as texts, for it finds out for each value how its type is written, and for a table of texts once.
    pub(super) fn rows_as_json(self, columns: &[&str]) -> String {
        self.rows_as_json_if(columns, "")
    }

    /// The same of those rows alone for which a condition holds.
    pub(super) fn rows_as_json_where(self, columns: &[&str], condition: &str) -> String {
        self.rows_as_json_if(columns, &format!(" FILTER (WHERE {condition})"))
    }

    fn rows_as_json_if(self, columns: &[&str], filter: &str) -> String {
        match self {
            Backend::Sqlite => {
                let columns = columns.join(", ");
                format!("json_group_array(json_array({columns})){filter}")
            }
            Backend::Postgres => {
                let columns = columns.iter();
                let texts: Vec<_> = columns
                    .map(|column| format!("CAST({column} AS TEXT)"))
                    .collect();
                let texts = texts.join(", ");
                format!(
                    "COALESCE(CAST(array_to_json(array_agg(ARRAY[{texts}]){filter}) AS TEXT), '[]')"
                )
            }
        }
    }

    /// Texts without commas, quotes and brackets as one parameter. PostgreSQL takes JSON apart at ten times the cost of
    /// what lies between commas.
    pub(super) fn texts(self, texts: impl Iterator<Item = String>) -> String {
        let texts: Vec<String> = texts.collect();
        match self {
            Backend::Sqlite => json!(texts).to_string(),
            Backend::Postgres => texts.join(","),
        }
    }

    /// Whole numbers as one parameter.
    pub(super) fn numbers(self, numbers: impl Iterator<Item = i64>) -> String {
        match self {
            Backend::Sqlite => json!(numbers.collect::<Vec<_>>()).to_string(),
            Backend::Postgres => self.texts(numbers.map(|number| number.to_string())),
        }
    }

    /// That a column is one of [`Self::texts`]. Each is looked up.
    pub(super) fn is_text_of(self, column: &str, parameter: &str) -> String {
        match self {
            Backend::Sqlite => format!("{column} IN (SELECT value FROM json_each({parameter}))"),
            Backend::Postgres => is_any(column, &format!("string_to_array({parameter}, ',')")),
        }
    }

    /// That a column is one of [`Self::numbers`]. Each is looked up.
    pub(super) fn is_number_of(self, column: &str, parameter: &str) -> String {
        match self {
            Backend::Sqlite => format!("{column} IN ({})", self.each_number(parameter)),
            Backend::Postgres => is_any(column, &number_array(parameter)),
        }
    }

    /// [`Self::numbers`] as a query with one column `value`.
    pub(super) fn each_number(self, parameter: &str) -> String {
        match self {
            Backend::Sqlite => format!("SELECT value FROM json_each({parameter})"),
            Backend::Postgres => format!("SELECT unnest({}) AS value", number_array(parameter)),
        }
    }
}

/// That a column is one of an array's, on PostgreSQL. By a query of its own, so that the planner does not count the
/// array's elements and a plan for some is kept for more: to make one takes as long as to look up a hundred.
fn is_any(column: &str, array: &str) -> String {
    format!("{column} = ANY(ARRAY(SELECT unnest({array})))")
}

fn number_array(parameter: &str) -> String {
    format!("CAST(string_to_array({parameter}, ',') AS BIGINT[])")
}

/// The rows of [`Backend::rows_as_json`]; `what` names them in an error.
pub(super) fn read<T: DeserializeOwned>(
    rows: &str,
    what: &'static str,
) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(rows).map_err(|error| StoreError::Unreadable {
        what,
        text: error.to_string(),
    })
}

/// A number of such a row, written as one or as a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number<T>(pub(super) T);

impl<'de, T: TryFrom<i64> + FromStr> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers<T>(std::marker::PhantomData<T>);

        impl<T: TryFrom<i64> + FromStr> Visitor<'_> for Numbers<T> {
            type Value = Number<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number<T>, E> {
                let number = T::try_from(value);
                let number = number.map_err(|_| E::custom(format!("{value} is out of range")));
                number.map(Number)
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number<T>, E> {
                let value = i64::try_from(value);
                self.visit_i64(value.map_err(|_| E::custom("a number is out of range"))?)
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Number<T>, E> {
                let number = value.parse();
                let number = number.map_err(|_| E::custom(format!("“{value}” is no number")));
                number.map(Number)
            }
        }

        deserializer.deserialize_any(Numbers(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{on_each_database, store};

    on_each_database!(lists_come_back_as_they_went,);

    async fn lists_come_back_as_they_went() {
        let (_folder, store) = store().await;
        let backend = store.backend;
        let rows = backend.rows_as_json(&["value", "value / 2", "NULL", "'a, \"b\"'"]);
        let some = backend.rows_as_json_where(&["value"], "value > 7");
        let each = backend.each_number("$1");
        let is_one = backend.is_number_of("value", "$2");
        let is_text = backend.is_text_of("CAST(value AS TEXT)", "$3");
        let text =
            format!("SELECT {rows}, {some} FROM ({each}) AS each WHERE {is_one} OR {is_text}");
        for (numbers, texts, expected) in [
            (vec![-3, 8, i64::MAX], vec!["6"], vec![-3, 6, 8]),
            (vec![], vec![], vec![]),
        ] {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(text.clone()))
                .bind(backend.numbers([6, 5, 8, -3].into_iter()))
                .bind(backend.numbers(numbers.into_iter()))
                .bind(backend.texts(texts.into_iter().map(str::to_owned)));
            let (rows, some): (String, String) = query.fetch_one(&store.read).await.unwrap();
            let some: Vec<(Number<u8>,)> = read(&some, "test").unwrap();
            assert_eq!(some.len(), expected.len() / 3);
            type Row = (Number<i64>, Number<i64>, Option<Number<u8>>, String);
            let mut rows: Vec<Row> = read(&rows, "test").unwrap();
            rows.sort_by_key(|row| row.0.0);
            let wanted = expected.into_iter();
            let wanted = wanted.map(|value| {
                let text = "a, \"b\"".to_owned();
                (Number(value), Number(value / 2), None, text)
            });
            assert_eq!(rows, wanted.collect::<Vec<_>>());
        }
        let negative: Result<Vec<(Number<u8>,)>, _> = read(r#"[[-1]]"#, "test");
        let word: Result<Vec<(Number<u8>,)>, _> = read(r#"[["one"]]"#, "test");
        assert!(negative.is_err() && word.is_err());
    }
}
