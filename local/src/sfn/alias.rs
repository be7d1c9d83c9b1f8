//! Aliases of state machines: names for one version, or for two that share the executions by weight.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-alias.html>

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};

use super::arn::Qualifier;
use super::constraint::Constraints;
use super::execution::page_size;
use super::machine::{Machine, deleting, find};
use super::revision::DESCRIPTION_MAX;
use super::{Sfn, arn, token};
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// Most aliases of a state machine.
const ALIASES_MAX: i64 = 100;
/// Most characters of a name.
const NAME_MAX: usize = 80;
/// What a name looks like: not a number, so that it is never taken for a version.
const NAME_PATTERN: &str = r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateAlias {
    name: String,
    description: Option<String>,
    routing_configuration: Vec<Given>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateAlias {
    state_machine_alias_arn: String,
    description: Option<String>,
    routing_configuration: Option<Vec<Given>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfAlias {
    state_machine_alias_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListAliases {
    state_machine_arn: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// A route as the API has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    state_machine_version_arn: String,
    weight: i64,
}

/// A route as the store has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Route {
    version: i64,
    /// Of all executions, per cent.
    weight: u64,
}

#[derive(FromRow)]
struct Row {
    name: String,
    description: Option<String>,
    /// JSON: an array of [`Route`].
    routing: String,
    created_at_ms: i64,
    updated_at_ms: i64,
}

impl Row {
    fn routes(&self) -> Vec<Route> {
        serde_json::from_str(&self.routing).unwrap_or_default()
    }
}

/// The names of the aliases that route to a version.
pub(super) async fn routing_to(
    connection: &mut SqliteConnection,
    machine: i64,
    version: i64,
) -> Result<Vec<String>, AwsError> {
    let rows = all(connection, machine).await?;
    let routes = |row: &Row| row.routes().iter().any(|route| route.version == version);
    Ok(rows
        .into_iter()
        .filter(routes)
        .map(|row| row.name)
        .collect())
}

/// The version that an alias gives to an execution of this seed; `None` if there is no such alias.
pub(super) async fn choose(
    connection: &mut SqliteConnection,
    machine: i64,
    name: &str,
    seed: u64,
) -> Result<Option<i64>, AwsError> {
    let row = one(connection, machine, name).await?;
    Ok(row.and_then(|row| routed(&row.routes(), seed)))
}

/// Weights sum up to 100: a seed falls into the share of one route.
fn routed(routes: &[Route], seed: u64) -> Option<i64> {
    let mut place = seed % 100;
    for route in routes {
        if place < route.weight {
            return Some(route.version);
        }
        place -= route.weight;
    }
    None
}

async fn one(
    connection: &mut SqliteConnection,
    machine: i64,
    name: &str,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, description, routing, created_at_ms, updated_at_ms FROM sfn_aliases
         WHERE machine = ? AND name = ?",
    )
    .bind(machine)
    .bind(name)
    .fetch_optional(connection)
    .await
}

async fn all(connection: &mut SqliteConnection, machine: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, description, routing, created_at_ms, updated_at_ms FROM sfn_aliases
         WHERE machine = ? ORDER BY name",
    )
    .bind(machine)
    .fetch_all(connection)
    .await
}

