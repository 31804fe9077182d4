{% set_global unique = false %}
{%- set_global optional = false %}
{%- set_global required = false %}
{%- for f in fields %}
{%- if f.unique %}{% set_global unique = f %}{% endif %}
{%- if f.required %}{% set_global required = true %}{% else %}{% set_global optional = true %}{% endif %}
{%- endfor -%}
to: tests/requests/{{ plural }}.rs
injections:
- into: tests/requests/mod.rs
  before: ^mod customers;
  content: mod {{ plural }};
- into: tests/requests/document.rs
  before: session\.go_wrong\(
  content: "    session.keep_{{ plural }}(&admin).await;"
- into: tests/requests/document.rs
  before: async fn go_wrong\(
  content: |2
        async fn keep_{{ plural }}(&self, admin: &Client) {
            let {{ name }} = json!({{ "{" }} {% for f in fields %}"{{ f.name }}": {{ f.samples.0 | json_encode }}{% if not loop.last %}, {% endif %}{% endfor %} });
            self.expect_all([
                (admin, "create_{{ name }}", "", {{ name }}.clone(), 201),
                (admin, "replace_{{ name }}", "1", {{ name }}, 200),
                (admin, "change_{{ name }}", "1", json!({ "{{ fields.0.name }}": {{ fields.0.samples.1 | json_encode }} }), 200),
                (admin, "show_{{ name }}", "1", Value::Null, 200),
                (admin, "list_{{ plural }}", "", Value::Null, 200),
                (admin, "delete_{{ name }}", "1", Value::Null, 204),
            ]).await;
        }
---
//! {{ title }}.

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::support::{Mismatches, Shop};

#[tokio::test]
async fn {{ article }}_{{ name }}_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/{{ path }}", {{ name }}()).await;
    assert_eq!(created.outcome(), "201");
    assert_eq!(created.header("location"), Some("/api/v1/{{ path }}/1"));
    let shown = admin.get("/{{ path }}/1").await;
    assert_eq!(shown.outcome(), "200");
    assert_eq!(shown.body, created.body);
    assert_eq!(fields(shown.body), {{ name }}());
}

#[tokio::test]
async fn {{ article }}_{{ name }}_that_is_sent_again_under_its_key_is_the_same() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for _ in 0..2 {
        let created = admin.post_once("key", "/{{ path }}", &{{ name }}()).await;
        assert_eq!(created.id(), 1);
    }
    assert_eq!(admin.get("/{{ path }}").await.body["total_items"], 1);
}

#[tokio::test]
async fn {{ plural }}_are_listed_a_page_at_a_time() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for {{ name }} in [{{ name }}(), another()] {
        assert_eq!(admin.post("/{{ path }}", {{ name }}).await.outcome(), "201");
    }
    for (query, id) in [
        ("page=1", 1),
        ("page=2", 2),
        ("sort=-id", 2),
        ("sort=-created_at&cursor=", 2),
    ] {
        let path = format!("/{{ path }}?page_size=1&{query}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.outcome(), "200", "{path}");
        assert_eq!(answer.body["items"][0]["id"], id, "{path}");
        assert_eq!(answer.body["items"][1], Value::Null, "{path}");
    }
}

#[tokio::test]
async fn put_replaces_every_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", {{ name }}()).await;
    let replaced = admin.put("/{{ path }}/1", another()).await;
    assert_eq!(replaced.outcome(), "200");
    assert_eq!(fields(replaced.body), another());
}
{%- if optional %}

#[tokio::test]
async fn what_put_does_not_send_is_cleared_and_so_is_what_patch_sends_as_null() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut bare = {{ name }}();
    let mut cleared = {{ name }}();
    for field in [{% for f in fields %}{% if not f.required %}"{{ f.name }}", {% endif %}{% endfor %}] {
        bare.as_object_mut().unwrap().remove(field);
        cleared[field] = Value::Null;
    }
    admin.post("/{{ path }}", {{ name }}()).await;
    let replaced = admin.put("/{{ path }}/1", bare).await;
    assert_eq!(fields(replaced.body), cleared);
    admin.put("/{{ path }}/1", {{ name }}()).await;
    let changed = admin.patch("/{{ path }}/1", cleared.clone()).await;
    assert_eq!(fields(changed.body), cleared);
}
{%- endif %}

#[tokio::test]
async fn patch_changes_what_is_sent_and_keeps_the_rest() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", {{ name }}()).await;
    for (field, value) in another().as_object().unwrap() {
        let mut expected = fields(admin.get("/{{ path }}/1").await.body);
        expected[field] = value.clone();
        let changed = admin.patch("/{{ path }}/1", json!({ field: value })).await;
        assert_eq!(changed.outcome(), "200", "{field}");
        assert_eq!(fields(changed.body), expected, "{field}");
    }
}

