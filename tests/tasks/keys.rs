//! `keys:create`, `keys:list`, `keys:delete`.

use boxcar::tasks::{keys_create::KeysCreate, keys_delete::KeysDelete};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{printed, run};
use crate::support::{Mismatches, Shop};

#[tokio::test]
async fn a_key_that_a_command_makes_is_printed_once_listed_and_works_until_one_deletes_it() {
    let (shop, admin) = Shop::open_with_admin().await;
    let arguments = [
        "name:Warehouse: north",
        "kind:secret",
        "scopes:orders:read,products:write",
        "rate_limit:1000/60",
        "expires_at:2999-01-31T00:00:00Z",
    ];
    let output = printed(&shop, "keys:create", &arguments).await;
    let key = output.split_whitespace().last().unwrap();
    assert_eq!(output.matches(key).count(), 1);
    let robot = shop.bearing(Some(key.to_owned()));
    assert_eq!(robot.get("/orders").await.outcome(), "200");
    assert_eq!(robot.get("/events").await.outcome(), "403 forbidden");
    let shown = admin.get("/api-keys/1").await.body;
    assert_eq!(shown["name"], "Warehouse: north");
    assert_eq!(shown["scopes"], json!(["orders:read", "products:write"]));
    assert_eq!(
        shown["rate_limit"],
        json!({ "requests": 1000, "period_seconds": 60 })
    );
    assert_eq!(shown["created_by"], Value::Null);
    let event = admin.get("/events?page_size=1").await.body["items"][0].clone();
    assert_eq!(event["type"], "api_key.created");
    assert_eq!(
        event["actor"],
        json!({ "kind": "task", "id": null, "name": "keys:create" })
    );

    let list = printed(&shop, "keys:list", &[]).await;
    assert!(
        list.contains("Warehouse: north  orders:read,products:write"),
        "{list}"
    );
    assert!(
        list.contains(&key[..8]) && !list.contains(&key[..9]),
        "{list}"
    );
    assert!(list.contains("1 API key."), "{list}");

    let deleted = printed(&shop, "keys:delete", &["id:1"]).await;
    assert!(
        deleted.contains("The API key 1 (Warehouse: north) was deleted."),
        "{deleted}"
    );
    // A server that shares no Redis with the command has seen the key work before.
    let end = Instant::now() + Duration::from_secs(10);
    while robot.get("/orders").await.outcome() == "200" {
        assert!(Instant::now() < end, "the key works on");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(robot.get("/orders").await.outcome(), "401 unauthenticated");
}

#[tokio::test]
async fn what_is_wrong_with_the_arguments_is_said() {
    let shop = Shop::open().await;
    let mut mismatches = Mismatches::default();
    let (name, kind) = (("name", "Robot"), ("kind", "secret"));
    for (arguments, expected) in [
        (&[][..], "name:NAME is required"),
        (&[name], "kind:publishable or kind:secret is required"),
        (
            &[name, ("kind", "open")],
            "kind must be publishable or secret",
        ),
        (&[name, kind], "scopes:SCOPE,SCOPE is required"),
        (
            &[name, kind, ("scopes", "orders:read,orders:read")],
            "scopes name orders:read twice",
        ),
        (
            &[name, ("kind", "publishable"), ("scopes", "visitors")],
            "scopes are for secret keys only",
        ),
        (
            &[name, kind, ("scopes", "visitors"), ("rate_limit", "10")],
            "rate_limit must be REQUESTS/SECONDS, such as 1000/3600",
        ),
        (
            &[
                name,
                kind,
                ("scopes", "visitors"),
                ("expires_at", "2020-01-31T00:00:00Z"),
            ],
            "expires_at must be in the future",
        ),
    ] {
        let refused = run(KeysCreate, &shop, arguments).await.unwrap_err();
        mismatches.compare(format!("{arguments:?}"), &*refused, expected);
    }
    let refused = run(KeysDelete, &shop, &[("id", "7")]).await.unwrap_err();
    mismatches.compare("id:7", &*refused, "there is no API key 7");
    let refused = run(KeysDelete, &shop, &[]).await.unwrap_err();
    mismatches.compare(
        "nothing",
        &*refused,
        "id:ID is required: the id of an API key",
    );
}
