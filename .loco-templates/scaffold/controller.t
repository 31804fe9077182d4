to: src/controllers/{{ plural }}.rs
injections:
- into: src/controllers/mod.rs
  before: ^pub mod customers;
  content: pub mod {{ plural }};
- into: src/controllers/mod.rs
  after: customer_accounts::endpoints\(\),
  content: "        {{ plural }}::endpoints(),"
- into: src/controllers/access.rs
  before: '"/events", '
  content: "    (\"GET\",    \"/{{ path }}\", Administrator, None),\n    (\"POST\",   \"/{{ path }}\", Administrator, None),\n    (\"GET\",    \"/{{ path }}/{id}\", Administrator, None),\n    (\"PUT\",    \"/{{ path }}/{id}\", Administrator, None),\n    (\"PATCH\",  \"/{{ path }}/{id}\", Administrator, None),\n    (\"DELETE\", \"/{{ path }}/{id}\", Administrator, None),\n"
- into: src/initializers/swagger/shared.yaml
  before: "^externalDocs:"
  content: "- name: {{ title }}\n  description: For administrators."
---
//! {{ title }}, for administrators.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Admin, Cached, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query, cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        {{ plural }}::{self, Changes, Details, Key},
        listing::{Listing, NoFilter},
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        {{ plural }}::{{ pascal }},
        page::Page,
        problem::Problem,
    },
};
{%- set_global conflict = "" %}
{%- for f in fields %}{% if f.unique %}{% set_global conflict = ', (status = 409, description = "conflict")' %}{% endif %}{% endfor %}

const TAG: &str = "{{ title }}";

/// The endpoints of {{ words_plural }}.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_{{ plural }}, create_{{ name }}),
        routes!(
            show_{{ name }},
            replace_{{ name }},
            change_{{ name }},
            delete_{{ name }}
        ),
    ]
}

/// List {{ words_plural }}
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/{{ path }}", tag = TAG,
    params(Listing<NoFilter, Key>, Cached),
    responses((status = 200, body = Page<{{ pascal }}>))
)]
async fn list_{{ plural }}(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<NoFilter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = {{ plural }}::Model::list(&ctx.db, &listing).await?;
        Ok(page.map({{ pascal }}::from))
    };
    let count = async |filter| {{ plural }}::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add {{ article }} {{ words }}
///
{%- for f in fields %}{% if f.unique %}
/// No two have the same {{ f.words }}.
{%- endif %}{% endfor %}
{%- if conflict == "" %}
/// It is added at the end of the list.
{%- endif %}
#[utoipa::path(
    post, path = "/{{ path }}", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = {{ pascal }}){{ conflict }})
)]
async fn create_{{ name }}(
    admin: Admin,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&admin), key, |txn| {
        let {{ name }} = {{ plural }}::Model::create(txn, &details).await?;
        let location = location("{{ path }}", {{ name }}.id);
        Answer::created(location, &{{ pascal }}::from({{ name }}))
    })
}

/// Show {{ article }} {{ words }}
///
/// One that was deleted is not found.
#[utoipa::path(
    get, path = "/{{ path }}/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = {{ pascal }}))
)]
async fn show_{{ name }}(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let {{ name }} = || async {
        let {{ name }} = {{ plural }}::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&{{ pascal }}::from({{ name }}))?)
    };
    cached.answer(Audience::Administrators, {{ name }}).await
}

/// Replace {{ article }} {{ words }}
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/{{ path }}/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = {{ pascal }}){{ conflict }})
)]
async fn replace_{{ name }}(
    admin: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &admin, id, &if_match, &details.into()).await
}

/// Change {{ article }} {{ words }}
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/{{ path }}/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = {{ pascal }}){{ conflict }})
)]
async fn change_{{ name }}(
    admin: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &admin, id, &if_match, &changes).await
}

/// Delete {{ article }} {{ words }}
///
/// It is gone for good.
#[utoipa::path(
    delete, path = "/{{ path }}/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_{{ name }}(
    admin: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let {{ name }} = {{ plural }}::Model::find_locked(txn, id).await?;
        if_match.check(|| {{ pascal }}::from({{ name }}.clone()))?;
        {{ name }}.delete(txn).await
    })?;
    Ok(Answer::no_content())
}

async fn change(
    ctx: &Context,
    admin: &Admin,
    id: i64,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let {{ name }} = transaction!(&ctx.on_behalf_of(admin), |txn| {
        let {{ name }} = {{ plural }}::Model::find_locked(txn, id).await?;
        if_match.check(|| {{ pascal }}::from({{ name }}.clone()))?;
        {{ name }}.change(txn, changes).await
    })?;
    Ok(Answer::ok(&{{ pascal }}::from({{ name }}))?)
}
