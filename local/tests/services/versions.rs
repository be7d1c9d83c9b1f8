//! Step Functions: versions and aliases of state machines, and executions that are started through them.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::states::States;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn machine(result: u32) -> String {
    json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": result, "End": true}}})
        .to_string()
}

/// A machine with versions 1 and 2, whose results are their numbers; gives its ARN.
async fn two_versions(aws: &Aws) -> String {
    let create = json!({"name": "m", "definition": machine(1), "roleArn": ROLE, "publish": true, "versionDescription": "first"});
    let created = aws.states("CreateStateMachine", create).await.unwrap();
    let arn = created["stateMachineArn"].as_str().unwrap().to_owned();
    assert_eq!(created["stateMachineVersionArn"], format!("{arn}:1"));
    let update = json!({"stateMachineArn": arn, "definition": machine(2), "publish": true});
    let updated = aws
        .states("UpdateStateMachine", update.clone())
        .await
        .unwrap();
    assert_eq!(updated["stateMachineVersionArn"], format!("{arn}:2"));
    let again = aws.states("UpdateStateMachine", update).await.unwrap();
    assert_eq!(
        again["stateMachineVersionArn"], updated["stateMachineVersionArn"],
        "a revision is published once"
    );
    arn
}

async fn alias(aws: &Aws, name: &str, routes: &[(String, u32)]) -> Result<Value, (u16, Value)> {
    let routes: Vec<Value> = routes
        .iter()
        .map(|(arn, weight)| json!({"stateMachineVersionArn": arn, "weight": weight}))
        .collect();
    let create = json!({"name": name, "routingConfiguration": routes});
    aws.states("CreateStateMachineAlias", create).await
}

#[tokio::test]
async fn versions_are_numbered_and_stay_as_they_are() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let arn = two_versions(&aws).await;
    let first = aws
        .states(
            "DescribeStateMachine",
            json!({"stateMachineArn": format!("{arn}:1")}),
        )
        .await
        .unwrap();
    assert_eq!(first["definition"], machine(1));
    assert_eq!(first["description"], "first");
    assert_eq!(first["stateMachineArn"], format!("{arn}:1"));
    let list = json!({"stateMachineArn": arn, "maxResults": 1});
    let page = aws.states("ListStateMachineVersions", list).await.unwrap();
    assert_eq!(
        page["stateMachineVersions"][0]["stateMachineVersionArn"],
        format!("{arn}:2")
    );
    let next = json!({"stateMachineArn": arn, "nextToken": page["nextToken"]});
    let page = aws.states("ListStateMachineVersions", next).await.unwrap();
    assert_eq!(
        page["stateMachineVersions"][0]["stateMachineVersionArn"],
        format!("{arn}:1")
    );
    assert_eq!(page.get("nextToken"), None);

    let delete = json!({"stateMachineVersionArn": format!("{arn}:2")});
    aws.states("DeleteStateMachineVersion", delete.clone())
        .await
        .unwrap();
    aws.states("DeleteStateMachineVersion", delete)
        .await
        .expect("it is deleted already");
    let publish = json!({"stateMachineArn": arn, "revisionId": "other"});
    let (_, code, message) = refused(aws.states("PublishStateMachineVersion", publish).await);
    assert_eq!(code, "ConflictException");
    assert!(message.contains("for revision other"), "{message}");
    let publish = json!({"stateMachineArn": arn});
    let published = aws
        .states("PublishStateMachineVersion", publish)
        .await
        .unwrap();
    assert_eq!(
        published["stateMachineVersionArn"],
        format!("{arn}:3"),
        "a number is given once"
    );
}