impl Sfn {
    pub(super) async fn create_state_machine_alias(
        &self,
        ask: CreateAlias,
    ) -> Result<Value, AwsError> {
        let mut constraints = Constraints::default();
        constraints.length("name", Some(&ask.name), 1, NAME_MAX);
        constraints.pattern("name", &ask.name, is_name(&ask.name), NAME_PATTERN);
        let description = ask.description.as_deref();
        constraints.secret_length("description", description, 0, DESCRIPTION_MAX);
        check_routes(&mut constraints, &ask.routing_configuration);
        constraints.check()?;
        let mut transaction = self.store.begin().await?;
        let (machine, routes) =
            routes_of(&mut transaction, None, &ask.routing_configuration).await?;
        let routing = write(&routes);
        let answer = |created_at_ms: i64| {
            json!({
                "stateMachineAliasArn": format!("{}:{}", machine.arn, ask.name),
                "creationDate": epoch_seconds(created_at_ms),
            })
        };
        if let Some(row) = one(&mut transaction, machine.id, &ask.name).await? {
            if row.description == ask.description && row.routes() == routes {
                return Ok(answer(row.created_at_ms));
            }
            return Err(AwsError::bad_request(
                "ConflictException",
                "Failed to create alias because an alias with the same name and a different routing configuration already exists.",
            ));
        }
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sfn_aliases WHERE machine = ?")
            .bind(machine.id)
            .fetch_one(&mut *transaction)
            .await?;
        if count >= ALIASES_MAX {
            return Err(AwsError::bad_request(
                "ServiceQuotaExceededException",
                format!(
                    "A state machine has at most {ALIASES_MAX} aliases; delete some that are not in use."
                ),
            ));
        }
        let now_ms = now_ms();
        sqlx::query(
            "INSERT INTO sfn_aliases (machine, name, description, routing, created_at_ms, updated_at_ms)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(machine.id)
        .bind(&ask.name)
        .bind(&ask.description)
        .bind(&routing)
        .bind(now_ms)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(answer(now_ms))
    }

    pub(super) async fn update_state_machine_alias(
        &self,
        ask: UpdateAlias,
    ) -> Result<Value, AwsError> {
        let mut constraints = Constraints::default();
        let description = ask.description.as_deref();
        constraints.secret_length("description", description, 0, DESCRIPTION_MAX);
        if let Some(routes) = &ask.routing_configuration {
            check_routes(&mut constraints, routes);
        }
        constraints.check()?;
        let (machine_arn, name) = named(&ask.state_machine_alias_arn)?;
        if ask.description.is_none() && ask.routing_configuration.is_none() {
            return Err(AwsError::validation(
                "Either the description or the routingConfiguration must be specified",
            ));
        }
        let mut transaction = self.store.begin().await?;
        let Some(machine) = find(&mut transaction, machine_arn).await? else {
            return Err(not_found());
        };
        if machine.deleting {
            return Err(deleting(&machine.arn));
        }
        let Some(row) = one(&mut transaction, machine.id, name).await? else {
            return Err(not_found());
        };
        let mut routing = row.routing;
        if let Some(given) = &ask.routing_configuration {
            let (_, routes) = routes_of(&mut transaction, Some(&machine.arn), given).await?;
            routing = write(&routes);
        }
        let now_ms = now_ms();
        sqlx::query(
            "UPDATE sfn_aliases SET description = ?, routing = ?, updated_at_ms = ?
             WHERE machine = ? AND name = ?",
        )
        .bind(ask.description.or(row.description))
        .bind(&routing)
        .bind(now_ms)
        .bind(machine.id)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(json!({"updateDate": epoch_seconds(now_ms)}))
    }

    pub(super) async fn describe_state_machine_alias(
        &self,
        ask: OfAlias,
    ) -> Result<Value, AwsError> {
        let alias_arn = &ask.state_machine_alias_arn;
        let (machine_arn, name) = named(alias_arn)?;
        let mut connection = self.store.db.acquire().await?;
        let row = match find(&mut connection, machine_arn).await? {
            Some(machine) => one(&mut connection, machine.id, name).await?,
            None => None,
        };
        let row = row.ok_or_else(not_found)?;
        let routes = row.routes();
        let mut answer = json!({
            "stateMachineAliasArn": alias_arn,
            "name": row.name,
            "routingConfiguration": routes.iter().map(|route| json!({
                "stateMachineVersionArn": format!("{machine_arn}:{}", route.version),
                "weight": route.weight,
            })).collect::<Vec<_>>(),
            "creationDate": epoch_seconds(row.created_at_ms),
            "updateDate": epoch_seconds(row.updated_at_ms),
        });
        if let Some(description) = row.description {
            answer["description"] = json!(description);
        }
        Ok(answer)
    }

    /// An alias that is not there is deleted already.
    pub(super) async fn delete_state_machine_alias(&self, ask: OfAlias) -> Result<Value, AwsError> {
        let (machine_arn, name) = named(&ask.state_machine_alias_arn)?;
        sqlx::query(
            "DELETE FROM sfn_aliases WHERE name = ?
                AND machine IN (SELECT id FROM sfn_machines WHERE arn = ?)",
        )
        .bind(name)
        .bind(machine_arn)
        .execute(&self.store.db)
        .await?;
        Ok(json!({}))
    }

    /// Of a whole machine, or those that route to the version that the ARN names.
    pub(super) async fn list_state_machine_aliases(
        &self,
        ask: ListAliases,
    ) -> Result<Value, AwsError> {
        let limit = usize::try_from(page_size(ask.max_results)?).unwrap_or(usize::MAX);
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let after: Option<String> = ask.next_token.as_deref().map(token::read).transpose()?;
        let target = self.target(&ask.state_machine_arn, None).await?;
        let mut connection = self.store.db.acquire().await?;
        let mut rows = all(&mut connection, target.machine.id).await?;
        if let Some(version) = target.version {
            rows.retain(|row| {
                let mut routes = row.routes().into_iter();
                routes.any(|route| route.version == version.number)
            });
        }
        if let Some(after) = after {
            rows.retain(|row| row.name > after);
        }
        let mut answer = json!({});
        if rows.len() > limit {
            rows.truncate(limit);
            answer["nextToken"] = json!(rows.last().map(|row| token::write(&row.name)));
        }
        answer["stateMachineAliases"] = rows
            .iter()
            .map(|row| {
                json!({
                    "stateMachineAliasArn": format!("{}:{}", target.machine.arn, row.name),
                    "creationDate": epoch_seconds(row.created_at_ms),
                })
            })
            .collect();
        Ok(answer)
    }
}

fn write(routes: &[Route]) -> String {
    serde_json::to_string(routes).expect("numbers are JSON")
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.chars().all(allowed) && name.chars().any(|c| !c.is_ascii_digit())
}

/// The machine's ARN and the alias's name.
fn named(alias_arn: &str) -> Result<(&str, &str), AwsError> {
    arn::check(alias_arn, "stateMachine")?;
    match arn::qualified(alias_arn) {
        (machine_arn, Some(Qualifier::Alias(name))) => Ok((machine_arn, name)),
        _ => Err(AwsError::validation(format!(
            "The ARN does not name an alias of a state machine: {alias_arn}"
        ))),
    }
}

fn check_routes(constraints: &mut Constraints, routes: &[Given]) {
    let shown: Vec<String> = routes
        .iter()
        .map(|route| {
            format!(
                "RoutingConfigurationListItem(stateMachineVersionArn={}, weight={})",
                route.state_machine_version_arn, route.weight
            )
        })
        .collect();
    let shown = format!("[{}]", shown.join(", "));
    constraints.count("routingConfiguration", &shown, routes.len(), 1, 2);
    for (index, route) in routes.iter().enumerate() {
        let member = format!("routingConfiguration.{}.member.weight", index + 1);
        constraints.range(&member, Some(route.weight), 0, 100);
    }
}

/// The machine and the versions that routes lead to, all of one machine.
async fn routes_of(
    connection: &mut SqliteConnection,
    machine_arn: Option<&str>,
    given: &[Given],
) -> Result<(Machine, Vec<Route>), AwsError> {
    let arns: Vec<&str> = given
        .iter()
        .map(|route| route.state_machine_version_arn.as_str())
        .collect();
    let received = arns.join(", ");
    let mut machine_arn = machine_arn;
    let mut routes: Vec<Route> = Vec::with_capacity(given.len());
    for route in given {
        let version_arn = &route.state_machine_version_arn;
        arn::check(version_arn, "stateMachine")?;
        let (of, Some(Qualifier::Version(version))) = arn::qualified(version_arn) else {
            return Err(AwsError::validation(format!(
                "Routing configuration must contain state machine version ARNs. Received: [{received}]"
            )));
        };
        if *machine_arn.get_or_insert(of) != of {
            return Err(AwsError::validation(format!(
                "Routing configuration must contain versions of the same state machine. Received: [{received}]"
            )));
        }
        if routes.iter().any(|route| route.version == version) {
            return Err(AwsError::validation(format!(
                "Routing configuration must contain distinct state machine version ARNs. Received: [{received}]"
            )));
        }
        routes.push(Route {
            version,
            weight: u64::try_from(route.weight).unwrap_or(0),
        });
    }
    if routes.iter().map(|route| route.weight).sum::<u64>() != 100 {
        let weights: Vec<String> = given.iter().map(|route| route.weight.to_string()).collect();
        return Err(AwsError::validation(format!(
            "Sum of routing configuration weights must equal 100. Received: [{}]",
            weights.join(", ")
        )));
    }
    let machine = match machine_arn {
        Some(arn) => find(connection, arn).await?,
        None => None,
    };
    let machine = machine.ok_or_else(not_found)?;
    if machine.deleting {
        return Err(deleting(&machine.arn));
    }
    for route in &routes {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT number FROM sfn_versions WHERE machine = ? AND number = ? AND NOT deleted",
        )
        .bind(machine.id)
        .bind(route.version)
        .fetch_optional(&mut *connection)
        .await?;
        if found.is_none() {
            return Err(not_found());
        }
    }
    Ok((machine, routes))
}

fn not_found() -> AwsError {
    AwsError::bad_request(
        "ResourceNotFound",
        "Request references a resource that does not exist.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_shared_out_by_weight() {
        let route = |version, weight| Route { version, weight };
        let routes = [route(3, 10), route(4, 90)];
        let of = |version| {
            (0..1000)
                .filter(|&seed| routed(&routes, seed) == Some(version))
                .count()
        };
        assert_eq!((of(3), of(4)), (100, 900));
        assert_eq!(routed(&[route(1, 0), route(2, 100)], 0), Some(2));
        assert_eq!(routed(&[], 7), None);
    }

    #[test]
    fn names_are_not_numbers() {
        for name in ["live", "v-1.2_x", "1a", "-"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1", "042", "a b", "ä", "a:b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