#[tokio::test]
async fn every_write_shows_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    assert_eq!(admin.get("/{{ path }}").await.body["items"], json!([]));
    admin.post("/{{ path }}", {{ name }}()).await;
    for (method, body) in [
        (Method::PUT, another()),
        (Method::PATCH, {{ name }}()),
    ] {
        admin.get("/{{ path }}/1").await;
        admin.get("/{{ path }}").await;
        let written = admin.send(method, "/{{ path }}/1", Some(body)).await;
        assert_eq!(admin.get("/{{ path }}/1").await.body, written.body);
        assert_eq!(admin.get("/{{ path }}").await.body["items"], json!([written.body]));
    }
    admin.delete("/{{ path }}/1").await;
    assert_eq!(admin.get("/{{ path }}").await.body["items"], json!([]));
}

#[tokio::test]
async fn {{ article }}_{{ name }}_that_was_deleted_is_not_found_by_any_verb() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", {{ name }}()).await;
    assert_eq!(admin.delete("/{{ path }}/1").await.outcome(), "204");
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::GET, None),
        (Method::PUT, Some({{ name }}())),
        (Method::PATCH, Some(json!({}))),
        (Method::DELETE, None),
    ] {
        let answer = admin.send(method.clone(), "/{{ path }}/1", body).await;
        mismatches.answer(method, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", {{ name }}()).await;
    let shown = admin.get("/{{ path }}/1").await;
    let old = shown.header("etag").unwrap();
    let same = admin.get_if("/{{ path }}/1", header::IF_NONE_MATCH, old).await;
    assert_eq!(same.outcome(), "304");
    admin.put("/{{ path }}/1", another()).await;
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::PUT, Some({{ name }}())),
        (Method::PATCH, Some({{ name }}())),
        (Method::DELETE, None),
    ] {
        let answer = admin
            .send_if_match(method.clone(), "/{{ path }}/1", old, body.as_ref())
            .await;
        mismatches.answer(method, &answer, "412 precondition-failed");
    }
    let shown = admin.get("/{{ path }}/1").await;
    let current = shown.header("etag").unwrap();
    let deleted = admin
        .send_if_match(Method::DELETE, "/{{ path }}/1", current, None)
        .await;
    assert_eq!(deleted.outcome(), "204");
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", another()).await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
{%- for f in fields %}
{%- if f.required %}
        ("{{ f.name }}", json!(null), "required"),
{%- endif %}
{%- for refused in f.refused %}
        ("{{ f.name }}", json!({{ refused.0 }}), "{{ refused.1 }}"),
{%- endfor %}
{%- endfor %}
        ("unknown", json!(1), "unknown"),
        ("id", json!(7), "unknown"),
        ("created_at", json!("2026-01-31T08:00:00Z"), "unknown"),
    ] {
        let mut body = {{ name }}();
        body[field] = value;
        let expected = format!("422 validation-failed /{field} {code}");
        for (method, path) in [
            (Method::POST, "/{{ path }}"),
            (Method::PUT, "/{{ path }}/1"),
            (Method::PATCH, "/{{ path }}/1"),
        ] {
            let answer = admin.send(method.clone(), path, Some(body.clone())).await;
            mismatches.answer(format!("{method} {}", body[field]), &answer, &expected);
        }
    }
}
{%- if required %}

#[tokio::test]
async fn every_field_that_is_required_is_asked_for() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/{{ path }}", json!({})).await;
    answer.assert_invalid(&[{% for f in fields %}{% if f.required %}("/{{ f.name }}", "required"), {% endif %}{% endfor %}]);
}
{%- endif %}
{%- if unique %}

#[tokio::test]
async fn no_two_{{ plural }}_have_the_same_{{ unique.name }}() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/{{ path }}", {{ name }}()).await;
    admin.post("/{{ path }}", another()).await;
    for answer in [
        admin.post("/{{ path }}", {{ name }}()).await,
        admin.put("/{{ path }}/2", {{ name }}()).await,
        admin.patch("/{{ path }}/2", {{ name }}()).await,
    ] {
        answer.assert_taken("/{{ unique.name }}");
    }
    assert_eq!(admin.put("/{{ path }}/1", {{ name }}()).await.outcome(), "200");
}

#[tokio::test]
async fn of_two_that_race_for_the_same_{{ unique.name }}_one_gets_it() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (one, other) = tokio::join!(
        admin.post("/{{ path }}", {{ name }}()),
        admin.post("/{{ path }}", {{ name }}())
    );
    let mut outcomes = [one.outcome(), other.outcome()];
    outcomes.sort();
    assert_eq!(outcomes, ["201", "409 conflict /{{ unique.name }} taken"]);
}
{%- endif %}

fn {{ name }}() -> Value {
    json!({{ "{" }} {% for f in fields %}"{{ f.name }}": {{ f.samples.0 | json_encode }}{% if not loop.last %}, {% endif %}{% endfor %} })
}

/// Each field of which is another.
fn another() -> Value {
    json!({{ "{" }} {% for f in fields %}"{{ f.name }}": {{ f.samples.1 | json_encode }}{% if not loop.last %}, {% endif %}{% endfor %} })
}

/// What an answer shows, but for its id and its times.
fn fields(mut body: Value) -> Value {
    for name in ["id", "created_at", "updated_at"] {
        body.as_object_mut().unwrap().remove(name).expect(name);
    }
    body
}