#[tokio::test]
async fn an_execution_runs_the_version_it_is_started_through() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let arn = two_versions(&aws).await;
    let (first, second) = (format!("{arn}:1"), format!("{arn}:2"));
    alias(&aws, "live", &[(first.clone(), 100), (second.clone(), 0)])
        .await
        .unwrap();
    let live = format!("{arn}:live");

    let by_version = aws.run(&second, "v", json!({})).await;
    let change = aws.end(&queue, &by_version).await;
    assert_eq!(change["output"], "2");
    assert_eq!(change["stateMachineVersionArn"], second);
    let by_alias = aws.run(&live, "a", json!({})).await;
    assert_eq!(aws.end(&queue, &by_alias).await["output"], "1");
    let described = aws.describe(&by_alias).await;
    assert_eq!(described["stateMachineArn"], arn);
    assert_eq!(described["stateMachineVersionArn"], first);
    assert_eq!(described["stateMachineAliasArn"], live);
    let started = &aws.history(&by_alias).await[0]["executionStartedEventDetails"];
    assert_eq!(
        (
            &started["stateMachineAliasArn"],
            &started["stateMachineVersionArn"]
        ),
        (&json!(live), &json!(first))
    );
    let of = json!({"executionArn": by_alias});
    let machine_of = aws
        .states("DescribeStateMachineForExecution", of)
        .await
        .unwrap();
    assert_eq!(machine_of["definition"], machine(1));
    for (asked, execution) in [(&live, &by_alias), (&second, &by_version)] {
        let list = json!({"stateMachineArn": asked});
        let list = aws.states("ListExecutions", list).await.unwrap();
        let executions = list["executions"].as_array().unwrap();
        assert_eq!(executions.len(), 1);
        assert_eq!(executions[0]["executionArn"], *execution);
    }
}

#[tokio::test]
async fn an_alias_is_changed_and_holds_its_versions() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let arn = two_versions(&aws).await;
    let (first, second) = (format!("{arn}:1"), format!("{arn}:2"));
    for (routes, wanted) in [
        (vec![(first.clone(), 60)], "Sum of routing"),
        (
            vec![(arn.clone(), 100)],
            "must contain state machine version ARNs",
        ),
        (vec![(first.clone(), 50), (first.clone(), 50)], "distinct"),
        (vec![(first.clone(), 101)], "1 validation error detected"),
    ] {
        let (_, code, message) = refused(alias(&aws, "live", &routes).await);
        assert_eq!(code, "ValidationException");
        assert!(message.contains(wanted), "{message}");
    }
    let missing = refused(alias(&aws, "live", &[(format!("{arn}:9"), 100)]).await);
    assert_eq!(missing.1, "ResourceNotFound");
    let number = refused(alias(&aws, "12", &[(first.clone(), 100)]).await);
    assert_eq!(number.1, "ValidationException");

    let routes = [(first.clone(), 100)];
    let created = alias(&aws, "live", &routes).await.unwrap();
    let again = alias(&aws, "live", &routes).await.unwrap();
    assert_eq!(created, again, "the same again is no error");
    let other = refused(alias(&aws, "live", &[(second.clone(), 100)]).await);
    assert_eq!(other.1, "ConflictException");
    let held = json!({"stateMachineVersionArn": first});
    let (_, code, message) = refused(aws.states("DeleteStateMachineVersion", held).await);
    assert_eq!(code, "ConflictException");
    assert!(message.ends_with("[live]"), "{message}");

    let live = json!({"stateMachineAliasArn": created["stateMachineAliasArn"]});
    let mut update = live.clone();
    update["description"] = json!("new");
    update["routingConfiguration"] = json!([{"stateMachineVersionArn": second, "weight": 100}]);
    aws.states("UpdateStateMachineAlias", update).await.unwrap();
    let described = aws
        .states("DescribeStateMachineAlias", live.clone())
        .await
        .unwrap();
    assert_eq!(described["description"], "new");
    assert_eq!(
        described["routingConfiguration"],
        json!([{"stateMachineVersionArn": second, "weight": 100}])
    );
    for (asked, count) in [(&arn, 1), (&first, 0), (&second, 1)] {
        let list = json!({"stateMachineArn": asked});
        let list = aws.states("ListStateMachineAliases", list).await.unwrap();
        assert_eq!(
            list["stateMachineAliases"].as_array().map(Vec::len),
            Some(count),
            "{asked}"
        );
    }
    aws.states("DeleteStateMachineAlias", live.clone())
        .await
        .unwrap();
    let gone = refused(aws.states("DescribeStateMachineAlias", live).await);
    assert_eq!(gone.1, "ResourceNotFound");
    let start = json!({"stateMachineArn": format!("{arn}:live")});
    let gone = refused(aws.states("StartExecution", start).await);
    assert_eq!(gone.1, "StateMachineDoesNotExist");
}
